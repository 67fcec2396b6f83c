package video

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"stationd/agent/station"
	"stationd/video/mse"
	"stationd/video/peer"
)

// Who watches, by which way, and who could not: for the installer who looks for the
// firewall between.

// Those who could not watch are told of for a while, the newest of them.
const (
	mostFailed = 32
	failedFor  = time.Hour
)

// tell is a viewer as others are told of it.
func (v *viewer) tell() station.Viewing {
	t := station.Viewing{
		Camera: v.camera, Role: v.role, Account: v.actor.Account, Name: v.actor.Name, Address: v.actor.Address,
		Since: v.since, Status: station.ViewingConnecting,
	}
	switch session := v.session.(type) {
	case *mse.Socket:
		t.Status, t.Transport, t.Skipped = station.ViewingConnected, "websocket", session.Skipped()
	case *peer.Session:
		t.Used, t.Tried, t.Offered = session.Ways()
		c := session.Counts()
		t.Packets, t.Repaired, t.Refused, t.Skipped, t.RoundTrip = c.Packets, c.Repaired, c.Refused, c.Skipped, c.RoundTrip
		select {
		case <-session.Connected():
			t.Status, t.Transport = station.ViewingConnected, t.Used.Protocol
		default:
		}
		if err := session.Err(); err != nil {
			t.Cause = err.Error()
		}
	}
	return t
}

// couldNot keeps what is told of a viewer whose session has ended without ever having
// connected, by no will of anybody's. s.mu is held.
func (s *Set) couldNot(v *viewer) {
	session, ok := v.session.(*peer.Session)
	if !ok || !errors.Is(session.Err(), peer.ErrNoConnection) && !errors.Is(session.Err(), peer.ErrPeerGone) {
		return
	}
	select {
	case <-session.Connected():
		return // a window was closed, or a cable pulled: the way is good
	default:
	}
	t := v.tell()
	t.Status, t.Ended = station.ViewingFailed, time.Now()
	s.failed = append(s.failed, t)
	if more := len(s.failed) - mostFailed; more > 0 {
		s.failed = slices.Delete(s.failed, 0, more)
	}
}

// Viewers lists who watches now, and who could not within the last hour; of the
// cameras that see lets pass.
func (s *Set) Viewers(see func(camera string) bool) station.Viewings {
	s.mu.Lock()
	views := make([]*viewer, 0, len(s.views))
	for _, v := range s.views {
		views = append(views, v)
	}
	failed := slices.Clone(s.failed)
	s.mu.Unlock()
	out := station.Viewings{Viewers: []station.Viewing{}, Failed: []station.Viewing{}}
	for _, v := range views {
		if see(v.camera) {
			out.Viewers = append(out.Viewers, v.tell())
		}
	}
	for _, t := range failed {
		if see(t.Camera) && time.Since(t.Ended) < failedFor {
			out.Failed = append(out.Failed, t)
		}
	}
	slices.SortFunc(out.Viewers, func(x, y station.Viewing) int { return y.Since.Compare(x.Since) })
	slices.Reverse(out.Failed)
	return out
}

func (s *Set) serveViewers(w http.ResponseWriter, r *http.Request) error {
	return station.WriteJSON(w, http.StatusOK, s.Viewers(func(camera string) bool {
		return station.MaySee(r.Context(), camera) == nil
	}))
}
