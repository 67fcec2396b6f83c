package mqtt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"stationd/agent/station"
)

// Target is the broker to link to.
type Target struct {
	ID       string
	URL      string
	Username string
	Password station.Secret
	// Topics are the filters to subscribe to, at QoS 1.
	Topics []string
	// ClientID must be this link's alone and the same after a restart: the
	// broker keeps the session by it, and throws out the older of two.
	ClientID string
	// Lane names what is taken in the order in which it comes, by topic; nil is
	// the topic itself.
	Lane func(topic string) string
	// Covers tells whether Topics cover a filter; nil is none.
	Covers func(filter string) bool
	// UpUntil is until when messages were taken before this link was made, by an
	// earlier life of the program; zero is not known.
	UpUntil time.Time
}

// Equal tells whether a link to t need not be changed to become one to o.
func (t Target) Equal(o Target) bool {
	return t.ID == o.ID && t.URL == o.URL && t.Username == o.Username && t.Password == o.Password &&
		t.ClientID == o.ClientID && slices.Equal(t.Topics, o.Topics)
}

// Message is what the broker delivered.
type Message struct {
	Topic    string
	Payload  []byte
	QoS      byte
	Retained bool
	// Duplicate tells that it may have been taken before: the broker says so,
	// or an attempt before this one failed with an unknown outcome.
	Duplicate bool
	PacketID  uint16 // zero for QoS 0
	// Waited is how long it may have lain at the broker while nobody took it, at
	// most, or Forever; zero is that it was published while the link was up.
	Waited time.Duration
}

// Status is how the link is.
type Status struct {
	Connected bool
	// Since is when Connected last changed.
	Since time.Time
	// Problem is what went wrong last and what to do; nil when connected.
	Problem *station.Problem

	Received uint64 // messages that came
	Taken    uint64 // messages that take accepted
	Retries  uint64 // attempts at messages that take refused
	Dropped  uint64 // of QoS 0, for want of room or because the link ended
	Deferred uint64 // of QoS 1 and 2, left to be sent again for want of room

	// Version is what the broker says that it is; empty is not told.
	Version string
	// Warnings are why the broker would lose alarms, as far as that can be found
	// out.
	Warnings []*station.Problem
}

// Link is the connection to one broker.
type Link struct {
	cfg    Config
	target Target
	take   func(context.Context, Message) error
	log    *slog.Logger

	received, taken, retries, dropped, deferred atomic.Uint64

	mu     sync.Mutex // guards what follows
	status Status
	client paho.Client     // while connected
	gone   chan struct{}   // closed with that connection
	extra  map[string]bool // topics to listen to beside the target's
	until  time.Time       // when the last connection ended; zero is not known
	found  findings
}

// maxExtra bounds the topics that Listen adds.
const maxExtra = 8192

// Listen subscribes to topics beside those of the target, now and on every later
// connection. It does not wait. Topics that a filter of the target covers are
// left out, or their messages would come twice; beyond maxExtra they are, too.
func (l *Link) Listen(topics ...string) {
	filters := map[string]byte{}
	l.mu.Lock()
	for _, t := range topics {
		if l.extra[t] || len(l.extra) >= maxExtra || l.target.Covers != nil && l.target.Covers(t) {
			continue
		}
		if l.extra == nil {
			l.extra = map[string]bool{}
		}
		l.extra[t] = true
		filters[t] = 1
	}
	c := l.client
	l.mu.Unlock()
	if c != nil && len(filters) > 0 {
		c.SubscribeMultiple(filters, nil) // what is refused is not heard
	}
}

// Publish sends a message and returns when the broker has acknowledged it, at once
// for QoS 0.
func (l *Link) Publish(ctx context.Context, topic string, payload []byte, qos byte, retain bool) error {
	l.mu.Lock()
	c, gone := l.client, l.gone
	l.mu.Unlock()
	away := station.Errorf(503, "broker.away", "look at the lamp of the sensors", "the broker %q is not connected", l.target.ID)
	if c == nil {
		return away
	}
	tok := c.Publish(topic, qos, retain, payload)
	select {
	case <-tok.Done():
		// paho completes tokens of a connection that ended as if they had been
		// answered.
		select {
		case <-gone:
			return away
		default:
		}
		if err := tok.Error(); err != nil {
			return fmt.Errorf("publish to %q: %w", topic, err)
		}
		return nil
	case <-gone:
		return away
	case <-ctx.Done():
		return ctx.Err()
	}
}

// open notes the connection that messages go out by, until the returned function
// is called.
func (l *Link) open(c paho.Client) (end func()) {
	gone := make(chan struct{})
	l.mu.Lock()
	l.client, l.gone = c, gone
	l.mu.Unlock()
	return sync.OnceFunc(func() {
		l.mu.Lock()
		l.client, l.until = nil, time.Now()
		l.mu.Unlock()
		close(gone)
	})
}

// New makes a link; it opens nothing. take is called from several goroutines.
func New(cfg Config, target Target, take func(context.Context, Message) error, log *slog.Logger) *Link {
	return &Link{
		cfg: cfg, target: target, take: take, log: log.With("broker", target.ID), until: target.UpUntil,
		status: Status{Since: time.Now(), Problem: station.Errorf(503, "broker.connecting", "", "connecting to the broker")},
	}
}

// Status returns how the link is now.
func (l *Link) Status() Status {
	l.mu.Lock()
	s := l.status
	s.Version, s.Warnings = l.found.version, l.found.warnings()
	l.mu.Unlock()
	s.Received, s.Taken, s.Retries = l.received.Load(), l.taken.Load(), l.retries.Load()
	s.Dropped, s.Deferred = l.dropped.Load(), l.deferred.Load()
	return s
}

func (l *Link) set(connected bool, p *station.Problem) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.status.Connected != connected {
		l.status.Connected, l.status.Since = connected, time.Now()
	}
	l.status.Problem = p
}

// Run keeps the link up until ctx ends.
func (l *Link) Run(ctx context.Context) error {
	pause, short := l.cfg.RetryMin, 0
	for ctx.Err() == nil {
		begun := time.Now()
		err := l.session(ctx)
		if ctx.Err() != nil {
			break
		}
		if errors.Is(err, errAgain) {
			pause = l.cfg.RetryMin
			continue
		}
		p := diagnose(err, l.target)
		if lasted := time.Since(begun); lasted > l.cfg.RetryMax {
			pause, short = l.cfg.RetryMin, 0
		} else if errors.Is(err, errLost) {
			if short++; short >= 3 {
				p = station.Errorf(503, "broker.thrown-out", "look for a second program with this client id at the broker, and at the broker's log",
					"the broker keeps ending the connection of client %q", l.target.ClientID).Because(err)
			}
		}
		l.set(false, p)
		l.log.Warn("broker link down", "error", err, "retry", pause)
		sleep(ctx, jitter(pause))
		pause = min(pause*2, l.cfg.RetryMax)
	}
	l.set(false, station.Errorf(503, "broker.stopped", "", "the link was stopped"))
	return nil
}

var (
	errLost  = errors.New("connection lost")
	errAgain = errors.New("reconnecting for messages that found no room")
)

// session is one connection, from dialling to its end.
func (l *Link) session(ctx context.Context) error {
	dialCtx, hangUp := context.WithCancel(ctx)
	defer hangUp()
	lost := make(chan error, 1)
	in := newIntake(l)
	defer in.stop()

	o := l.options(dialCtx, func(at *line) { in.line = at })
	// Before Connect: a broker sends what it kept at once, and paho neither
	// delivers nor acknowledges what comes before there is a handler.
	o.SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) { in.put(m) })
	o.SetConnectionLostHandler(func(_ paho.Client, err error) { lost <- err })
	c := paho.NewClient(o)
	l.watch(c)
	tok := c.Connect()
	select {
	case <-tok.Done():
	case <-ctx.Done():
		hangUp()
		<-tok.Done()
	}
	if err := tok.Error(); err != nil {
		return fmt.Errorf("connect to %q: %w", Shown(l.target.URL), err)
	}
	defer func() {
		c.Disconnect(250)
		hangUp()
	}()
	end := l.open(c)
	defer end()
	t, ok := tok.(*paho.ConnectToken)
	present := ok && t.SessionPresent()
	marked, err := l.subscribe(ctx, c)
	if err != nil {
		return err
	}
	if present && marked {
		c.Publish(in.mark.topic, 1, false, in.mark.name)
	} else {
		in.mark.passed.Store(true) // nothing was kept, or it cannot be told
	}
	l.connected(c, present)
	var probing sync.WaitGroup
	defer probing.Wait()
	probeCtx, endProbing := context.WithCancel(ctx)
	defer endProbing()
	probing.Go(func() { l.keepProbing(probeCtx) })
	l.set(true, nil)
	l.log.Info("broker link up", "topics", len(l.target.Topics))

	var why error
	select {
	case <-ctx.Done():
		in.stop()
		return nil
	case <-in.full:
		in.drain(ctx, 0)
		return errAgain
	case err := <-lost:
		why = fmt.Errorf("%w: %w", errLost, err)
	}
	end()
	l.set(false, diagnose(why, l.target))
	// What has arrived is taken before the next connection begins: QoS 0 would
	// be lost, and the rest would overtake itself.
	in.drain(ctx, 5*time.Second)
	return why
}

// options are those of every connection to the broker; it is dialled within ctx,
// and opened is told of it before anything comes.
func (l *Link) options(ctx context.Context, opened func(*line)) *paho.ClientOptions {
	o := paho.NewClientOptions().AddBroker(l.target.URL)
	o.SetClientID(l.target.ClientID).SetCleanSession(false).SetProtocolVersion(4)
	o.SetUsername(l.target.Username).SetPassword(l.target.Password.Reveal())
	o.SetKeepAlive(l.cfg.KeepAlive).SetPingTimeout(max(l.cfg.KeepAlive/2, time.Second)).SetConnectTimeout(l.cfg.ConnectTimeout)
	// A new client for each connection: paho's own reconnection completes tokens
	// without an answer, sleeps through a cancel, and has no jitter.
	o.SetAutoReconnect(false).SetConnectRetry(false)
	o.SetAutoAckDisabled(true).SetOrderMatters(true)
	o.SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (net.Conn, error) {
		conn, err := l.cfg.dial(ctx, l.target.URL)
		if err != nil {
			return nil, err
		}
		at := newLine(ctx, conn, l.cfg.ConnectTimeout)
		opened(at)
		return at, nil
	})
	o.SetStore(forgetful{})
	return o
}

// subscribe asks for the topics, also on a session that the broker remembers:
// it costs nothing and heals a session that knows others. marked tells that the mark
// will be heard.
func (l *Link) subscribe(ctx context.Context, c paho.Client) (marked bool, err error) {
	filters := make(map[string]byte, len(l.target.Topics))
	for _, t := range l.target.Topics {
		filters[t] = 1
	}
	l.mu.Lock()
	for t := range l.extra {
		filters[t] = 1
	}
	l.mu.Unlock()
	if len(filters) == 0 {
		return false, nil
	}
	filters[l.markTopic()] = 1
	tok, ok := c.SubscribeMultiple(filters, nil).(*paho.SubscribeToken)
	if !ok {
		return false, errors.New("subscribe: paho returned another kind of token")
	}
	select {
	case <-tok.Done():
	case <-ctx.Done():
		return false, nil
	case <-time.After(l.cfg.ConnectTimeout):
		return false, errors.New("subscribe: the broker does not answer")
	}
	if err := tok.Error(); err != nil {
		return false, fmt.Errorf("subscribe: %w", err)
	}
	granted := tok.Result()
	for topic, qos := range granted {
		if qos > 2 && slices.Contains(l.target.Topics, topic) {
			return false, &refusedTopic{topic}
		}
	}
	qos, answered := granted[l.markTopic()]
	return answered && qos <= 2, nil
}

func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
