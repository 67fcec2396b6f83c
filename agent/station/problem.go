package station

import (
	"errors"
	"fmt"
)

// Problem is the one error type that is meant for people: what went wrong and
// what to do. Every other error is internal; it is logged, and people are told
// only that something failed. One place turns problems into RFC 9457 documents.
type Problem struct {
	// Code is stable and for programs: "camera.unknown".
	Code string `json:"code"`
	// Status is the HTTP status that fits it.
	Status int `json:"status"`
	// Message is one sentence; Hint is the remedy.
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	// Place names the field, key or line at fault, where there is one.
	Place string `json:"place,omitempty"`
	// Args are the parts of Message that a translation needs: a name, a version.
	Args map[string]string `json:"args,omitempty"`
	err  error
}

// Error is the message, with the place in front and the hint behind.
func (p *Problem) Error() string {
	s := p.Message
	if p.Place != "" {
		s = p.Place + ": " + s
	}
	if p.Hint != "" {
		s += " (" + p.Hint + ")"
	}
	if p.err != nil {
		s += ": " + p.err.Error()
	}
	return s
}

// Unwrap is the internal cause, which people are not shown.
func (p *Problem) Unwrap() error { return p.err }

// Because attaches the internal cause.
func (p Problem) Because(err error) *Problem { p.err = err; return &p }

// At names the place at fault.
func (p Problem) At(place string) *Problem { p.Place = place; return &p }

// With adds what a translation of the message needs.
func (p Problem) With(args map[string]string) *Problem { p.Args = args; return &p }

// Errorf makes a problem.
func Errorf(status int, code, hint, format string, args ...any) *Problem {
	return &Problem{Code: code, Status: status, Message: fmt.Sprintf(format, args...), Hint: hint}
}

// AsProblem finds the problem in err's chain.
func AsProblem(err error) (*Problem, bool) {
	var p *Problem
	if errors.As(err, &p) {
		return p, true
	}
	return nil, false
}

// Problems that several rooms meet.
var (
	// ErrNoSpace is returned, before anything is written, when free space is
	// below the watermark of what is to be written.
	ErrNoSpace = &Problem{Code: "storage.full", Status: 507, Message: "storage is too full for this", Hint: "free space on the data disk; alarms are still taken in"}
	// ErrNotFound is for what does not exist or may not be seen.
	ErrNotFound = &Problem{Code: "not-found", Status: 404, Message: "there is nothing here", Hint: "it may have been removed; go back and reload"}
)

// Is makes copies of a problem (At, Because) equal to the original for
// errors.Is: the code decides.
func (p *Problem) Is(target error) bool {
	t, ok := target.(*Problem)
	return ok && t.Code == p.Code
}
