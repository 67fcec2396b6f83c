package video

import (
	"context"
	"net/http"
	"time"

	"stationd/agent/station"
	"stationd/video/stream"
)

// What a stream brings is measured once a second, over the last five, for who
// asks: it changes all the time and is no event.

const (
	measureEvery = time.Second
	measureOver  = 5
)

// meter is the counts of the last seconds.
type meter struct {
	at    [measureOver + 1]time.Time
	stats [measureOver + 1]stream.Stats
	n     int
}

func (m *meter) add(at time.Time, st stream.Stats) {
	i := m.n % len(m.at)
	m.at[i], m.stats[i] = at, st
	m.n++
}

// rate is what the counts come to.
func (m *meter) rate() station.StreamRate {
	if m.n < 2 {
		return station.StreamRate{}
	}
	last, first := (m.n-1)%len(m.at), 0
	if m.n > len(m.at) {
		first = m.n % len(m.at)
	}
	d := m.at[last].Sub(m.at[first]).Seconds()
	if d <= 0 {
		return station.StreamRate{}
	}
	a, b := m.stats[first], m.stats[last]
	return station.StreamRate{
		Bits:        int64(float64(b.Bytes-a.Bytes) * 8 / d),
		Pictures:    float64(int(float64(b.Units-a.Units)/d*10+0.5)) / 10,
		KeyDistance: b.KeyDistance,
	}
}

// measure counts until ctx ends.
func (s *Set) measure(ctx context.Context) {
	tick := time.NewTicker(measureEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			s.mu.Lock()
			for _, c := range s.cameras {
				for _, f := range c.feeds() {
					f.meter.add(now, f.stream.Stats())
				}
			}
			s.mu.Unlock()
		}
	}
}

// Streams is how a camera's streams are at this moment, with what was measured;
// false for a camera that is not one of this node.
func (s *Set) Streams(id string) (station.CameraStreams, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.cameras[id]
	if c == nil {
		return station.CameraStreams{}, false
	}
	measured := func(f *feed) station.StreamState {
		st := f.state
		if st.Status == station.CameraOnline {
			st.Rate = f.meter.rate()
			if f.lost != nil {
				st.Rate.Lost = f.lost()
			}
		}
		return st
	}
	out := station.CameraStreams{Camera: id, Main: measured(c.main)}
	if c.sub != nil {
		out.Sub = measured(c.sub)
	}
	return out, true
}

func (s *Set) serveStreams(w http.ResponseWriter, r *http.Request) error {
	streams, ok := s.Streams(r.PathValue("id"))
	if !ok {
		return errUnknown
	}
	return station.WriteJSON(w, http.StatusOK, streams)
}
