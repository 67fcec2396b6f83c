package gb26875

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"time"

	"stationd/devices/payload"
)

// How a report that cannot be stored is tried again before it is denied. A unit
// waits at most ten seconds for its answer.
const (
	attempts    = 4
	firstPause  = 250 * time.Millisecond
	writeWithin = 10 * time.Second
	// maxAddresses is how many units may speak on one connection: a
	// concentrator stands in for several.
	maxAddresses = 64
)

// conversation is one connection.
type conversation struct {
	server *Server
	conn   net.Conn
	remote string
	units  []Address
	out    []byte
}

// serve talks to one connection until it ends, goes silent or ctx ends.
func (s *Server) serve(ctx context.Context, c net.Conn) {
	stop := context.AfterFunc(ctx, func() { _ = c.SetReadDeadline(time.Unix(1, 0)) }) // wakes the reader
	defer stop()
	v := &conversation{server: s, conn: c, remote: c.RemoteAddr().String()}
	log := s.deps.Log.With("remote", v.remote)
	defer func() {
		for _, a := range v.units {
			s.part(a)
		}
	}()
	r := NewReader(c)
	var skipped uint64
	deadline := time.Now().Add(s.cfg.IdentifyWithin)
	for {
		_ = c.SetReadDeadline(deadline) // a connection that is gone says so at the read
		if ctx.Err() != nil {
			return
		}
		f, err := r.Next()
		s.stats.skipped.Add(r.Skipped() - skipped)
		skipped = r.Skipped()
		switch {
		case errors.Is(err, ErrDamaged):
			s.stats.damaged.Add(1)
			s.deps.Odd(v.remote, f.Raw, err)
			if err := v.answer(f, Deny); err != nil {
				return
			}
			continue
		case err != nil:
			if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil {
				log.Info("transmission unit was silent and is disconnected", "units", len(v.units))
			} else if !errors.Is(err, io.EOF) && ctx.Err() == nil {
				log.Info("transmission unit disconnected", "error", err)
			}
			return
		}
		s.stats.frames.Add(1)
		s.identified(c)
		deadline = time.Now().Add(s.cfg.Idle)
		if err := v.take(ctx, f); err != nil {
			if ctx.Err() == nil {
				log.Info("transmission unit disconnected", "error", err)
			}
			return
		}
	}
}

// errAddresses ends a connection that speaks for too many.
var errAddresses = errors.New("more units speak on one connection than there can be")

// take deals with one whole frame. An error ends the connection.
func (v *conversation) take(ctx context.Context, f Frame) error {
	s := v.server
	first := !slices.Contains(v.units, f.Source)
	if first {
		if len(v.units) == maxAddresses {
			return errAddresses
		}
		v.units = append(v.units, f.Source)
	}
	back := s.meet(f.Source, first)
	switch f.Command {
	case Send:
		return v.report(ctx, f, back)
	case Reply:
		if len(f.Data) == 0 {
			return nil
		}
		if !v.understand(ctx, f, back) {
			s.deps.Log.Warn("reply of a transmission unit not stored", "unit", f.Source.String())
		}
	case Confirm, Deny: // of what we never asked
	default:
		s.deps.Odd(v.remote, f.Raw, errors.New("gb26875 frame: units do not send this command"))
		s.stats.denied.Add(1)
		return v.answer(f, Deny)
	}
	return nil
}

// report stores what a unit reports, and answers it.
func (v *conversation) report(ctx context.Context, f Frame, back bool) error {
	s := v.server
	mark := f.mark()
	if len(f.Data) > 0 && s.stored(f.Source, mark) && !back {
		s.stats.repeated.Add(1)
		return v.answer(f, Confirm)
	}
	if v.understand(ctx, f, back) {
		if len(f.Data) > 0 {
			s.store(f.Source, mark)
		}
		s.stats.reports.Add(1)
		return v.answer(f, Confirm)
	}
	if ctx.Err() != nil {
		return ctx.Err() // no answer: the unit sends it to whoever comes after us
	}
	s.stats.denied.Add(1)
	return v.answer(f, Deny)
}

// understand hands on what a frame says. It returns false when not all of it was
// stored, or not all of it could be read.
func (v *conversation) understand(ctx context.Context, f Frame, back bool) bool {
	s := v.server
	readings, err := f.Readings()
	if err != nil {
		s.deps.Odd(v.remote, f.Raw, err)
	}
	whole := err == nil || errors.Is(err, ErrForeign) || errors.Is(err, errMore)
	if back && !slices.ContainsFunc(readings, isPresence) {
		readings = append([]payload.Reading{f.unit()}, readings...)
	}
	readings = append(readings, s.cleared(f.Source, readings)...)
	if len(readings) > 0 {
		if err := v.store(ctx, readings); err != nil {
			s.deps.Log.Warn("report of a transmission unit not stored", "unit", f.Source.String(), "error", err)
			return false
		}
		s.stand(f.Source, readings)
		if back {
			s.reported(f.Source, true)
		}
	}
	return whole
}

func isPresence(r payload.Reading) bool { return r.Presence != "" }

// store tries to hand on readings.
func (v *conversation) store(ctx context.Context, readings []payload.Reading) (err error) {
	wait := firstPause
	for i := range attempts {
		if i > 0 {
			pause(ctx, wait)
			wait *= 2
		}
		if err = ctx.Err(); err != nil {
			return err
		}
		if err = v.server.deps.Handle(ctx, readings...); err == nil {
			return nil
		}
	}
	return err
}

// answer sends a frame without data back to where f came from.
func (v *conversation) answer(f Frame, command Command) error {
	a := Frame{
		Serial: f.Serial, Version: f.Version, Time: LabelOf(v.server.deps.Now()),
		Source: f.Destination, Destination: f.Source, Command: command,
	}
	v.out = a.AppendTo(v.out[:0])
	_ = v.conn.SetWriteDeadline(time.Now().Add(writeWithin)) // a connection that is gone says so at the write
	_, err := v.conn.Write(v.out)
	return err
}
