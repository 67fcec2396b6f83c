package uplink

import (
	"context"
	"errors"
	"sync"
	"time"

	"stationd/agent/station"
	"stationd/uplink/protocol"
	"stationd/uplink/transport"
)

// maxCalls bounds the live pictures that the parent may open at once. More are
// refused, and the parent is told.
const maxCalls = 16

// exchangeTimeout is how long the parent may take to answer an offer.
const exchangeTimeout = 10 * time.Second

// calls are the live pictures that the parent opened. One that runs outlives the
// connection over which it was opened: its media has a way of its own.
type calls struct {
	up *Uplink
	wg sync.WaitGroup

	mu      sync.Mutex
	current *session
	open    map[string]*call // by the leg's session
}

type call struct {
	cancel context.CancelFunc
	answer chan protocol.Signal // buffered by one
}

func newCalls(u *Uplink) *calls { return &calls{up: u, open: map[string]*call{}} }

func (c *calls) wait() {
	c.mu.Lock()
	for _, x := range c.open {
		x.cancel()
	}
	c.mu.Unlock()
	c.wg.Wait()
}

func (c *calls) attach(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current = s
}

func (c *calls) detach(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current == s {
		c.current = nil
	}
}

// signal takes the parent's signal. It does not block.
func (c *calls) signal(ctx context.Context, s *session, sig protocol.Signal) {
	u := c.up
	if sig.Expired(u.deps.Now(), s.offset) {
		u.log.Warn("signal came too late", "kind", sig.Kind, "leg", sig.Session)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	x := c.open[sig.Session]
	switch sig.Kind {
	case protocol.SignalOpen:
		switch {
		case x != nil: // heard twice
		case u.deps.Live == nil:
			c.refuse(sig.Session, station.Errorf(501, "video.none", "", "this station shows no live pictures"))
		case len(c.open) >= maxCalls:
			u.state.dropped()
			c.refuse(sig.Session, station.Errorf(503, "leg.busy", "close another picture", "this station sends %d pictures already", maxCalls))
		default:
			// Not the session's context: the leg outlives the connection.
			legCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
			x = &call{cancel: cancel, answer: make(chan protocol.Signal, 1)}
			c.open[sig.Session] = x
			c.wg.Go(func() { c.run(legCtx, sig, x) })
		}
	case protocol.SignalAnswer, protocol.SignalClose:
		if x == nil {
			return
		}
		select {
		case x.answer <- sig:
		default:
		}
		if sig.Kind == protocol.SignalClose {
			x.cancel()
		}
	case protocol.SignalOffer, protocol.SignalClock: // ours to make; the session's
	}
}

// run is one call, from open to its end.
func (c *calls) run(ctx context.Context, open protocol.Signal, x *call) {
	defer func() {
		x.cancel()
		c.mu.Lock()
		delete(c.open, open.Session)
		c.mu.Unlock()
	}()
	log := c.up.log.With("leg", open.Session, "camera", open.Camera, "role", open.Role)
	log.Info("parent opens a live picture")
	err := c.up.deps.Live.DialOut(ctx, open.Camera, open.Role, func(ctx context.Context, offer string) (string, error) {
		ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
		defer cancel()
		s := c.newSignal(protocol.SignalOffer, open.Session)
		s.SDP = offer
		if err := c.say(ctx, s); err != nil {
			return "", err
		}
		select {
		case a := <-x.answer:
			switch {
			case a.Problem != nil:
				return "", a.Problem
			case a.Kind != protocol.SignalAnswer:
				return "", errors.New("the parent closed the call")
			}
			return a.SDP, nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	})
	if err != nil && ctx.Err() == nil {
		log.Info("live picture ended", "cause", err) // mostly because its last viewer left
		c.tell(open.Session, problemOf(err))
		return
	}
	log.Info("live picture ended")
	if ctx.Err() == nil {
		c.tell(open.Session, nil)
	}
}

// tell says that a call is over.
func (c *calls) tell(session string, p *station.Problem) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	s := c.newSignal(protocol.SignalClose, session)
	s.Problem = p
	if err := c.say(ctx, s); err != nil {
		c.up.log.Debug("call's end not told", "leg", session, "error", err)
	}
}

// refuse says no without holding up whoever heard the question. c.mu is held;
// the goroutine lives for a second at most.
func (c *calls) refuse(session string, p *station.Problem) { c.wg.Go(func() { c.tell(session, p) }) }

func (c *calls) newSignal(kind protocol.SignalKind, session string) protocol.Signal {
	return protocol.Signal{
		Protocol: protocol.Version, Kind: kind, Session: session,
		Issued: c.up.deps.Now(), Lifetime: int(exchangeTimeout.Seconds()),
	}
}

func (c *calls) say(ctx context.Context, s protocol.Signal) error {
	c.mu.Lock()
	now := c.current
	c.mu.Unlock()
	if now == nil {
		return transport.ErrLost
	}
	b, err := protocol.Encode(s)
	if err != nil {
		return err
	}
	return now.conn.Send(ctx, transport.Message{Channel: protocol.ChannelSignalUp, Payload: b})
}

// problemOf is what the parent is told about err; internal causes stay here.
func problemOf(err error) *station.Problem {
	if p, ok := station.AsProblem(err); ok {
		told := *p
		return told.Because(nil)
	}
	return station.Errorf(500, "station.failed", "look at the station's log", "the station could not do it")
}
