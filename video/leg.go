package video

import (
	"context"
	"fmt"
	"strings"
	"time"

	"stationd/agent/station"
	"stationd/video/peer"
	"stationd/video/stream"
)

// A leg is the picture of a station's camera on its way to this centre. It is
// opened for the first viewer, shared by all, opened again when it breaks, and
// closed a while after the last viewer has left.
type leg struct {
	key    legKey
	node   station.NodeID
	camera string
	stream *stream.Stream
	job    *job

	// Guarded by Set.mu:
	role     station.StreamRole // the most demanding of its viewers'
	viewers  int
	linger   *time.Timer        // runs while there are no viewers
	session  string             // that the station was told, while it is awaited
	accepted chan *peer.Session // one, or nil for an offer that was no good
	failed   error              // of the last attempt
	failure  chan struct{}      // closed at the next failure
	gone     bool
}

// legKey tells legs apart: each quality of a camera crosses the line once.
type legKey struct {
	camera  string // "node.camera"
	smaller bool
}

// farewell is how long telling a station that its picture is no longer wanted
// may take, when all else has ended.
const farewell = 2 * time.Second

var (
	errUnknown = &station.Problem{
		Code: "camera.unknown", Status: 404, Message: "there is no such camera",
		Hint: "it may have been removed; go back and reload",
	}
	errStopped = &station.Problem{
		Code: "video.stopped", Status: 503, Message: "live video is not running",
		Hint: "wait a moment and try again",
	}
	errNoLeg = &station.Problem{
		Code: "leg.unknown", Status: 404, Message: "nobody waits for this picture",
		Hint: "the viewer has left; nothing is to be done",
	}
	errNoAnswer = &station.Problem{
		Code: "leg.no-answer", Status: 503, Message: "the station did not bring the picture in time",
		Hint: "the station or its line may be down; see its lamp, then try again",
	}
)

func (s *Set) watchRemote(ctx context.Context, id string, role station.StreamRole) (*stream.Stream, func(), error) {
	s.mu.Lock()
	camera, ok := s.remotes[id]
	if !ok || s.deps.Remote == nil {
		s.mu.Unlock()
		return nil, nil, errUnknown
	}
	if !s.runs() {
		s.mu.Unlock()
		return nil, nil, errStopped
	}
	key := legKey{id, role == station.RoleWall && camera.Sub != ""}
	l := s.legs[key]
	if l == nil {
		l = s.openLeg(key)
	}
	if l.role == "" || l.role == station.RoleWall {
		l.role = role
	}
	l.viewers++
	if l.linger != nil {
		l.linger.Stop()
		l.linger = nil
	}
	failure := l.failure
	s.mu.Unlock()

	if err := s.await(ctx, l, failure); err != nil {
		s.leave(l, 0)
		return nil, nil, err
	}
	var once bool
	return l.stream, func() {
		s.mu.Lock()
		first := !once
		once = true
		s.mu.Unlock()
		if first {
			s.leave(l, s.cfg.LegLinger)
		}
	}, nil
}

// await waits until the leg brings pictures.
func (s *Set) await(ctx context.Context, l *leg, failure <-chan struct{}) error {
	late := time.NewTimer(s.cfg.LegTimeout)
	defer late.Stop()
	for {
		changed := l.stream.Changed()
		if online, _, _ := l.stream.State(); online {
			return nil
		}
		select {
		case <-changed:
		case <-failure:
			s.mu.Lock()
			defer s.mu.Unlock()
			return l.failed
		case <-late.C:
			return errNoAnswer
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// leave takes one viewer off; the last one starts the linger.
func (s *Set) leave(l *leg, linger time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.viewers--; l.viewers > 0 || l.gone {
		return
	}
	if linger == 0 {
		s.dissolve(l)
		return
	}
	l.linger = time.AfterFunc(linger, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if l.viewers == 0 {
			s.dissolve(l)
		}
	})
}

// openLeg begins a leg. s.mu is held.
func (s *Set) openLeg(key legKey) *leg {
	node, camera, _ := strings.Cut(key.camera, ".")
	l := &leg{
		key:     key,
		node:    station.NodeID(node),
		camera:  camera,
		stream:  stream.New(stream.Config{}),
		failure: make(chan struct{}),
	}
	s.legs[key] = l
	l.job = s.begin(nil, s.log.With("node", l.node, "camera", camera), "relay leg", func(ctx context.Context) error {
		return s.keepLeg(ctx, l)
	})
	return l
}

// dissolve ends a leg for good. s.mu is held.
func (s *Set) dissolve(l *leg) {
	if l.gone {
		return
	}
	l.gone = true
	if l.linger != nil {
		l.linger.Stop()
	}
	if s.legs[l.key] == l {
		delete(s.legs, l.key)
	}
	delete(s.waiting, l.session)
	s.fail(l, errStopped)
	l.job.stop()
	l.stream.Close()
}

// fail tells who waits for the leg. s.mu is held.
func (s *Set) fail(l *leg, err error) {
	l.failed = err
	close(l.failure)
	l.failure = make(chan struct{})
}

// keepLeg opens the leg, again and again until ctx ends.
func (s *Set) keepLeg(ctx context.Context, l *leg) error {
	wait := pauses{}
	for {
		session := station.NewID()
		held, err := s.oneLeg(ctx, l, session)
		if ctx.Err() != nil {
			return nil
		}
		if held {
			wait = pauses{}
		}
		if err != nil {
			s.log.Info("no picture from the station", "node", l.node, "camera", l.camera, "err", err)
			s.mu.Lock()
			s.fail(l, err)
			s.mu.Unlock()
		}
		if !wait.sleep(ctx) {
			return nil
		}
	}
}

// oneLeg opens the leg once and waits for its end; held tells that there was a
// connection.
func (s *Set) oneLeg(ctx context.Context, l *leg, session string) (held bool, err error) {
	accepted := make(chan *peer.Session, 1)
	s.mu.Lock()
	if l.gone {
		s.mu.Unlock()
		return false, nil
	}
	l.session, l.accepted = session, accepted
	s.waiting[session] = l
	role := l.role
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.waiting, session)
		l.session = ""
		s.mu.Unlock()
		// An offer that was taken in just too late.
		select {
		case sess := <-accepted:
			if sess != nil {
				sess.Close()
				<-sess.Done()
			}
		default:
		}
		// The station is told in any case: it may be about to dial.
		last, done := context.WithTimeout(context.WithoutCancel(ctx), farewell)
		s.deps.Remote.CloseLeg(last, l.node, session)
		done()
	}()

	opening, cancel := context.WithTimeout(ctx, s.cfg.LegTimeout)
	defer cancel()
	if err := s.deps.Remote.OpenLeg(opening, l.node, l.camera, role, session); err != nil {
		if _, ok := station.AsProblem(err); ok {
			return false, err
		}
		return false, station.Errorf(503, "leg.unreachable", "see the station's lamp, then try again",
			"the station %s cannot be reached", l.node).Because(err)
	}
	var sess *peer.Session
	select {
	case sess = <-accepted:
	case <-opening.Done():
		return false, errNoAnswer
	}
	if sess == nil {
		return false, errNoAnswer
	}
	select {
	case <-sess.Done():
		return true, fmt.Errorf("relay leg: %w", sess.Err())
	case <-ctx.Done():
		sess.Close()
		<-sess.Done()
		return true, nil
	}
}

// AcceptLeg takes in the offer that a station sent for a picture that was asked
// of it, and returns the answer. A session is good for one offer.
func (s *Set) AcceptLeg(ctx context.Context, node station.NodeID, session, offer string) (answer string, err error) {
	s.mu.Lock()
	l := s.waiting[session]
	if l == nil || l.node != node || l.session != session || l.gone {
		s.mu.Unlock()
		return "", errNoLeg
	}
	delete(s.waiting, session)
	accepted := l.accepted
	s.mu.Unlock()

	sess, err := s.deps.Hub.Accept(ctx, offer, l.stream)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch wanted := l.session == session && !l.gone; {
	case wanted:
		accepted <- sess // has room; nil when Accept failed
	case err == nil:
		sess.Close()
		return "", errNoLeg
	}
	if err != nil {
		return "", fmt.Errorf("accept leg of %q: %w", l.key.camera, err)
	}
	return sess.Answer, nil
}
