package playback

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"stationd/agent/station"
)

const (
	partSuffix = ".part"
	fileSuffix = ".mp4"
	// settleFor is how long after its end a span is recorded for certain.
	settleFor = 5 * time.Second
	tidyEvery = time.Minute
	// roomEvery is after how many bytes the disk is looked at again.
	roomEvery = 64 << 20
)

// CheckExport tells whether an export can be made. What it is asked before the order
// stands, nobody has to find out afterwards.
func (p *Playback) CheckExport(x station.Export) error {
	for name, at := range map[string]time.Time{"from": x.From, "to": x.To} {
		if at.Year() < 1970 || at.Year() > 2200 {
			return station.Errorf(http.StatusBadRequest, "export.time", "write a time as 2026-11-03T10:20:00+08:00", "%s is no time that can be used", name).At(name)
		}
	}
	if err := checkSpan(x.From, x.To, p.cfg.ExportLongest); err != nil {
		return err
	}
	if x.To.After(p.now()) {
		return station.Errorf(http.StatusBadRequest, "export.future", "choose an end that has passed", "the span ends in the future").At("to")
	}
	if spans, _ := p.archive.Timeline(x.Camera, x.From, x.To); len(spans) == 0 {
		return errNone
	}
	if x.Overlay {
		if _, err := decoder(); err != nil {
			return err
		}
	}
	return nil
}

// Run makes the exports that are ordered, one at a time, and removes those whose
// time is over, until ctx ends.
func (p *Playback) Run(ctx context.Context) error {
	if p.exports == nil {
		<-ctx.Done()
		return nil
	}
	if err := os.MkdirAll(p.cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("make the folder of the exports: %w", err)
	}
	for {
		changed := p.exports.ExportsChanged()
		next, wait, err := p.tidy(ctx)
		if err != nil {
			return err
		}
		if next != nil {
			if err := p.export(ctx, *next); err != nil {
				return err
			}
			if ctx.Err() == nil {
				continue
			}
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return nil
		}
	}
}

// tidy removes what is no longer wanted, and finds what is to be made next.
func (p *Playback) tidy(ctx context.Context) (next *station.Export, wait time.Duration, err error) {
	list, err := p.exports.Exports()
	if err != nil {
		return nil, 0, err
	}
	wait = tidyEvery
	now := p.now()
	wanted := map[string]bool{}
	for i := len(list) - 1; i >= 0; i-- { // the oldest first
		x := list[i]
		switch {
		case x.Status == station.ExportReady && !x.Until.After(now):
			x.Status, x.Cause = station.ExportRemoved, "its time was over"
			if _, err := p.exports.ExportDone(ctx, x); err != nil {
				return nil, 0, err
			}
		case x.Status == station.ExportReady:
			wanted[x.ID+fileSuffix] = true
			if _, err := os.Stat(p.fileOf(x.ID)); errors.Is(err, os.ErrNotExist) {
				x.Status, x.Code, x.Cause = station.ExportFailed, "export.lost", "the file is no longer on the disk"
				if _, err := p.exports.ExportDone(ctx, x); err != nil {
					return nil, 0, err
				}
			}
		case x.Status == station.ExportWaiting && next == nil:
			if early := x.To.Add(settleFor).Sub(now); early > 0 {
				wait = min(wait, early)
			} else {
				next = &x
			}
		}
	}
	entries, err := os.ReadDir(p.cfg.Dir)
	if err != nil {
		return nil, 0, err
	}
	for _, e := range entries {
		if !wanted[e.Name()] {
			if err := os.Remove(filepath.Join(p.cfg.Dir, e.Name())); err != nil {
				p.log.Warn("removing an old export failed", "file", e.Name(), "err", err)
			}
		}
	}
	return next, wait, nil
}

func (p *Playback) fileOf(id string) string { return filepath.Join(p.cfg.Dir, id+fileSuffix) }

// export makes one and notes what became of it. An error is one of noting.
func (p *Playback) export(ctx context.Context, x station.Export) error {
	making, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		p.watchOrder(making, done, x.ID, cancel)
	}()
	made, err := p.makeExport(making, x)
	close(done)
	<-watched
	p.tell(x.ID, -1)
	if err != nil {
		if removed := os.Remove(p.fileOf(x.ID) + partSuffix); removed != nil && !errors.Is(removed, os.ErrNotExist) {
			p.log.Warn("removing half an export failed", "export", x.ID, "err", removed)
		}
		if making.Err() != nil {
			return nil // it was taken back, or is made after the next start
		}
		made = x
		made.Status, made.Code, made.Cause = station.ExportFailed, "internal", "it could not be made; the log says why"
		if problem, ok := station.AsProblem(err); ok {
			made.Code, made.Cause = problem.Code, problem.Message
		}
		p.log.Warn("export failed", "export", x.ID, "camera", x.Camera, "err", err)
	}
	kept, err := p.exports.ExportDone(ctx, made)
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("note export %s: %w", x.ID, err)
	}
	if !kept {
		_ = os.Remove(p.fileOf(x.ID)) // tidy would find it
	}
	return nil
}

// watchOrder gives the export up when it is taken back.
func (p *Playback) watchOrder(ctx context.Context, done <-chan struct{}, id string, giveUp func()) {
	for {
		changed := p.exports.ExportsChanged()
		if x, err := p.exports.Export(id); err == nil && x.Status != station.ExportWaiting {
			giveUp()
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-done:
			return
		case <-changed:
		}
	}
}

// tell notes how far an export is; below zero it is over.
func (p *Playback) tell(id string, done float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if done < 0 {
		delete(p.progress, id)
		return
	}
	p.progress[id] = done
}

func (p *Playback) makeExport(ctx context.Context, x station.Export) (station.Export, error) {
	release := p.archive.Hold(x.Camera, x.From.Add(-lookBack[len(lookBack)-1]), x.To)
	defer release()
	list, err := p.listed(ctx, x.Camera, x.From, x.To)
	if err != nil {
		return x, err
	}
	// The parts of the work, as shares of its time.
	reading, writing := 0.4, 0.6
	if x.Overlay {
		reading, writing = 0.05, 0.1
	}
	f, err := p.assemble(ctx, list, x.To, func(done float64) { p.tell(x.ID, done*reading) })
	if err != nil {
		return x, err
	}
	if err := p.room(f.size + int64(len(f.head()))); err != nil {
		return x, err
	}
	part := p.fileOf(x.ID) + partSuffix
	sum, err := p.writeFile(ctx, part, f, func(done float64) { p.tell(x.ID, reading+done*writing) })
	if err != nil {
		return x, err
	}
	x.Start, x.End, x.Gaps = f.first, f.last, f.gaps
	x.Cause = f.explain(x)
	if x.Overlay {
		began := reading + writing
		sum, err = p.stamp(ctx, &x, part, sum, func(done float64) { p.tell(x.ID, began+done*(1-began)) })
		if err != nil {
			return x, err
		}
	}
	info, err := os.Stat(part)
	if err != nil {
		return x, err
	}
	if err := os.Rename(part, p.fileOf(x.ID)); err != nil {
		return x, fmt.Errorf("put the export in place: %w", err)
	}
	x.Status, x.Size, x.SHA256, x.Until = station.ExportReady, info.Size(), sum, p.now().Add(p.cfg.ExportKeep)
	return x, nil
}

// explain says why the file holds less than was asked for.
func (f *film) explain(x station.Export) string {
	var causes []string
	if f.first.Sub(x.From) >= gapAtLeast {
		causes = append(causes, "there is no picture before "+f.first.Format(time.TimeOnly))
	}
	if x.To.Sub(f.last) >= gapAtLeast {
		causes = append(causes, "there is no picture after "+f.last.Format(time.TimeOnly))
	}
	if f.damaged > 0 {
		causes = append(causes, fmt.Sprintf("%d pieces of the record could not be read", f.damaged))
	}
	return strings.Join(causes, "; ")
}

// writeFile writes the film to a file, forces it to the disk and returns its sum.
func (p *Playback) writeFile(ctx context.Context, path string, f *film, told func(float64)) (string, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return "", fmt.Errorf("write export: %w", full(err))
	}
	sum := sha256.New()
	w := bufio.NewWriterSize(&roomy{w: io.MultiWriter(file, sum), room: p.room}, 1<<20)
	err = p.writeFilm(ctx, f, w, told)
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return "", fmt.Errorf("write export: %w", full(err))
	}
	return sumOf(sum), nil
}

func sumOf(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// full is a problem with a remedy where the disk was full.
func full(err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		return station.ErrNoSpace.Because(err)
	}
	return err
}

// roomy stops writing when the disk runs low: others need it more.
type roomy struct {
	w    io.Writer
	room func(int64) error
	left int64
}

func (r *roomy) Write(b []byte) (int, error) {
	if r.left -= int64(len(b)); r.left < 0 {
		if err := r.room(roomEvery); err != nil {
			return 0, err
		}
		r.left = roomEvery
	}
	return r.w.Write(b)
}

// ExportView is an export with how far it is.
type ExportView struct {
	station.Export
	// Progress is from 0 to 1 while it is being made.
	Progress float64 `json:"progress,omitempty"`
}

// exportList is what the routes answer.
type exportList struct {
	Exports []ExportView `json:"exports"`
	// Overlay tells that the time can be written into the pictures here.
	Overlay bool `json:"overlay"`
	// Longest is the longest span that one file may hold.
	Longest time.Duration `json:"longest"`
}

func (p *Playback) listExports(w http.ResponseWriter, r *http.Request) error {
	camera := r.PathValue("id")
	out := exportList{Exports: []ExportView{}, Longest: p.cfg.ExportLongest}
	_, err := decoder()
	out.Overlay = err == nil
	if p.exports == nil {
		return station.WriteJSON(w, http.StatusOK, out)
	}
	list, err := p.exports.Exports()
	if err != nil {
		return err
	}
	who := station.ActorFrom(r.Context())
	for _, x := range list {
		if camera != "" && x.Camera != camera || camera == "" && !p.may(who, x.Camera) {
			continue
		}
		p.mu.Lock()
		done := p.progress[x.ID]
		p.mu.Unlock()
		out.Exports = append(out.Exports, ExportView{x, done})
	}
	return station.WriteJSON(w, http.StatusOK, out)
}

func (p *Playback) serveExport(w http.ResponseWriter, r *http.Request) error {
	if p.exports == nil {
		return station.ErrNotFound
	}
	x, err := p.exports.Export(r.PathValue("export"))
	if err != nil {
		return err
	}
	if x.Camera != r.PathValue("id") {
		return station.ErrNotFound.At("export/" + short(r.PathValue("export")))
	}
	if x.Status != station.ExportReady {
		return station.Errorf(http.StatusConflict, "export."+string(x.Status), "look at the list of exports; order it again where it is needed", "there is no file of this export")
	}
	file, err := os.Open(p.fileOf(x.ID))
	if err != nil {
		return errVanished.Because(err)
	}
	defer file.Close()
	h := w.Header()
	h.Set("Content-Type", "video/mp4")
	h.Set("Content-Disposition", `attachment; filename="`+fileName(x)+`"`)
	h.Set("ETag", `"`+x.SHA256+`"`)
	h.Set("Cache-Control", "private, no-cache")
	http.ServeContent(w, r, "", x.At, file)
	return nil
}

// fileName is under which name a browser keeps it.
func fileName(x station.Export) string {
	clean := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("._-", c) {
			return c
		}
		return '-'
	}, x.Camera)
	return clean + "_" + x.From.Local().Format("20060102-150405") + "_" + x.To.Local().Format("150405") + fileSuffix
}
