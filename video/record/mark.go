package record

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"stationd/agent/station"
	"stationd/agent/store/disk"
)

// Mark is a span of one camera's record that somebody wants kept.
type Mark struct {
	// ID names it; the same ID again is the same mark.
	ID     string    `json:"id"`
	Camera string    `json:"camera"`
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	// Class is Event or Evidence.
	Class Class `json:"class"`
	// Reason is why, By who said so, At when.
	Reason string    `json:"reason,omitempty"`
	By     string    `json:"by,omitempty"`
	At     time.Time `json:"at,omitzero"`
	// Kept tells that everything that there is of it was copied; until then the
	// record that it lies in is not dropped.
	Kept bool `json:"kept,omitempty"`
	// Bytes is what it came to, or is expected to.
	Bytes disk.Bytes `json:"bytes,omitempty"`
}

const (
	marksDir = "marks"
	// longestMark is the longest span that can be marked.
	longestMark = 24 * time.Hour
)

// marked is a mark and how far it is.
type marked struct {
	Mark
	passing bool  // a clip in the making, which is not on the disk
	done    int64 // index time up to which it was copied
	blocked bool  // the last try to copy it failed
	copied  disk.Bytes
}

// Mark keeps a span of a camera's record as events or as evidence. The end may be
// still to come. It returns when the mark is durable; the film is copied in the
// background, and the record that it lies in is not dropped before. Evidence that
// would not fit into its quota is refused.
func (a *Archive) Mark(ctx context.Context, m Mark) error {
	if err := errors.Join(ctx.Err(), checkClip(m.ID), checkCamera(m.Camera)); err != nil {
		return err
	}
	if m.Class != Event && m.Class != Evidence {
		return station.Errorf(400, "mark.class", "use event or evidence", "%q is nothing that a span can be kept as", m.Class).At("class")
	}
	if d := m.To.Sub(m.From); d <= 0 || d > longestMark {
		return station.Errorf(400, "mark.span", "mark at most a day at a time", "a span cannot last %s", d).At("to")
	}
	m.Kept = false
	m.Bytes = a.estimate(m.Camera, m.From, m.To)
	a.mu.Lock()
	have := a.marks[m.ID]
	full := have == nil && m.Class == Evidence && a.evidence()+m.Bytes > a.cfg.EvidenceMaxBytes
	if full {
		a.evidenceFull = true
	}
	if have == nil && !full {
		a.marks[m.ID] = &marked{Mark: m} // so that nothing is dropped meanwhile
	}
	a.mu.Unlock()
	switch {
	case have != nil:
		return nil
	case full:
		return errEvidenceFull
	}
	if err := writeChecked(a.markPath(m.ID), m); err != nil {
		a.mu.Lock()
		delete(a.marks, m.ID)
		a.mu.Unlock()
		return fmt.Errorf("mark %q: %w", m.ID, err)
	}
	a.wakeKeeper()
	return nil
}

// Release ends a mark. What nothing else wants is dropped with the volume it lies
// in, as soon as all of that volume is unwanted.
func (a *Archive) Release(id string) error {
	a.mu.Lock()
	m := a.marks[id]
	a.mu.Unlock()
	if m == nil || m.passing {
		return station.ErrNotFound.At("mark/" + id)
	}
	if err := os.Remove(a.markPath(id)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("release mark %q: %w", id, err)
	}
	a.mu.Lock()
	delete(a.marks, id)
	a.evidenceFull = false
	a.mu.Unlock()
	a.sweep()
	return nil
}

// HoldEvidence keeps a span as evidence; see Mark.
func (a *Archive) HoldEvidence(ctx context.Context, h station.Hold) error {
	return a.Mark(ctx, Mark{
		ID: h.ID, Camera: h.Camera, From: h.From, To: h.To, Class: Evidence, Reason: h.Reason, By: h.Account, At: h.At,
	})
}

// ReleaseEvidence releases what HoldEvidence keeps.
func (a *Archive) ReleaseEvidence(id string) error { return a.Release(id) }

// Evidence lists the IDs of the marks of evidence.
func (a *Archive) Evidence() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var ids []string
	for id, m := range a.marks {
		if m.Class == Evidence {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// EvidenceBytes is what a piece of evidence takes, or is expected to; 0 where there
// is none.
func (a *Archive) EvidenceBytes(id string) int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	if m := a.marks[id]; m != nil && m.Class == Evidence {
		return int64(m.Bytes)
	}
	return 0
}

// Marks lists the marks that touch a span of a camera's record, by their begin; an
// empty camera is every camera.
func (a *Archive) Marks(camera string, from, to time.Time) []Mark {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []Mark
	for _, m := range a.marks {
		if !m.passing && (camera == "" || m.Camera == camera) && m.To.After(from) && m.From.Before(to) {
			out = append(out, m.Mark)
		}
	}
	slices.SortFunc(out, func(x, y Mark) int { return cmp.Or(x.From.Compare(y.From), cmp.Compare(x.ID, y.ID)) })
	return out
}

func (a *Archive) markPath(id string) string { return filepath.Join(a.cfg.Dir, marksDir, id) }

// findMarks takes in the marks that are there.
func (a *Archive) findMarks() error {
	entries, err := os.ReadDir(filepath.Join(a.cfg.Dir, marksDir))
	if err != nil {
		return err
	}
	for _, e := range entries {
		id := e.Name()
		if checkClip(id) != nil || strings.HasSuffix(id, ".new") {
			continue
		}
		m := &marked{}
		if err := readChecked(a.markPath(id), &m.Mark); err != nil || m.ID != id {
			a.stats.SetAside++
			a.log.Error("a mark cannot be read and is set aside", "mark", id, "err", errors.Join(err, errCorrupt))
			if err := os.Rename(a.markPath(id), a.markPath(id)+badSuffix); err != nil {
				a.log.Error("setting it aside failed", "mark", id, "err", err)
			}
			continue
		}
		a.marks[id] = m
	}
	return nil
}

// evidence is what the evidence takes and will take. The lock is held.
func (a *Archive) evidence() disk.Bytes {
	sum := a.used(Evidence)
	for _, m := range a.marks {
		if m.Class == Evidence && !m.Kept {
			sum += m.Bytes
		}
	}
	return sum
}

// estimate is what a span of a camera's record comes to, what is still to come of
// it at the camera's present rate.
func (a *Archive) estimate(camera string, from, to time.Time) disk.Bytes {
	a.mu.Lock()
	defer a.mu.Unlock()
	var recorded time.Duration
	var bytes int64
	for _, v := range a.volumes {
		if t := v.tracks[camera]; t != nil && v.class.live() {
			bytes += t.Bytes
			for _, s := range t.Spans {
				recorded += s.To.Sub(s.From)
			}
		}
	}
	if recorded <= 0 {
		return 0
	}
	return disk.Bytes(float64(bytes) / float64(recorded) * float64(to.Sub(from)+lookAround))
}

// lookAround is how much longer a kept span may be than was asked for.
const lookAround = 2 * maxFragment

// pass marks a clip's span for as long as it is in the making.
func (a *Archive) pass(c station.Clip) (end func()) {
	id := "\x00" + c.ID // no mark's
	a.mu.Lock()
	a.marks[id] = &marked{Mark: Mark{ID: id, Camera: c.Camera, From: c.From, To: c.To, Class: Event}, passing: true}
	a.mu.Unlock()
	a.wakeKeeper()
	return func() {
		a.mu.Lock()
		delete(a.marks, id)
		a.mu.Unlock()
	}
}

// elsewhere tells whether all of a clip is there without v. The lock is held.
func (a *Archive) elsewhere(c station.Clip, v *volume) bool {
	from, to := c.Start, c.End
	for _, s := range v.tracks[c.Camera].Spans {
		lo, hi := later(s.From, from), s.To
		if hi.After(to) {
			hi = to
		}
		if lo.Before(hi) && !a.coveredWhole(c.Camera, lo, hi, v) {
			return false
		}
	}
	return true
}

// coveredWhole tells whether volumes other than v hold every moment of a span. The
// lock is held.
func (a *Archive) coveredWhole(camera string, from, to time.Time, v *volume) bool {
	for at := from; at.Before(to); {
		next := at
		for _, o := range a.volumes {
			if t := o.tracks[camera]; o != v && t != nil {
				for _, s := range t.Spans {
					if !s.From.After(at.Add(gapAtLeast)) && s.To.After(next) {
						next = s.To
					}
				}
			}
		}
		if !next.After(at) {
			return false
		}
		at = next
	}
	return true
}

// covered tells whether volumes other than v hold any of a span. The lock is held.
func (a *Archive) covered(camera string, from, to time.Time, v *volume) bool {
	return slices.ContainsFunc(a.volumes, func(o *volume) bool {
		t := o.tracks[camera]
		return o != v && o.class == v.class && t != nil && t.overlaps(from, to)
	})
}

// Gone lists the clips whose film was dropped to make room for newer ones and that
// GoneTold was not called for.
func (a *Archive) Gone() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	ids := make([]string, 0, len(a.gone))
	for id := range a.gone {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// GoneTold ends the reminder of a clip in Gone.
func (a *Archive) GoneTold(id string) error {
	if err := os.Remove(a.filmPath(id) + goneSuffix); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("forget clip %q: %w", id, err)
	}
	a.mu.Lock()
	delete(a.gone, id)
	a.mu.Unlock()
	return nil
}
