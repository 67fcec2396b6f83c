package console

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"stationd/agent/station"
)

// This file is the way of a request: host, origin, session, permission, handler.

// The policy of every page: nothing from elsewhere, nothing inline.
const contentPolicy = "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; connect-src 'self'; " +
	"style-src 'self'; script-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// mount puts every route behind the checks.
func (s *Server) mount(routes []station.Route) (h http.Handler, err error) {
	defer func() {
		if p := recover(); p != nil { // net/http panics on patterns that contradict each other
			err = fmt.Errorf("mount routes: %v", p)
		}
	}()
	mux := http.NewServeMux()
	for _, r := range routes {
		mux.Handle(r.Pattern, s.guard(r))
	}
	mux.Handle("/api/", station.Handler(func(http.ResponseWriter, *http.Request) error {
		return station.Errorf(http.StatusNotFound, "api.unknown", "see /api/v1/openapi.json", "there is no such route")
	}))
	mux.Handle("/", s.pages())
	return s.outer(mux), nil
}

// outer is what every request passes.
func (s *Server) outer(next http.Handler) http.Handler {
	origin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.WithContext(station.WithFail(r.Context(), s.fail))
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler {
					panic(p)
				}
				s.log.Error("request panicked", "path", r.URL.Path, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
				s.fail(w, r, errors.New("panic"))
			}
		}()
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Permissions-Policy", "geolocation=(), payment=(), usb=()")
		if s.deps.TLS != nil {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		if strings.HasPrefix(r.URL.Path, "/api/") {
			h.Set("Cache-Control", "no-store")
		}
		if !s.hostAllowed(r.Host) {
			s.fail(w, r, station.Errorf(http.StatusMisdirectedRequest, "host.unknown", "add the name to console.hosts", "this console is not called %q", r.Host))
			return
		}
		if err := origin.Check(r); err != nil {
			s.fail(w, r, station.Errorf(http.StatusForbidden, "origin.foreign", "open the console's own page", "the request comes from another site").Because(err))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostAllowed refuses names that are not ours: a foreign page whose name points
// here would otherwise be same-origin with us.
func (s *Server) hostAllowed(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	host = strings.Trim(host, "[]")
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return host == "localhost" || slices.ContainsFunc(s.cfg.Hosts, func(h string) bool { return strings.EqualFold(h, host) })
}

var wildcard = regexp.MustCompile(`\{([a-z]+)\}`)

// guard lets a request through to the route if who asks may.
func (s *Server) guard(route station.Route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := time.Now()
		rec := &recorder{ResponseWriter: w, status: http.StatusOK}
		defer func() { s.metrics.observe(route.Pattern, rec.status, time.Since(begun)) }()
		actor, err := s.actor(r)
		if err != nil {
			s.fail(rec, r, err)
			return
		}
		if route.Permission == station.PermMetrics && actor.Account == "" && fromLoopback(r) {
			actor = station.System() // a scraper on this machine has no browser to sign in with
		}
		resource := wildcard.ReplaceAllStringFunc(route.Resource, func(m string) string { return r.PathValue(m[1 : len(m)-1]) })
		if err := s.deps.Accounts.Authorize(actor, route.Permission, resource); err != nil {
			if actor.Account != "" && r.Method != http.MethodGet && r.Method != http.MethodHead {
				s.deps.Accounts.Refused(r.Context(), actor, route.Pattern, resource, err)
			}
			s.fail(rec, r, err)
			return
		}
		ctx := station.WithSight(station.WithActor(r.Context(), actor), func(camera string) error {
			return s.deps.Accounts.Authorize(actor, route.Permission, "camera/"+camera)
		})
		route.Handler.ServeHTTP(rec, r.WithContext(ctx))
	})
}

// recorder notes the status that was sent.
type recorder struct {
	http.ResponseWriter
	status int
	wrote  bool
}

func (r *recorder) WriteHeader(status int) {
	if !r.wrote {
		r.status, r.wrote = status, true
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	r.wrote = true
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// address is where a request comes from. Forwarding headers are not believed.
func address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

func fromLoopback(r *http.Request) bool { return isLoopback(address(r)) }
