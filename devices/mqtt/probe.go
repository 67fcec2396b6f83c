package mqtt

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"stationd/agent/station"
)

// What can be found out about a broker that is to keep alarms while the station is
// down, and what cannot:
//
//   - That it forgot our session: it was restarted and keeps nothing (sessionLost).
//   - That it counts dropped messages, where it tells (Mosquitto, by $SYS).
//   - How much it keeps for a client that is away: a second client with a session
//     of its own goes away, more messages than Mosquitto keeps by default are
//     published to it, and it comes back and counts (probe).
//   - Not: what it loses when its machine loses power. Nobody can see from outside
//     how often it saves; docs/mosquitto.md tells how it is set.

// What is looked at.
const (
	sysVersion   = "$SYS/broker/version"
	sysDropped   = "$SYS/broker/publish/messages/dropped"
	probeTopic   = "stationd/probe/"
	probeCount   = 1100 // Mosquitto keeps 1000 unless told otherwise
	probeIdle    = 3 * time.Second
	probeAgain   = 24 * time.Hour
	probePatient = time.Minute
)

// findings are what was found out; with Link.mu held.
type findings struct {
	version     string
	sessions    int    // that were opened so far
	sessionLost bool   // at the last connection
	dropped     uint64 // as the broker counts
	droppedAt   uint64 // when we connected
	droppedSeen bool
	probed      *station.Problem
	probedAt    time.Time
}

// warnings are what somebody should change at the broker.
func (f *findings) warnings() []*station.Problem {
	var all []*station.Problem
	const hint = "set it up as docs/mosquitto.md says"
	if f.sessionLost {
		all = append(all, station.Errorf(503, "broker.forgets", hint, "the broker has forgotten what it was to keep for the station: it keeps no sessions over a restart"))
	}
	if f.dropped > f.droppedAt {
		all = append(all, station.Errorf(503, "broker.drops", hint, "the broker has dropped %d messages since the station connected", f.dropped-f.droppedAt))
	}
	if f.probed != nil {
		all = append(all, f.probed)
	}
	return all
}

// watch takes in what the broker tells of itself. It is called before connecting.
func (l *Link) watch(c paho.Client) {
	c.AddRoute(sysVersion, func(_ paho.Client, m paho.Message) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.found.version = strings.ToValidUTF8(string(m.Payload()[:min(len(m.Payload()), 100)]), "")
	})
	c.AddRoute(sysDropped, func(_ paho.Client, m paho.Message) {
		n, err := strconv.ParseUint(string(m.Payload()), 10, 64)
		if err != nil {
			return
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if !l.found.droppedSeen || n < l.found.droppedAt { // it was restarted
			l.found.droppedAt, l.found.droppedSeen = n, true
		}
		l.found.dropped = n
	})
}

// connected notes whether the broker still knew us, and asks what it tells.
func (l *Link) connected(c paho.Client, present bool) {
	l.mu.Lock()
	l.found.sessionLost = l.found.sessions > 0 && !present
	l.found.sessions++
	l.mu.Unlock()
	c.SubscribeMultiple(map[string]byte{sysVersion: 0, sysDropped: 0}, nil) // who does not tell is not asked again
}

// keepProbing probes the broker a while after connecting, and every day, until ctx
// ends.
func (l *Link) keepProbing(ctx context.Context) {
	if l.cfg.ProbeAfter <= 0 {
		return
	}
	l.mu.Lock()
	wait := max(l.cfg.ProbeAfter, probeAgain-time.Since(l.found.probedAt))
	if l.found.probedAt.IsZero() {
		wait = l.cfg.ProbeAfter
	}
	l.mu.Unlock()
	for {
		sleep(ctx, wait)
		if ctx.Err() != nil {
			return
		}
		once, cancel := context.WithTimeout(ctx, probePatient)
		p, err := l.probe(once)
		cancel()
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			l.log.Info("whether the broker keeps messages cannot be said", "error", err)
		} else if p != nil {
			l.log.Warn("the broker would drop queued alarms", "code", p.Code, "problem", p.Message)
		}
		l.mu.Lock()
		l.found.probed, l.found.probedAt = p, time.Now()
		l.mu.Unlock()
		wait = probeAgain
	}
}

// probe tries whether the broker keeps messages for a client that is away. The
// error is that it cannot be said.
func (l *Link) probe(ctx context.Context) (*station.Problem, error) {
	id := l.target.ClientID + "-probe"
	topic := probeTopic + l.target.ClientID
	connect := func(clean bool, heard func()) (paho.Client, bool, error) {
		o := l.options(ctx, func(*line) {}).SetClientID(id).SetCleanSession(clean).SetAutoAckDisabled(false)
		o.SetDefaultPublishHandler(func(paho.Client, paho.Message) { heard() })
		c := paho.NewClient(o)
		tok, ok := c.Connect().(*paho.ConnectToken)
		if !ok {
			return nil, false, errors.New("paho returned another kind of token")
		}
		if err := answered(ctx, tok); err != nil {
			return nil, false, fmt.Errorf("connect the probe: %w", err)
		}
		return c, tok.SessionPresent(), nil
	}
	defer func() { // the session is removed, whatever came out
		if c, _, err := connect(true, func() {}); err == nil {
			c.Disconnect(50)
		}
	}()
	c, _, err := connect(true, func() {})
	if err != nil {
		return nil, err
	}
	c.Disconnect(50)
	if c, _, err = connect(false, func() {}); err != nil {
		return nil, err
	}
	err = answered(ctx, c.Subscribe(topic, 1, nil))
	c.Disconnect(50)
	if err != nil {
		return nil, fmt.Errorf("subscribe the probe: %w", err)
	}
	for i := range probeCount {
		if err := l.Publish(ctx, topic, []byte(strconv.Itoa(i)), 1, false); err != nil {
			return nil, fmt.Errorf("publish to the probe: %w", err)
		}
	}
	var came atomic.Int64
	c, present, err := connect(false, func() { came.Add(1) })
	if err != nil {
		return nil, err
	}
	for last := int64(-1); came.Load() != last && came.Load() < probeCount; {
		last = came.Load()
		sleep(ctx, probeIdle)
	}
	c.Disconnect(50)
	const hint = "set it up as docs/mosquitto.md says"
	switch n := came.Load(); {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case n == probeCount:
		return nil, nil
	case n == 0 && present:
		return nil, errors.New("nothing came: the station may not publish to or read " + topic)
	case n == 0:
		return station.Errorf(503, "broker.no-session", hint, "the broker keeps no messages for the station while it is down"), nil
	default:
		return station.Errorf(503, "broker.keeps-few", hint, "of %d messages for a client that was away the broker kept %d and dropped the others", probeCount, n), nil
	}
}

// answered waits for a token.
func answered(ctx context.Context, tok paho.Token) error {
	select {
	case <-tok.Done():
		return tok.Error()
	case <-ctx.Done():
		return ctx.Err()
	}
}
