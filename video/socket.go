package video

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"stationd/agent/station"
	"stationd/video/mse"
)

// The WebSocket is for browsers that WebRTC does not reach. It is a viewer like
// any other: bounded with them, and ended when its account may no longer see
// the camera.

// mostSockets bounds the sockets of all cameras together.
const mostSockets = 64

var errSockets = station.Errorf(http.StatusServiceUnavailable, "video.full", "close a picture elsewhere",
	"as many people are watching as this machine serves")

func (s *Set) serveSocket(w http.ResponseWriter, r *http.Request) error {
	role, err := roleOf(r)
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	pictures, release, err := s.watch(r.Context(), id, role, taste{h265: r.URL.Query().Get("h265") == "true"})
	if err != nil {
		return err
	}
	defer release()
	s.mu.Lock()
	full, life := s.sockets >= mostSockets, s.life
	if !full {
		s.sockets++
	}
	s.mu.Unlock()
	if full {
		return errSockets
	}
	defer func() {
		s.mu.Lock()
		s.sockets--
		s.mu.Unlock()
	}()
	if life == nil {
		return errStopped
	}
	socket, err := mse.Open(w, r, life)
	if _, problem := station.AsProblem(err); problem {
		return err
	} else if err != nil {
		return nil // the browser was answered
	}
	sounds := strings.Split(r.URL.Query().Get("sound"), ",")
	socket.Plays(func(codec string) bool {
		return slices.ContainsFunc(sounds, func(s string) bool { return strings.EqualFold(s, codec) })
	})
	v := &viewer{id: station.NewID(), session: socket, camera: id, role: role, actor: station.ActorFrom(r.Context()), since: time.Now()}
	if !s.keepView(v, func() {}) {
		socket.Close()
		_ = socket.Serve(pictures)
		return nil
	}
	err = socket.Serve(pictures)
	s.log.Debug("socket ended", "camera", id, "skipped", socket.Skipped(), "cause", err)
	return nil
}
