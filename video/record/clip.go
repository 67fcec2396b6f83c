package record

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"

	"stationd/agent/station"
	"stationd/agent/store/disk"
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
	from, to := c.From.UnixNano(), c.To.UnixNano()
	grace := int64(a.cfg.ClipGrace)
	for {
		now, _ := a.clock.index(time.Now())
		a.mu.Lock()
		cam, recovered, changed := *a.camera(c.Camera), a.recovered, a.changed
		a.mu.Unlock()
		if recovered {
			// What is asked for has begun: if it begins in the future, the clock was
			// set back since. All that there is of it is there; its end may be years
			// away.
			if from > now+grace+int64(maxFragment) {
				return nil
			}
			// An end in the future is of a time before the clock was set back.
			if cam.end >= to && cam.end <= now+grace {
				return nil
			}
			late := now - to
			alive := now-cam.heard <= grace+int64(maxFragment)
			if late >= grace && (!alive || late >= grace+int64(patience)) {
				return nil
			}
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
	f.params = longest.params
	broken := true
	for _, r := range longest.refs {
		if broken && !r.head.key() {
			continue
		}
		samples, err := a.samples(c.Camera, r)
		if err != nil {
			broken = true
			continue
		}
		broken = false
		f.add(r.start, r.end(), samples, a.again(c.Camera, r))
	}
	if len(f.samples) == 0 {
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

// run is fragments with the same parameter sets.
type run struct {
	params   *paramSets
	refs     []ref
	duration time.Duration
}

// runs divides the fragments where the parameter sets change: one file can have
// only one kind.
func (a *Archive) runs(camera string, refs []ref) ([]run, error) {
	type generation struct {
		v   *volume
		gen uint32
	}
	known := map[generation]*paramSets{}
	var runs []run
	for _, r := range refs {
		if r.head.duration < 0 {
			continue // its place is a gap
		}
		g := generation{r.v, r.head.gen}
		if known[g] == nil {
			params, err := a.params(camera, r)
			if err != nil {
				if errors.Is(err, errCorrupt) || errors.Is(err, errGone) {
					continue
				}
				return nil, err
			}
			known[g] = params
		}
		if n := len(runs); n == 0 || !runs[n-1].params.equal(known[g]) {
			runs = append(runs, run{params: known[g]})
		}
		last := &runs[len(runs)-1]
		last.refs = append(last.refs, r)
		last.duration += r.head.duration
	}
	return runs, nil
}

func (a *Archive) params(camera string, r ref) (p *paramSets, err error) {
	err = a.read(r.v, func(v view) error {
		segment, err := v.init(camera, r.head.gen)
		if err != nil {
			return err
		}
		p, err = paramsIn(bytes.NewReader(segment))
		return err
	})
	return p, err
}

func (a *Archive) samples(camera string, r ref) ([]*fmp4.Sample, error) {
	_, data, err := a.load(camera, r)
	if err != nil {
		return nil, err
	}
	return samplesIn(data)
}

// again returns a function that reads the fragment when its first picture is
// written, and forgets it after that.
func (a *Archive) again(camera string, r ref) func() ([]*fmp4.Sample, error) {
	var samples []*fmp4.Sample
	given := 0
	return func() ([]*fmp4.Sample, error) {
		if samples == nil {
			var err error
			if samples, err = a.samples(camera, r); err != nil {
				return nil, err
			}
			given = 0
		}
		got := samples
		if given++; given == len(got) {
			samples = nil
		}
		return got, nil
	}
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

// store writes the file; when it returns without error the clip is durable.
func (a *Archive) store(ctx context.Context, c station.Clip, f *cutting) (station.Clip, error) {
	size := f.fileSize()
	if err := a.makeRoom(disk.Bytes(size), volumeRoom(disk.Bytes(size))); err != nil {
		return c, err
	}
	// A half clip of an earlier run is of no use: the record is still there.
	if err := os.RemoveAll(a.clipDir(c.ID) + partSuffix); err != nil {
		return c, err
	}
	file, err := a.createClip(c.ID, size)
	if err != nil {
		return c, err
	}
	sum := sha256.New()
	if err := f.write(&until{ctx, io.MultiWriter(file, sum)}); err != nil {
		return c, errors.Join(err, file.discard())
	}
	c.Status = station.ClipReady
	c.Size = file.size()
	c.SHA256 = hex.EncodeToString(sum.Sum(nil))
	if err := a.publish(file, c); err != nil {
		return c, errors.Join(err, file.discard())
	}
	return c, nil
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
