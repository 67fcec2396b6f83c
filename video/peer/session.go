package peer

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"

	"stationd/agent/station"
)

// Session is one connection to one peer: a viewer, or one end of a relay leg.
type Session struct {
	// ID is a UUIDv7; who knows it may close the session.
	ID string
	// Answer is the session description for a peer that made the offer.
	Answer string

	hub       *Hub
	kind      string
	pc        *webrtc.PeerConnection
	life      context.Context
	end       context.CancelCauseFunc
	connected chan struct{}
	done      chan struct{}
	helpers   sync.WaitGroup
	counts    func() Counts
	waysMu    sync.Mutex
	noted     bool               // used and tried are known for good, or as good as
	used      station.ViewingWay // see Ways
	tried     []station.ViewingWay
	out       *outlet // of a session that sends

	connectOnce sync.Once
}

// Why a session ended.
var (
	errClosed      = errors.New("closed")
	errStopped     = errors.New("the program ends")
	errStreamEnded = errors.New("the camera was removed")
)

// Why a session ended by no will of anybody's.
var (
	ErrPeerGone     = errors.New("the peer is gone")
	ErrNoConnection = errors.New("the peer did not connect; a firewall may block the video port")
)

// open makes a session with a connection that has not been negotiated. Its
// place in the hub has been taken.
func (h *Hub) open(r *running, kind string, api *webrtc.API) (*Session, error) {
	pc, err := api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, err
	}
	s := &Session{
		ID:        station.NewID(),
		hub:       h,
		kind:      kind,
		pc:        pc,
		connected: make(chan struct{}),
		done:      make(chan struct{}),
		counts:    func() Counts { return Counts{} },
	}
	s.life, s.end = context.WithCancelCause(r.life)
	pc.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		switch state {
		case webrtc.PeerConnectionStateConnected:
			s.connectOnce.Do(func() { close(s.connected) })
		case webrtc.PeerConnectionStateFailed, webrtc.PeerConnectionStateClosed:
			select {
			case <-s.connected:
				s.end(ErrPeerGone)
			default:
				s.end(ErrNoConnection)
			}
		}
	})
	return s, nil
}

// abandon closes a session that never ran.
func (s *Session) abandon() {
	s.end(errClosed)
	_ = s.pc.GracefulClose()
}

// run waits for the connection, does work, and closes everything when that or
// the session ends. It is the session's one goroutine; helpers are waited for.
func (s *Session) run(work func(context.Context) error) {
	err := s.connect()
	s.noteWays()
	if err == nil {
		s.hub.log.Info("session began", "session", s.ID, "kind", s.kind)
		err = work(s.life)
	}
	s.end(err)
	_ = s.pc.GracefulClose()
	s.helpers.Wait()
	c := s.counts()
	s.hub.log.Info("session ended", "session", s.ID, "kind", s.kind, "cause", s.cause(),
		"packets", c.Packets, "repaired", c.Repaired, "skipped", c.Skipped)
	close(s.done)
	s.hub.forget(s)
}

func (s *Session) connect() error {
	t := time.NewTimer(s.hub.cfg.SessionTimeout)
	defer t.Stop()
	select {
	case <-s.connected:
		return nil
	case <-t.C:
		return ErrNoConnection
	case <-s.life.Done():
		return context.Cause(s.life)
	}
}

// cause says why the session ended; nil while it lives.
func (s *Session) cause() error {
	switch err := context.Cause(s.life); {
	case errors.Is(err, context.Canceled):
		return errStopped
	default:
		return err
	}
}

// Done is closed when the session has ended and nothing of it is left.
func (s *Session) Done() <-chan struct{} { return s.done }

// Connected is closed when the peer has connected.
func (s *Session) Connected() <-chan struct{} { return s.connected }

// Err says why the session ended; nil before it is about to.
func (s *Session) Err() error { return s.cause() }

// Close ends the session. It does not wait; Done tells.
func (s *Session) Close() { s.end(errClosed) }

// tell sends a report to the peer, if it can be reached.
func (s *Session) tell(p rtcp.Packet) { _ = s.pc.WriteRTCP([]rtcp.Packet{p}) }

// Counts is what the session did so far.
func (s *Session) Counts() Counts { return s.counts() }

// help starts a goroutine that ends with the connection.
func (s *Session) help(f func()) {
	s.helpers.Add(1)
	go func() {
		defer s.helpers.Done()
		f()
	}()
}
