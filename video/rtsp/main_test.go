package rtsp_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"stationd/agent/station"
	"stationd/video/rtsp"
	"stationd/video/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fast is impatient, so that tests are.
func fast(url string) rtsp.Config {
	return rtsp.Config{
		Camera: "gate", URL: url,
		RequestTimeout: 2 * time.Second,
		PictureTimeout: 500 * time.Millisecond,
		RetryMin:       20 * time.Millisecond,
		RetryMax:       100 * time.Millisecond,
		RetryDenied:    time.Minute,
	}
}

// rig is a source that runs, with what it said.
type rig struct {
	t      *testing.T
	stream *stream.Stream
	source *rtsp.Source
	log    *syncBuffer

	mu     sync.Mutex
	states []rtsp.Status
	moved  chan struct{}
}

// run starts a source and ends it with the test.
func run(t *testing.T, cfg rtsp.Config) *rig {
	t.Helper()
	r := &rig{t: t, stream: stream.New(stream.Config{}), log: &syncBuffer{}, moved: make(chan struct{}, 1)}
	r.source = rtsp.New(cfg, r.stream, slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	r.source.OnState(func(s rtsp.Status) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.states = append(r.states, s)
		select {
		case r.moved <- struct{}{}:
		default:
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.source.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("Run does not end")
		}
		r.stream.Close()
	})
	return r
}

// await waits for a state, looking at those that were from the given one on, and
// returns it and the place after it.
func (r *rig) await(from int, status station.CameraStatus) (rtsp.Status, int) {
	r.t.Helper()
	limit := time.After(20 * time.Second)
	for {
		r.mu.Lock()
		for i := from; i < len(r.states); i++ {
			if r.states[i].Status == status {
				s := r.states[i]
				r.mu.Unlock()
				return s, i + 1
			}
		}
		r.mu.Unlock()
		select {
		case <-r.moved:
		case <-limit:
			r.t.Fatalf("never %s; log:\n%s", status, r.log)
		}
	}
}

// units reads n units and checks that the timeline goes on.
func units(t *testing.T, r *stream.Reader, after time.Duration, n int) []*stream.Unit {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	out := make([]*stream.Unit, 0, n)
	for range n {
		u, err := r.Next(ctx)
		if err != nil {
			t.Fatalf("unit %d: %v", len(out), err)
		}
		if u.PTS <= after {
			t.Fatalf("PTS %v after %v", u.PTS, after)
		}
		after = u.PTS
		out = append(out, u)
	}
	return out
}

type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

var _ io.Writer = (*syncBuffer)(nil)

var discard = slog.New(slog.DiscardHandler)
