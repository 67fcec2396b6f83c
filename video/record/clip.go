package record

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"stationd/agent/station"
	"stationd/agent/store/disk"
	"stationd/video/stream"
)

const (
	// lookBack is how far before its start a clip looks for a key picture.
	lookBack = time.Minute
	// longestClip is the longest span that may be asked for.
	longestClip = time.Hour
	// patience is how long a clip waits for the disk to take what the camera
	// has sent already.
	patience = 30 * time.Second
)

// making is a clip that is being made; others who ask for it wait.
type making struct{ done chan struct{} }

// Clip makes the clip that c asks for: c.ID, c.Camera, c.From and c.To. It waits
// until c.To is recorded, or until the camera has been silent for the grace, and
// returns c with the status ready or failed, and with what the file holds; Cause
// says in one sentence why it failed or holds less than was asked for. A clip
// that is there already is returned as it is, so that a call may be repeated.
//
// An error means that it could not be made now and may be asked for again: ctx
// ended, the clips' quota is full, the disk failed.
func (a *Archive) Clip(ctx context.Context, c station.Clip) (station.Clip, error) {
	if err := errors.Join(checkClip(c.ID), checkCamera(c.Camera)); err != nil {
		return c, err
	}
	if d := c.To.Sub(c.From); d <= 0 || d > longestClip {
		return c, station.Errorf(400, "clip.span", "ask for at most an hour", "a clip cannot last %s", d)
	}
	for {
		a.mu.Lock()
		have, busy := a.clips[c.ID], a.making[c.ID]
		if have == nil && busy == nil {
			busy = &making{done: make(chan struct{})}
			a.making[c.ID] = busy
			a.mu.Unlock()
			defer func() {
				a.mu.Lock()
				delete(a.making, c.ID)
				a.mu.Unlock()
				close(busy.done)
			}()
			return a.makeClip(ctx, c)
		}
		a.mu.Unlock()
		if have != nil {
			return asStored(c, have.about), nil
		}
		select {
		case <-busy.done:
		case <-ctx.Done():
			return c, ctx.Err()
		}
	}
}

// asStored fills in what the stored clip says of its file.
func asStored(c, stored station.Clip) station.Clip {
	c.Status = station.ClipReady
	c.Start, c.End, c.Gaps, c.Cause = stored.Start, stored.End, stored.Gaps, stored.Cause
	c.Size, c.SHA256 = stored.Size, stored.SHA256
	return c
}

func (a *Archive) makeClip(ctx context.Context, c station.Clip) (station.Clip, error) {
	c.Status = station.ClipPending
	defer a.pass(c)()
	held := a.hold(c)
	defer a.unpin(held)
	if err := a.awaitEnd(ctx, c); err != nil {
		return c, err
	}
	f, err := a.assemble(c, held)
	var none *noPicture
	if errors.As(err, &none) {
		c.Status, c.Cause = station.ClipFailed, none.Error()
		return c, nil
	}
	if err != nil {
		return c, fmt.Errorf("make clip %q: %w", c.ID, err)
	}
	defer a.unpin(f.volumes)
	f.explain(&c)
	made, err := a.store(ctx, c, f)
	if err != nil {
		return c, fmt.Errorf("make clip %q: %w", c.ID, err)
	}
	return made, nil
}

// hold pins the volumes that may be dropped while the clip waits for its end.
func (a *Archive) hold(c station.Clip) []*volume {
	a.mu.Lock()
	defer a.mu.Unlock()
	var held []*volume
	for _, v := range a.volumes {
		if t := v.tracks[c.Camera]; t != nil && t.overlaps(c.From.Add(-lookBack), c.To) {
			held = append(held, v)
		}
	}
	pin(held)
	return held
}

// awaitEnd waits until the clip's end is recorded, or the camera is silent for
// so long that it will not be.
func (a *Archive) awaitEnd(ctx context.Context, c station.Clip) error {
	for {
		a.mu.Lock()
		cam, recovered, changed := *a.camera(c.Camera), a.recovered, a.changed
		a.mu.Unlock()
		if recovered && a.ended(c.From.UnixNano(), c.To.UnixNano(), cam) {
			return nil
		}
		if err := wait(ctx, changed, 250*time.Millisecond); err != nil {
			return err
		}
	}
}

// noPicture is why a clip has nothing to show.
type noPicture struct{ cause string }

func (e *noPicture) Error() string { return e.cause }

// cutting is a clip whose fragments were found and read once.
type cutting struct {
	film
	refs    []ref // of the longest run
	volumes []*volume
	changed time.Time // the camera's parameter sets changed here
}

// assemble finds the fragments of the clip and puts its film together.
func (a *Archive) assemble(c station.Clip, held []*volume) (*cutting, error) {
	refs, volumes := a.find(c.Camera, c.From.Add(-lookBack), c.To, held...)
	f := &cutting{volumes: volumes}
	f.to = c.To.UnixNano()
	refs = refs[startOf(refs, c.From.UnixNano()):]
	runs, err := a.runs(c.Camera, refs)
	if err != nil {
		a.unpin(volumes)
		return nil, err
	}
	var longest run
	for _, r := range runs {
		if r.duration > longest.duration {
			longest = r
		}
	}
	if len(runs) > 1 {
		f.changed = fromIndex(runs[1].refs[0].start)
	}
	f.format, f.refs = longest.filmFormat(), longest.refs
	broken := true
	for _, r := range longest.refs {
		if broken && !r.head.key() {
			continue
		}
		_, data, err := a.load(c.Camera, r)
		if err == nil {
			err = f.add(r.start, r.end(), data, func() ([]byte, error) {
				_, data, err := a.load(c.Camera, r)
				return data, err
			})
		}
		broken = err != nil
	}
	if len(f.pictures) == 0 {
		a.unpin(volumes)
		return nil, &noPicture{fmt.Sprintf("camera %q has no picture between %s and %s", c.Camera,
			c.From.Format(time.DateTime), c.To.Format(time.DateTime))}
	}
	return f, nil
}

// startOf is where to begin to show what was at from: the key picture before it,
// or the first after it where there was no picture then.
func startOf(refs []ref, from int64) int {
	before := -1
	covered := false
	for i, r := range refs {
		switch {
		case r.start > from:
			if before >= 0 && covered {
				return before
			}
			if r.head.duration >= 0 && r.head.key() {
				return i
			}
			before = -1
		case r.head.duration < 0:
			before = -1
		default:
			if r.head.key() {
				before = i
			}
			covered = r.end() > from-int64(gapAtLeast)
		}
	}
	if before >= 0 && covered {
		return before
	}
	return len(refs)
}

// run is fragments whose pictures have the same format.
type run struct {
	format   *format
	refs     []ref
	duration time.Duration
	sounds   []soundPart
}

// soundPart is how much of a run has a sound.
type soundPart struct {
	sound    *stream.Sound
	duration time.Duration
}

// filmFormat is the format of the run's film: a film has one sound, that of the
// longest part.
func (r run) filmFormat() *format {
	var most soundPart
	for _, p := range r.sounds {
		if p.duration > most.duration {
			most = p
		}
	}
	if r.format == nil {
		return &format{}
	}
	return r.format.with(most.sound)
}

func (r *run) hear(s *stream.Sound, d time.Duration) {
	if s == nil {
		return
	}
	for i := range r.sounds {
		if sameSound(r.sounds[i].sound, s) {
			r.sounds[i].duration += d
			return
		}
	}
	r.sounds = append(r.sounds, soundPart{s, d})
}

// runs divides the fragments where the parameter sets change: one file can have
// only one kind.
func (a *Archive) runs(camera string, refs []ref) ([]run, error) {
	type generation struct {
		v   *volume
		gen uint32
	}
	known := map[generation]*format{}
	var runs []run
	for _, r := range refs {
		if r.head.duration < 0 {
			continue // its place is a gap
		}
		g := generation{r.v, r.head.gen}
		if known[g] == nil {
			f, err := a.format(camera, r)
			if err != nil {
				if errors.Is(err, errCorrupt) || errors.Is(err, errGone) {
					continue
				}
				return nil, err
			}
			known[g] = f
		}
		if n := len(runs); n == 0 || !runs[n-1].format.samePicture(known[g]) {
			runs = append(runs, run{format: known[g]})
		}
		last := &runs[len(runs)-1]
		last.refs = append(last.refs, r)
		last.duration += r.head.duration
		last.hear(known[g].sound, r.head.duration)
	}
	return runs, nil
}

func (a *Archive) format(camera string, r ref) (*format, error) {
	segment, err := a.segment(camera, r.v, r.head.gen)
	if err != nil {
		return nil, err
	}
	f, err := formatIn(segment)
	if err != nil {
		return nil, errors.Join(errCorrupt, err)
	}
	return f, nil
}

// explain says what the file holds and why that is not what was asked for.
func (f *cutting) explain(c *station.Clip) {
	c.Start, c.End, c.Gaps = fromIndex(f.first), fromIndex(f.lastEnd), f.gaps
	var causes []string
	if !f.changed.IsZero() {
		causes = append(causes, fmt.Sprintf("the camera changed its picture format at %s, and the clip is the longer part", f.changed.Format(time.TimeOnly)))
	} else {
		if c.Start.Sub(c.From) >= gapAtLeast {
			causes = append(causes, "there is no picture before "+c.Start.Format(time.TimeOnly))
		}
		if c.To.Sub(c.End) >= gapAtLeast {
			causes = append(causes, "there is no picture after "+c.End.Format(time.TimeOnly))
		}
	}
	c.Cause = strings.Join(causes, "; ")
}

// store keeps what the film is made of, and notes it; when it returns without error
// the clip is durable.
func (a *Archive) store(ctx context.Context, c station.Clip, f *cutting) (station.Clip, error) {
	if f.size > mostFilm {
		return c, station.Errorf(413, "clip.too-large", "ask for a shorter clip", "the clip would be larger than %s", disk.Bytes(mostFilm))
	}
	if err := a.keep(Event, c.Camera, f.refs); err != nil {
		return c, err
	}
	sum, size := sha256.New(), &counter{}
	head, err := f.write(&until{ctx, io.MultiWriter(sum, size)})
	if err != nil {
		return c, err
	}
	c.Status = station.ClipReady
	c.Size = size.n
	c.SHA256 = hex.EncodeToString(sum.Sum(nil))
	if err := writeChecked(a.filmPath(c.ID), f.filmed(c, head)); err != nil {
		return c, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.clips[c.ID] = &clip{about: c}
	a.clipsFull = false
	return c, nil
}

// counter counts what is written.
type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

// until stops writing when ctx ends.
type until struct {
	ctx context.Context
	w   io.Writer
}

func (u *until) Write(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.w.Write(p)
}

// Clips lists the whole clips' IDs.
func (a *Archive) Clips() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	ids := make([]string, 0, len(a.clips))
	for id := range a.clips {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}
