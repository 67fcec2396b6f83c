package record

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"stationd/agent/store/disk"
	"stationd/video/stream"
)

// flushAfter is how long Record waits for the next picture before it hands over
// the fragment that it has begun: the last pictures before a camera failed are
// the ones that will be looked for.
const flushAfter = time.Second

// Record records a camera's stream until ctx ends or the stream is closed; then
// it returns nil. A camera is recorded by one Record at a time.
func (a *Archive) Record(ctx context.Context, camera string, s *stream.Stream) error {
	if err := checkCamera(camera); err != nil {
		return err
	}
	if err := a.beginRecord(camera); err != nil {
		return err
	}
	defer a.endRecord(camera)

	r := s.Read(stream.ReadOptions{Name: "record", FromCache: a.fresh(camera), Record: true, Sound: true})
	defer r.Close()
	t := &tape{a: a, camera: camera, cancel: func() {}}
	defer func() { t.cancel() }()
	t.cut = newCutter(camera, a.clock, int(min(a.cfg.VolumeSize/2, 8*disk.MiB)))
	defer t.flush()
	for {
		u, err := t.next(ctx, r)
		switch {
		case errors.Is(err, io.EOF), ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("record camera %q: %w", camera, err)
		}
		if n := r.Skipped(); n != t.skipped {
			t.skipped = n
			t.flush()
			t.cut.interrupt(GapSkipped)
		}
		t.take(u, s)
	}
}

func (a *Archive) beginRecord(camera string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.camera(camera)
	if c.recording {
		return fmt.Errorf("record camera %q: it is being recorded already", camera)
	}
	c.recording = true
	a.recording++
	return nil
}

// fresh tells that nothing of what the stream may still have in its cache can
// have been recorded before.
func (a *Archive) fresh(camera string) bool {
	const cached = time.Minute
	now, _ := a.clock.index(time.Now())
	a.mu.Lock()
	defer a.mu.Unlock()
	since := time.Duration(now - a.camera(camera).end)
	return since.Abs() > cached
}

func (a *Archive) endRecord(camera string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.camera(camera).recording = false
	a.recording--
	a.notify()
}

// tape is one running Record.
type tape struct {
	a       *Archive
	camera  string
	cut     *cutter
	skipped uint64
	class   Class // of the last fragment
	limit   context.Context
	cancel  context.CancelFunc
}

// next waits for the next unit; when none comes for flushAfter it hands over
// what there is, and goes on waiting.
func (t *tape) next(ctx context.Context, r *stream.Reader) (*stream.Unit, error) {
	for {
		// One timer serves many pictures: at 25 a second, a timer each would be
		// most of what Record does.
		if t.limit == nil {
			t.limit, t.cancel = context.WithTimeout(ctx, flushAfter)
		}
		u, err := r.Next(t.limit)
		if err == nil || ctx.Err() != nil || t.limit.Err() == nil {
			return u, err
		}
		t.cancel()
		t.limit = nil
		if time.Since(t.cut.arrived) >= flushAfter {
			t.flush()
		}
	}
}

func (t *tape) take(u *stream.Unit, s *stream.Stream) {
	if u.Sound != nil {
		params, _ := s.Params()
		t.cut.addSound(u, params.Sound)
		return
	}
	var params stream.Params
	if u.Key {
		params, _ = s.Params()
	}
	f, err := t.cut.add(u, params)
	if err != nil {
		t.a.log.Warn("a piece of the record could not be made", "camera", t.camera, "err", err)
	}
	at, _ := t.a.clock.index(u.Arrival)
	t.a.mu.Lock()
	t.a.camera(t.camera).heard = at
	t.a.mu.Unlock()
	t.enqueue(f)
}

func (t *tape) flush() {
	f, err := t.cut.flush()
	if err != nil {
		t.a.log.Warn("a piece of the record could not be made", "camera", t.camera, "err", err)
	}
	t.enqueue(f)
}

// enqueue hands a fragment to the writer. When the queue is full it is given up.
func (t *tape) enqueue(f *fragment) {
	if f == nil {
		return
	}
	f.class = t.a.classOf(t.camera, f, t.class)
	t.class = f.class
	size := int64(len(f.payload))
	if t.a.waiting.Add(size) <= int64(t.a.cfg.QueueBytes) || size == t.a.waiting.Load() {
		select {
		case t.a.queue <- f:
			return
		default:
		}
	}
	t.a.waiting.Add(-size)
	t.a.mu.Lock()
	t.a.stats.Skipped++
	t.a.mu.Unlock()
	t.cut.interrupt(GapSkipped)
}
