package console

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"stationd/agent/station"
)

// ownRoutes are what belongs to no room: sessions, health, the event stream and
// the description of the API.
func (s *Server) ownRoutes() []station.Route {
	metrics := promhttp.HandlerFor(s.deps.Metrics, promhttp.HandlerOpts{})
	return []station.Route{
		{Pattern: "GET /api/v1/session", Permission: station.PermPublic, Summary: "Who is signed in, and what they may do", Reply: sessionView{}, Handler: station.Handler(s.getSession)},
		{Pattern: "POST /api/v1/claim", Permission: station.PermPublic, Summary: "Claim a fresh node: make its first administrator", Body: claimOrder{}, Reply: sessionView{}, Handler: station.Handler(s.postClaim)},
		{Pattern: "POST /api/v1/login", Permission: station.PermPublic, Summary: "Sign in by password or by a single-use link", Body: loginOrder{}, Reply: sessionView{}, Handler: station.Handler(s.postLogin)},
		{Pattern: "POST /api/v1/logout", Permission: station.PermPublic, Summary: "Sign out", Status: http.StatusNoContent, Handler: station.Handler(s.postLogout)},
		{Pattern: "GET /api/v1/status", Permission: station.PermWatch, Summary: "The health of the node", Reply: Status{}, Handler: station.Handler(s.getStatus)},
		{Pattern: "GET /api/v1/events", Permission: station.PermWatch, Summary: "Everything that happens, as Server-Sent Events", Params: []station.Param{{Name: "Last-Event-ID", In: "header", Type: "integer", Summary: "go on behind this event; without it the stream begins with the next one"}}, ReplyType: "text/event-stream", Handler: station.Handler(s.getEvents)},
		{Pattern: "GET /api/v1/openapi.json", Permission: station.PermPublic, Summary: "This description", ReplyType: "application/json", Handler: station.Handler(s.getOpenAPI)},
		{Pattern: "GET /healthz", Permission: station.PermPublic, Summary: "The process lives", ReplyType: "text/plain", Handler: station.Handler(s.getHealth)},
		{Pattern: "GET /readyz", Permission: station.PermPublic, Summary: "Alarms can be taken in", ReplyType: "text/plain", Handler: station.Handler(s.getReady)},
		{Pattern: "GET /metrics", Permission: station.PermMetrics, Summary: "Measurements in the Prometheus text format", ReplyType: "text/plain", Handler: metrics},
	}
}

func (s *Server) getStatus(w http.ResponseWriter, _ *http.Request) error {
	return station.WriteJSON(w, http.StatusOK, s.deps.Status())
}

func (s *Server) getOpenAPI(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(s.openapi) // the client is gone: nothing to tell it
	return nil
}

func (s *Server) getHealth(w http.ResponseWriter, _ *http.Request) error {
	return plain(w, "ok\n")
}

func (s *Server) getReady(w http.ResponseWriter, r *http.Request) error {
	if err := s.deps.Ready(r.Context()); err != nil {
		return station.Errorf(http.StatusServiceUnavailable, "not-ready", "wait; if it stays, look at the log", "alarms cannot be taken in").Because(err)
	}
	return plain(w, "ready\n")
}

func plain(w http.ResponseWriter, text string) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte(text)) // the client is gone: nothing to tell it
	return nil
}
