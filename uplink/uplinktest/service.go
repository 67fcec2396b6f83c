package uplinktest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/uplink"
	"stationd/uplink/transport/webhook"
)

// Service is a web service that takes events by HTTP, as a stranger would write
// it: it checks the signature, and knows an event by its source and id.
type Service struct {
	// Answer, when set, may answer a request instead; it returns whether it did.
	Answer func(w http.ResponseWriter, r *http.Request) bool
	// Forget, when set, takes the events in and breaks the connection off
	// instead of answering.
	Forget func() bool

	t          testing.TB
	server     *httptest.Server
	secretFile string

	mu     sync.Mutex
	events map[station.Lane][]Taken
	seen   map[string]bool
	kinds  map[string]int // requests by content type
	again  int            // events that had come before
	keys   map[string]int // requests by idempotency key
}

// Taken is one event as the service read it.
type Taken struct {
	ID, Source, Type, Subject string
	Lane                      station.Lane
	Seq                       string
	Data                      json.RawMessage
}

// secret is what both ends share.
const secret = "a secret of both ends, 32 bytes +"

// NewService starts one, without TLS on loopback.
func NewService(t testing.TB) *Service {
	t.Helper()
	s := &Service{t: t, secretFile: filepath.Join(t.TempDir(), "secret"), events: map[station.Lane][]Taken{}, seen: map[string]bool{}, kinds: map[string]int{}, keys: map[string]int{}}
	if err := os.WriteFile(s.secretFile, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.server = httptest.NewServer(s)
	t.Cleanup(s.server.Close)
	return s
}

// URL is where it is, and SecretFile what it shares.
func (s *Service) URL() string        { return s.server.URL + "/events" }
func (s *Service) SecretFile() string { return s.secretFile }

func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	id := r.Header.Get("Webhook-Id")
	if want := webhook.Sign([]byte(secret), id, r.Header.Get("Webhook-Timestamp"), body); r.Header.Get("Webhook-Signature") != want || id == "" || r.Header.Get("Idempotency-Key") != id {
		http.Error(w, "the signature is wrong", http.StatusUnauthorized)
		return
	}
	if s.Answer != nil && s.Answer(w, r) {
		return
	}
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	var events []Taken
	if kind == "application/cloudevents+json" {
		events = make([]Taken, 1)
		err = json.Unmarshal(body, &events[0])
	} else {
		err = json.Unmarshal(body, &events)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.kinds[kind]++
	s.keys[id]++
	for _, ev := range events {
		if key := ev.Source + " " + ev.ID; s.seen[key] {
			s.again++
		} else {
			s.seen[key] = true
			s.events[ev.Lane] = append(s.events[ev.Lane], ev)
		}
	}
	s.mu.Unlock()
	if s.Forget != nil && s.Forget() {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(http.StatusNoContent)
}

// Events are those of a lane, each once, in the order of their coming.
func (s *Service) Events(lane station.Lane) []Taken {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Taken(nil), s.events[lane]...)
}

// Requests counts the requests of a content type that were taken, and the events
// that had come before.
func (s *Service) Requests(kind string) (n, again int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kinds[kind], s.again
}

// Repeated tells whether a request came twice under one key.
func (s *Service) Repeated() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.keys {
		if n > 1 {
			return true
		}
	}
	return false
}

// Rig is the service behind the webhook.
func (s *Service) Rig() Rig {
	cfg := uplink.DefaultConfig().Beside(uplink.Target{Name: "web", URL: s.URL(), SecretFile: s.secretFile})
	cfg.AckTimeout, cfg.RetryMin, cfg.RetryMax = 2*time.Second, 5*time.Millisecond, 50*time.Millisecond
	var down atomic.Bool
	s.Answer = func(http.ResponseWriter, *http.Request) bool {
		if down.Load() {
			panic(http.ErrAbortHandler)
		}
		return false
	}
	return Rig{
		Config: cfg, Down: func() { down.Store(true) }, Up: func() { down.Store(false) },
		Dialer: webhook.New(webhook.Config{URL: s.URL(), SecretFile: s.secretFile, Timeout: cfg.AckTimeout}, logFor(s.t)),
		Got: func(lane station.Lane) []string {
			var ids []string
			for _, ev := range s.Events(lane) {
				ids = append(ids, ev.ID)
			}
			return ids
		},
	}
}
