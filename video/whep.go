package video

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"stationd/agent/station"
	"stationd/video/peer"
)

// WHEP (draft-ietf-wish-whep) is how a browser watches a camera: it posts an
// offer, gets the answer and the address of its session, and deletes that when
// it has seen enough. Offer and answer are whole; nothing is trickled.

// maxOffer is the largest offer, in bytes.
const maxOffer = 64 << 10

const sdpType = "application/sdp"

// viewing is what shows a camera to somebody.
type viewing interface {
	Close()
	Done() <-chan struct{}
}

// viewer is a session that came by HTTP.
type viewer struct {
	id      string
	session viewing
	camera  string
	role    station.StreamRole
	actor   station.Actor
	since   time.Time
}

// Routes are the routes of live video.
func (s *Set) Routes() []station.Route {
	return append([]station.Route{
		{
			Pattern:    "POST /api/v1/cameras/{id}/whep",
			Permission: station.PermVideo,
			Resource:   "camera/{id}",
			Handler:    station.Handler(s.serveOffer),
			Summary:    "Watch a camera live over WebRTC (WHEP)",
			Params: []station.Param{{
				Name: "role", In: "query", Type: "string",
				Summary: "What the picture is for: focus (the main stream; also without it), wall or conference",
			}},
			BodyType:  sdpType,
			ReplyType: sdpType,
			Status:    http.StatusCreated,
		},
		{
			Pattern:    "GET /api/v1/cameras/viewers",
			Permission: station.PermConfigure,
			Handler:    station.Handler(s.serveViewers),
			Summary:    "Who watches live, by which way, and who could not",
			Reply:      station.Viewings{},
		},
		{
			Pattern:    "GET /api/v1/cameras/{id}/streams",
			Permission: station.PermVideo,
			Resource:   "camera/{id}",
			Handler:    station.Handler(s.serveStreams),
			Summary:    "How a camera's streams are at this moment, measured over the last seconds",
			Reply:      station.CameraStreams{},
		},
		{
			Pattern:    "GET /api/v1/cameras/{id}/live.ws",
			Permission: station.PermVideo,
			Resource:   "camera/{id}",
			Handler:    station.Handler(s.serveSocket),
			Summary:    "Watch a camera live over a WebSocket: its format, then fragments of MP4",
			Params: []station.Param{
				{Name: "role", In: "query", Type: "string", Summary: "What the picture is for: focus (the main stream; also without it), wall or conference"},
				{Name: "h265", In: "query", Type: "boolean", Summary: "The browser plays H.265"},
				{Name: "sound", In: "query", Type: "string", Summary: "The sound that the browser's media source plays: aac,opus"},
			},
			ReplyType: "video/mp4",
			Status:    http.StatusSwitchingProtocols,
		},
		{
			Pattern:    "DELETE /api/v1/whep/{session}",
			Permission: station.PermVideo,
			Resource:   "whep/{session}",
			Handler:    station.Handler(s.serveDelete),
			Summary:    "Stop watching",
			Status:     http.StatusNoContent,
		},
	}, s.talkRoutes()...)
}

var (
	errMedia = station.Errorf(http.StatusUnsupportedMediaType, "whep.media-type", "send the offer as application/sdp",
		"the body is not a session description")
	errTooLarge = station.Errorf(http.StatusRequestEntityTooLarge, "whep.too-large", "send an offer of at most 64 KiB",
		"the offer is too large")
)

// readOffer is the offer that a browser posts.
func readOffer(w http.ResponseWriter, r *http.Request) (string, error) {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != sdpType {
		return "", errMedia
	}
	offer, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxOffer))
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		return "", errTooLarge
	} else if err != nil {
		return "", errMedia.Because(err)
	}
	return string(offer), nil
}

func (s *Set) serveOffer(w http.ResponseWriter, r *http.Request) error {
	offer, err := readOffer(w, r)
	if err != nil {
		return err
	}
	role, err := roleOf(r)
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	_, h265 := peer.Takes(offer)
	pictures, release, err := s.watch(r.Context(), id, role, taste{h265: h265})
	if err != nil {
		return err
	}
	if s.deps.Keys != nil && !strings.Contains(id, ".") {
		s.deps.Keys.KeyPicture(id) // where there is no picture in the cache, it need not be waited for
	}
	session, err := s.deps.Hub.Watch(r.Context(), offer, pictures)
	if err != nil {
		release()
		return err
	}
	if !s.keepView(&viewer{id: session.ID, session: session, camera: id, role: role, actor: station.ActorFrom(r.Context()), since: time.Now()}, release) {
		session.Close()
		release()
		return errStopped
	}
	w.Header().Set("Content-Type", sdpType)
	w.Header().Set("Location", "/api/v1/whep/"+session.ID)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, session.Answer) // a browser that left lets the session time out
	return nil
}

// roleOf is what the picture is wanted for.
func roleOf(r *http.Request) (station.StreamRole, error) {
	switch role := station.StreamRole(r.URL.Query().Get("role")); role {
	case "", station.RoleFocus:
		return station.RoleFocus, nil
	case station.RoleWall, station.RoleConference:
		return role, nil
	}
	return "", station.Errorf(http.StatusBadRequest, "whep.role", "write focus, wall or conference", "the role is not known").At("role")
}

// keepView holds the stream for as long as the session lives; false when the
// set has ended.
func (s *Set) keepView(v *viewer, release func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.runs() {
		return false
	}
	s.views[v.id] = v
	s.work.Add(1)
	go func() {
		defer s.work.Done()
		<-v.session.Done()
		s.mu.Lock()
		delete(s.views, v.id)
		s.couldNot(v)
		s.mu.Unlock()
		release()
	}()
	return true
}

// CameraOf is the camera that is watched in a viewing that came by HTTP; "" where
// there is no such viewing.
func (s *Set) CameraOf(session string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := s.views[session]; v != nil {
		return v.camera
	}
	return ""
}

// EndViews ends the viewings of those who may no longer watch, and the talks of
// those who may no longer talk.
func (s *Set) EndViews(may func(actor station.Actor, camera string) bool) {
	s.mu.Lock()
	views := make([]*viewer, 0, len(s.views))
	for _, v := range s.views {
		views = append(views, v)
	}
	s.mu.Unlock()
	for _, v := range views {
		if !may(v.actor, v.camera) {
			v.session.Close()
		}
	}
	s.endTalks()
}

// serveDelete ends a session. Its ID is known to nobody but who opened it, and
// the route's permission has been checked.
func (s *Set) serveDelete(w http.ResponseWriter, r *http.Request) error {
	s.mu.Lock()
	v := s.views[r.PathValue("session")]
	s.mu.Unlock()
	if v == nil || v.actor.Account != station.ActorFrom(r.Context()).Account {
		return station.ErrNotFound
	}
	v.session.Close()
	w.WriteHeader(http.StatusNoContent)
	return nil
}
