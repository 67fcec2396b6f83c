// Package mqtt is the transport over MQTT 3.1.1 with mutual TLS. Any broker can
// stand between: the parent's embedded one, Mosquitto, or a cluster.
//
// Each connection is a new paho client with a clean session, an identifier of
// its own and no reconnecting of paho's: a broker's or a library's memory of an
// earlier connection can then neither repeat nor acknowledge anything. Publish
// tokens are looked at for errors only. paho completes them on a reconnect
// without any PUBACK (paho.mqtt.golang#458); and a PUBACK would only mean that
// a broker read the message.
package mqtt

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"stationd/agent/station"
	"stationd/uplink/protocol"
	"stationd/uplink/transport"
)

// Config is where the parent is and how patient to be.
type Config struct {
	// URL is mqtts://host:port, or wss://host:port for MQTT over WebSocket at the
	// centre's HTTPS port.
	URL string
	// From is this machine's address, or network interface, from which the way
	// to the parent begins; empty leaves it to the system.
	From string
	// TLS gives the configuration for the next connection; it is asked every
	// time, so that renewed certificates are taken up.
	TLS func() (*tls.Config, error)
	// ConnectTimeout limits dialling until the subscriptions are confirmed.
	ConnectTimeout time.Duration
	// KeepAlive is how often a silent line is tried.
	KeepAlive time.Duration
	// WriteTimeout is how long the line may take no byte before it counts as lost.
	WriteTimeout time.Duration
	// Incoming bounds what came down and was not fetched yet.
	Incoming int
}

// DefaultConfig has the patience for a line that may be slow.
func DefaultConfig() Config {
	return Config{ConnectTimeout: 20 * time.Second, KeepAlive: 20 * time.Second, WriteTimeout: 8 * time.Second, Incoming: 256}
}

// Dialer dials one parent.
type Dialer struct {
	cfg Config
	log *slog.Logger
}

// New returns a dialler. It opens nothing.
func New(cfg Config, log *slog.Logger) *Dialer { return &Dialer{cfg: cfg, log: log} }

// ClientID is the MQTT client identifier of a session. The session is in it so
// that no broker ever sees two clients with one identifier, whose take-over is
// a race in some; the parent learns from it who speaks.
func ClientID(node station.NodeID, session string) string { return string(node) + "." + session }

// Conn is one connection.
type Conn struct {
	client   paho.Client
	node     station.NodeID
	outgoing chan outgoing
	incoming chan transport.Message
	lost     chan struct{}
	closing  chan struct{}
	wg       sync.WaitGroup
	dropped  atomic.Uint64

	mu    sync.Mutex
	err   error
	ended bool // incoming is closed
}

type outgoing struct {
	topic    string
	retained bool
	payload  []byte
}

// Dial connects and subscribes.
func (d *Dialer) Dial(ctx context.Context, call transport.Call) (transport.Conn, error) {
	u, err := url.Parse(d.cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("parent's address %q: %w", d.cfg.URL, err)
	}
	port := map[string]string{"mqtts": "8883", "wss": "443"}[u.Scheme]
	if port == "" {
		return nil, fmt.Errorf("parent's address %q: want mqtts://host:port or wss://host:port", d.cfg.URL)
	}
	host := u.Host
	if u.Port() == "" {
		host = net.JoinHostPort(u.Hostname(), port)
	}
	tlsConfig, err := d.cfg.TLS()
	if err != nil {
		return nil, fmt.Errorf("certificates: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, d.cfg.ConnectTimeout)
	defer cancel()
	way, err := wayFrom(d.cfg.From)
	if err != nil {
		return nil, err
	}
	raw, err := (&tls.Dialer{NetDialer: way, Config: tlsConfig}).DialContext(ctx, "tcp", host)
	if err == nil && u.Scheme == "wss" {
		raw, err = upgrade(ctx, raw, host)
	}
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", host, err)
	}

	c := &Conn{
		node: call.Node, outgoing: make(chan outgoing, 2), incoming: make(chan transport.Message, d.cfg.Incoming),
		lost: make(chan struct{}), closing: make(chan struct{}),
	}
	opts := paho.NewClientOptions().
		AddBroker(d.cfg.URL).
		SetClientID(ClientID(call.Node, call.Session)).
		SetProtocolVersion(4).
		SetCleanSession(true).
		SetAutoReconnect(false).
		SetConnectRetry(false).
		SetOrderMatters(true).
		SetKeepAlive(d.cfg.KeepAlive).
		SetPingTimeout(d.cfg.KeepAlive/2).
		SetWriteTimeout(publishTimeout).
		SetConnectTimeout(d.cfg.ConnectTimeout).
		SetBinaryWill(protocol.Topic{Node: call.Node, Channel: protocol.ChannelStatus}.String(), call.Will, 0, true).
		SetDefaultPublishHandler(c.take). // set before connecting: nothing can come too early
		SetConnectionLostHandler(func(_ paho.Client, err error) { c.end(fmt.Errorf("%w: %w", transport.ErrLost, err)) }).
		SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (net.Conn, error) {
			return patientConn{raw, d.cfg.WriteTimeout}, nil
		})
	c.client = paho.NewClient(opts)

	// paho's own handshake knows no context: cutting the line ends it.
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	defer stop()
	if err := wait(ctx, c.client.Connect()); err != nil {
		_ = raw.Close()
		c.client.Disconnect(0)
		return nil, fmt.Errorf("connect to %s: %w", host, err)
	}
	filters := map[string]byte{}
	for _, ch := range protocol.DownChannels() {
		filters[protocol.Topic{Node: call.Node, Channel: ch}.String()] = 0
	}
	token := c.client.SubscribeMultiple(filters, nil)
	err = wait(ctx, token)
	if err == nil {
		for filter, code := range token.(*paho.SubscribeToken).Result() {
			if code == 0x80 {
				err = fmt.Errorf("the broker refused %s", filter)
			}
		}
	}
	if err != nil {
		c.end(err)
		c.client.Disconnect(0)
		return nil, fmt.Errorf("subscribe at %s: %w", host, err)
	}
	c.wg.Go(c.write)
	return c, nil
}

// wait waits for a token. A token that completes without an error after ctx
// ended is an error all the same.
func wait(ctx context.Context, t paho.Token) error {
	select {
	case <-t.Done():
		return t.Error()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// take is paho's handler. It runs in paho's reading goroutine and must not
// block, else the keep-alive dies.
func (c *Conn) take(_ paho.Client, m paho.Message) {
	t, ok := protocol.ParseTopic(m.Topic())
	if !ok || t.Node != c.node || m.Retained() {
		c.dropped.Add(1)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	select {
	case c.incoming <- transport.Message{Channel: t.Channel, Lane: t.Lane, Payload: m.Payload()}:
	default:
		c.dropped.Add(1)
	}
}

// write feeds paho from a queue of its own: paho's Publish can hang for its
// whole time-out when the connection breaks at the wrong moment.
func (c *Conn) write() {
	for {
		select {
		case o := <-c.outgoing:
			c.publish(o)
		case <-c.lost:
			return
		case <-c.closing:
			for {
				select {
				case o := <-c.outgoing:
					c.publish(o)
				default:
					return
				}
			}
		}
	}
}

// publishTimeout bounds a call of paho's Publish. When the connection breaks
// between its check and its hand-over, it hangs for as long, and Close with it.
const publishTimeout = 500 * time.Millisecond

// publish hands one message to paho. On a line that is slow but alive, the
// hand-over is tried again: nothing of it has gone yet.
func (c *Conn) publish(o outgoing) {
	for {
		token := c.client.Publish(o.topic, 0, o.retained, o.payload)
		select {
		case <-token.Done():
		default:
			return // handed over
		}
		err := token.Error()
		if err == nil {
			return
		}
		if errors.Is(err, paho.ErrNotConnected) {
			c.end(fmt.Errorf("%w: %w", transport.ErrLost, err))
		}
		select {
		case <-c.lost:
			return
		case <-c.closing:
			return
		default:
		}
	}
}

// patientConn gives writes more time than paho would: paho knows one time-out
// for its own hand-over and for the line.
type patientConn struct {
	net.Conn
	patience time.Duration
}

func (c patientConn) SetWriteDeadline(t time.Time) error {
	if !t.IsZero() {
		t = time.Now().Add(c.patience)
	}
	return c.Conn.SetWriteDeadline(t)
}

// Send implements transport.Conn.
func (c *Conn) Send(ctx context.Context, m transport.Message) error {
	t := protocol.Topic{Node: c.node, Channel: m.Channel, Lane: m.Lane}
	o := outgoing{topic: t.String(), payload: m.Payload, retained: m.Channel == protocol.ChannelStatus}
	select {
	case <-c.lost:
		return c.Err()
	default:
	}
	select {
	case c.outgoing <- o:
		return nil
	case <-c.lost:
		return c.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Receive implements transport.Conn.
func (c *Conn) Receive() <-chan transport.Message { return c.incoming }

// Dropped implements transport.Conn.
func (c *Conn) Dropped() uint64 { return c.dropped.Load() }

// Err implements transport.Conn.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

func (c *Conn) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	c.err, c.ended = err, true
	close(c.lost)
	close(c.incoming)
}

// Close implements transport.Conn. It gives what was handed over a moment to
// leave, then hangs up.
func (c *Conn) Close() error {
	c.mu.Lock()
	select {
	case <-c.closing:
		c.mu.Unlock()
		return errors.New("closed twice")
	default:
		close(c.closing)
	}
	c.mu.Unlock()
	written := make(chan struct{})
	go func() { c.wg.Wait(); close(written) }()
	select {
	case <-written:
	case <-time.After(time.Second):
	}
	c.client.Disconnect(250)
	c.end(transport.ErrLost)
	<-written
	return nil
}

var _ transport.Dialer = (*Dialer)(nil)
