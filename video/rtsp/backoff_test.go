package rtsp_test

import (
	"context"
	"errors"
	"net"
	"sync"
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
