package station

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
)

// Handler is an HTTP handler that returns its error instead of writing it. The
// console hands the one function that turns errors into RFC 9457 documents down
// in the request's context; without it (a test that serves a route alone) only
// the problem itself is written.
type Handler func(w http.ResponseWriter, r *http.Request) error

type failKey struct{}

// WithFail returns a context whose Handlers report their errors to fail.
func WithFail(ctx context.Context, fail func(http.ResponseWriter, *http.Request, error)) context.Context {
	return context.WithValue(ctx, failKey{}, fail)
}

// ServeHTTP calls h and reports its error.
func (h Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	err := h(w, r)
	if err == nil {
		return
	}
	if fail, ok := r.Context().Value(failKey{}).(func(http.ResponseWriter, *http.Request, error)); ok {
		fail(w, r, err)
		return
	}
	p, ok := AsProblem(err)
	if !ok {
		p = Errorf(http.StatusInternalServerError, "internal", "look into the log", "something failed inside")
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}

// WriteJSON answers with v. It returns the error of encoding, before anything
// is written, so that it can still be reported.
func WriteJSON(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // the client is gone: nothing to tell it
	return nil
}

// MaxBody is the largest JSON body that a route takes, in bytes.
const MaxBody = 256 << 10

// ReadJSON decodes the request's body into v: at most MaxBody bytes, no unknown
// fields, nothing behind it.
func ReadJSON(w http.ResponseWriter, r *http.Request, v any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, MaxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		if large := new(http.MaxBytesError); errors.As(err, &large) {
			return Errorf(http.StatusRequestEntityTooLarge, "body.too-large", "send less", "the body has more than %d bytes", large.Limit)
		}
		return Errorf(http.StatusBadRequest, "body.invalid", "send one JSON object as the API document describes", "the body cannot be read: %v", err).Because(err)
	}
	if d.More() {
		return Errorf(http.StatusBadRequest, "body.invalid", "send one JSON object", "there is more than one value in the body")
	}
	return nil
}
