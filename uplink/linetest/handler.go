package linetest

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
)

// Path is the resource at the parent: GET gives a piece, POST takes one in, HEAD
// answers at once.
const Path = "/uplink/v1/line"

// piece is how much goes in one request: little enough to stop soon.
const piece = 48 << 10

// headerLost tells, from the parent, how many of its packets were sent again, of
// how many, on this connection.
const headerLost = "Line-Resent"

// mostAtOnce bounds the requests of all stations that are served at a time: of a few
// tests.
const mostAtOnce = 64

// Handler is the parent's end. Who asks has shown a certificate.
type Handler struct {
	slots chan struct{}
	once  sync.Once
	noise []byte
}

// NewHandler makes the parent's end.
func NewHandler() *Handler { return &Handler{slots: make(chan struct{}, mostAtOnce)} }

type connKey struct{}

// ConnContext is for http.Server: it lets the handler see the connection.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// ServeHTTP serves one piece.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	default:
		w.Header().Set("Retry-After", "10")
		http.Error(w, "too many lines are tested", http.StatusServiceUnavailable)
		return
	}
	if c, ok := r.Context().Value(connKey{}).(net.Conn); ok {
		if again, all, ok := resent(c); ok {
			w.Header().Set(headerLost, fmt.Sprintf("%d/%d", again, all))
		}
	}
	switch r.Method {
	case http.MethodHead:
	case http.MethodPost:
		if _, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, piece)); err != nil {
			http.Error(w, "the piece did not come whole", http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	case http.MethodGet:
		h.once.Do(func() { // nothing on the way can press it
			h.noise = make([]byte, piece)
			_, _ = rand.Read(h.noise)
		})
		w.Header().Set("Content-Type", "application/octet-stream")
		_, _ = w.Write(h.noise)
	default:
		http.Error(w, "GET, POST or HEAD", http.StatusMethodNotAllowed)
	}
}
