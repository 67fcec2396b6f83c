package console

import (
	"encoding/json"
	"net/http"
	"strconv"

	"stationd/agent/station"
)

// problemDocument is an error as RFC 9457 wants it, with members of ours.
type problemDocument struct {
	Type   string `json:"type"` // urn:stationd:problem:CODE
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Code   string `json:"code"`
	Hint   string `json:"hint,omitempty"`
	Place  string `json:"place,omitempty"`
	// Args are the parts of Detail that a translation needs.
	Args map[string]string `json:"args,omitempty"`
}

// fail is the one place where an error becomes an answer. What is not meant for
// people is logged and answered without its text.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	p, ok := station.AsProblem(err)
	switch {
	case r.Context().Err() != nil && !ok:
		return // the client has gone
	case !ok:
		s.log.Error("request failed", "method", r.Method, "path", r.URL.Path, "err", err)
		p = station.Errorf(http.StatusInternalServerError, "internal", "try again; if it stays, look into the log", "something failed inside")
	case p.Unwrap() != nil:
		s.log.Debug("request refused", "method", r.Method, "path", r.URL.Path, "code", p.Code, "err", p.Unwrap())
	}
	body, err := json.Marshal(problemDocument{
		Type: "urn:stationd:problem:" + p.Code, Title: http.StatusText(p.Status), Status: p.Status,
		Detail: p.Message, Code: p.Code, Hint: p.Hint, Place: p.Place, Args: p.Args,
	})
	if err != nil {
		s.log.Error("problem not encoded", "err", err)
		return
	}
	h := w.Header()
	h.Del("Content-Length")
	h.Set("Content-Type", "application/problem+json")
	if p.Status == http.StatusTooManyRequests {
		h.Set("Retry-After", strconv.Itoa(60))
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(body) // the client is gone: nothing to tell it
}
