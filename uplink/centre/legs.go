package centre

import (
	"context"
	"errors"
	"sync"
	"time"

	"stationd/agent/station"
	"stationd/uplink/protocol"
)

// legs are the live pictures that were asked for and not given yet. A leg that
// runs is nobody's here: its media connection lives and dies by itself.
type legs struct {
	mu   sync.Mutex
	open map[string]*leg // by session
}

type leg struct {
	node station.NodeID
	done chan error // buffered by one; the first word counts
	busy bool       // an offer is being answered
}

// OpenLeg asks node for camera's live picture, wanted for role, under the name session, and waits
// until the station's offer was answered through Live.AcceptLeg. It fails with a
// problem when the station is offline, refuses or is silent for LegTimeout. It
// must not be called with a lock held that AcceptLeg needs.
func (c *Centre) OpenLeg(ctx context.Context, node station.NodeID, camera string, role station.StreamRole, session string) error {
	return c.desk.openLeg(ctx, node, camera, role, session)
}

// CloseLeg tells node that session's picture is not needed any more. A station
// that is offline is not told: without its connection the leg dies by itself.
func (c *Centre) CloseLeg(_ context.Context, node station.NodeID, session string) error {
	d := c.desk
	d.legs.finish(session, errors.New("closed before it opened"))
	if _, ok := d.online(node); !ok {
		return nil
	}
	return d.say(node, protocol.ChannelSignalDown, d.newSignal(protocol.SignalClose, session))
}

func errOffline(node station.NodeID) error {
	return station.Errorf(503, "node.offline", "the picture can be opened when its line is back", "station %s is not connected", node)
}

func (d *desk) openLeg(ctx context.Context, node station.NodeID, camera string, role station.StreamRole, session string) error {
	if d.deps.Live == nil {
		return station.Errorf(501, "video.none", "", "this node shows no live pictures")
	}
	if _, ok := d.online(node); !ok {
		return errOffline(node)
	}
	l := &leg{node: node, done: make(chan error, 1)}
	if !d.legs.add(session, l) {
		return station.Errorf(409, "leg.exists", "use another session name", "leg %q is being opened already", session)
	}
	defer d.legs.remove(session)
	s := d.newSignal(protocol.SignalOpen, session)
	s.Camera, s.Role = camera, role
	if err := d.say(node, protocol.ChannelSignalDown, s); err != nil {
		return err
	}
	timeout := time.NewTimer(d.cfg.LegTimeout)
	defer timeout.Stop()
	select {
	case err := <-l.done:
		return err
	case <-timeout.C:
		return station.Errorf(504, "leg.silent", "the line may be full or the camera slow; try again", "station %s did not offer the picture in time", node)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *desk) newSignal(kind protocol.SignalKind, session string) protocol.Signal {
	return protocol.Signal{
		Protocol: protocol.Version, Kind: kind, Session: session,
		Issued: d.deps.Now(), Lifetime: int(d.cfg.LegTimeout.Seconds()),
	}
}

// signal takes a station's offer or close.
func (d *desk) signal(c *child, payload []byte) error {
	s, err := protocol.Decode[protocol.Signal](payload)
	if err != nil {
		return err
	}
	offset, ok := d.online(c.ID)
	if !ok {
		return protocol.ErrNoSession
	}
	if s.Kind == protocol.SignalClock {
		return d.clock(c, s)
	}
	if s.Expired(d.deps.Now(), offset) {
		return protocol.ErrExpired
	}
	switch s.Kind {
	case protocol.SignalClose:
		if !d.legs.belongs(s.Session, c.ID) {
			return nil
		}
		err := error(station.Errorf(502, "leg.closed", "try again", "the station closed the picture"))
		if s.Problem != nil {
			err = s.Problem
		}
		d.legs.finish(s.Session, err)
	case protocol.SignalOffer:
		if !d.legs.take(s.Session, c.ID) {
			closing := d.newSignal(protocol.SignalClose, s.Session)
			closing.Problem = station.Errorf(404, "leg.unknown", "", "nobody asked for this picture")
			return d.say(c.ID, protocol.ChannelSignalDown, closing)
		}
		// Answering gathers addresses and takes a while; the station's other
		// messages must not wait for it. Bounded: one for each OpenLeg.
		d.wg.Go(func() { d.answer(c.ID, s) })
	default:
		return protocol.ErrMalformed
	}
	return nil
}

func (d *desk) answer(node station.NodeID, offer protocol.Signal) {
	ctx, cancel := context.WithTimeout(d.ctx, d.cfg.LegTimeout)
	defer cancel()
	sdp, err := d.deps.Live.AcceptLeg(ctx, node, offer.Session, offer.SDP)
	s := d.newSignal(protocol.SignalAnswer, offer.Session)
	if err != nil {
		s.Kind, s.Problem = protocol.SignalClose, problemOf(err)
	}
	s.SDP = sdp
	d.legs.finish(offer.Session, errors.Join(err, d.say(node, protocol.ChannelSignalDown, s)))
}

func (l *legs) add(session string, x *leg) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.open[session]; ok {
		return false
	}
	l.open[session] = x
	return true
}

func (l *legs) remove(session string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, session)
}

func (l *legs) belongs(session string, node station.NodeID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	x := l.open[session]
	return x != nil && x.node == node
}

// take claims session's one offer for node.
func (l *legs) take(session string, node station.NodeID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	x := l.open[session]
	if x == nil || x.node != node || x.busy {
		return false
	}
	x.busy = true
	return true
}

func (l *legs) finish(session string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if x := l.open[session]; x != nil {
		select {
		case x.done <- err:
		default:
		}
	}
}
