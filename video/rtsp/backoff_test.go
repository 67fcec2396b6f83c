package rtsp_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"stationd/agent/station"
	"stationd/video/rtsp"
	"stationd/video/stream"
)

// Attempts on a camera that is off, over two hours.
func TestRetriesGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var at []time.Time
		cfg := rtsp.Config{Camera: "gate", URL: "rtsp://10.0.0.1/live"}
		cfg.Dial = func(context.Context, string, string) (net.Conn, error) {
			mu.Lock()
			defer mu.Unlock()
			at = append(at, time.Now())
			return nil, errors.New("no route")
		}
		to := stream.New(stream.Config{})
		s := rtsp.New(cfg, to, discard)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		time.Sleep(2 * time.Hour)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}

		for i, want := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
			want *= time.Second
			if d := at[i+1].Sub(at[i]); d < want || d > want*5/4 {
				t.Errorf("attempt %d after %v, want %v and at most a quarter more", i+2, d, want)
			}
		}
		spreads := make(map[time.Duration]bool)
		for i := 10; i < len(at); i++ {
			spreads[at[i].Sub(at[i-1])] = true
		}
		if len(spreads) < 10 {
			t.Errorf("%d different waiting times: they are not spread", len(spreads))
		}
		if state := s.State(); state.Status != station.CameraOffline {
			t.Errorf("state %+v", state)
		}
	})
}

// A camera that was good and is away is called soon and often for a minute, then
// as seldom as any other; one that refuses the password is not, however good it was.
func TestCalledSoonAfterAGoodSession(t *testing.T) {
	for name, refuses := range map[string]bool{"away": false, "refuses the password": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				var at []time.Time
				camera := &fakeCamera{t: t, sdp: h264SDP(t)}
				var served sync.WaitGroup
				camera.play = func(p *player) {
					p.pictures(11 * 25 * 8)
					mu.Lock()
					defer mu.Unlock()
					at = append(at, time.Now())
					p.conn.Close()
				}
				cfg := rtsp.Config{Camera: "gate", URL: "rtsp://10.0.0.1/live"}
				cfg.Dial = func(context.Context, string, string) (net.Conn, error) {
					mu.Lock()
					defer mu.Unlock()
					if len(at) > 0 {
						at = append(at, time.Now())
						if !refuses {
							return nil, syscall.ECONNREFUSED
						}
						camera.answer = func(string, string) string { return "RTSP/1.0 401 Unauthorized\r\n" }
					}
					ours, theirs := net.Pipe()
					served.Go(func() { camera.serve(theirs) })
					return ours, nil
				}
				to := stream.New(stream.Config{})
				s := rtsp.New(cfg, to, discard)
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error)
				go func() { done <- s.Run(ctx) }()
				time.Sleep(5 * time.Minute)
				cancel()
				if err := <-done; err != nil {
					t.Errorf("Run: %v", err)
				}
				served.Wait()

				mu.Lock()
				defer mu.Unlock()
				lost := at[0]
				within := 0
				for i, a := range at[1:] {
					d := a.Sub(at[i])
					if a.Sub(lost) <= time.Minute {
						within++
					}
					want := 250 * time.Millisecond
					switch {
					case refuses && i > 0:
						want = time.Minute << (i - 1)
					case i < 2:
						want = 100 * time.Millisecond << i
					case at[i].Sub(lost) >= time.Minute:
						continue
					}
					if d < want || d > want*5/4+time.Second/100 {
						t.Errorf("call %d after %v, want %v and at most a quarter more", i+1, d, want)
					}
				}
				if refuses && len(at) > 5 || !refuses && (within < 150 || within > 245) {
					t.Errorf("called %d times in a minute, %d in all", within, len(at))
				}
				if last := at[len(at)-1].Sub(at[len(at)-2]); !refuses && last < 16*time.Second {
					t.Errorf("after minutes it is still called every %v", last)
				}
			})
		})
	}
}
