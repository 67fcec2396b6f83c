// Package webhook is the transport to a web service: each batch is one POST of
// CloudEvents 1.0 in JSON, batched or one by one, and a 2xx answer is the
// acknowledgement. Nothing comes down.
//
// A receiver knows by the signature that a request is ours, and by Webhook-Id
// that it had it before (https://www.standardwebhooks.com):
//
//	Webhook-Id         names the batch; the same batch has the same one again
//	Idempotency-Key    the same, for receivers that look for this name
//	Webhook-Timestamp  when it was sent, seconds since 1970
//	Webhook-Signature  "v1," and the base64 of HMAC-SHA256 over "ID.TIMESTAMP.BODY"
//
// After a break events may come in other batches than before; what is to be done
// once is known by an event's source and id.
//
// The requests of one lane follow one another, so that its order holds; the lanes
// do not wait for each other. What is answered with anything but 2xx is tried
// again, after Retry-After where there is one. The secret is read for each
// session, and is in no log and no error.
package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"sync"
	"time"

	"stationd/agent/station"
	"stationd/uplink/protocol"
	"stationd/uplink/transport"
)

// Config is where the service is.
type Config struct {
	URL        string
	SecretFile string
	// Single sends each event by itself, in structured mode. The batches must be
	// of one event.
	Single bool
	// Certificate and Key may be empty; an empty Authority means the system's.
	Certificate, Key, Authority string
	// Timeout limits one request.
	Timeout time.Duration
}

// minSecret is how short a secret may be, in bytes.
const minSecret = 16

// Dialer makes sessions with one service.
type Dialer struct {
	cfg Config
	log *slog.Logger
}

// New returns a dialler. It opens nothing.
func New(cfg Config, log *slog.Logger) *Dialer { return &Dialer{cfg: cfg, log: log} }

// Conn is one session. There is no connection to hold: it is there from the first
// request on.
type Conn struct {
	cfg    Config
	log    *slog.Logger
	call   transport.Call
	secret []byte
	client *http.Client
	lanes  map[station.Lane]chan []byte
	in     chan transport.Message
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu    sync.Mutex
	ended bool
}

// Dial reads the secret and the certificates.
func (d *Dialer) Dial(_ context.Context, call transport.Call) (transport.Conn, error) {
	secret, err := os.ReadFile(d.cfg.SecretFile)
	if err != nil {
		return nil, fmt.Errorf("the target's secret: %w", err)
	}
	if secret = bytes.TrimSpace(secret); len(secret) < minSecret {
		return nil, station.Errorf(400, "webhook.secret", "write a longer one, and give the receiver the same", "the secret in %s has fewer than %d bytes", d.cfg.SecretFile, minSecret)
	}
	secure, err := d.tls()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &Conn{
		cfg: d.cfg, log: d.log, call: call, secret: secret, cancel: cancel, in: make(chan transport.Message, 64), lanes: map[station.Lane]chan []byte{},
		client: &http.Client{
			Timeout:       d.cfg.Timeout,
			Transport:     &http.Transport{TLSClientConfig: secure, MaxIdleConnsPerHost: 4, IdleConnTimeout: 90 * time.Second, Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // a signed body goes nowhere else
		},
	}
	for _, lane := range station.Lanes() {
		queue := make(chan []byte, 1)
		c.lanes[lane] = queue
		c.wg.Go(func() { c.run(ctx, lane, queue) })
	}
	return c, nil
}

func (d *Dialer) tls() (*tls.Config, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if d.cfg.Authority != "" {
		pem, err := os.ReadFile(d.cfg.Authority)
		if err != nil {
			return nil, fmt.Errorf("the target's authority: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("the target's authority %s: no PEM certificate in it", d.cfg.Authority)
		}
	}
	if d.cfg.Certificate != "" {
		pair, err := tls.LoadX509KeyPair(d.cfg.Certificate, d.cfg.Key)
		if err != nil {
			return nil, fmt.Errorf("certificate and key for the target: %w", err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}

// Send implements transport.Conn. Hello is answered here, with our own cursors:
// the service keeps none. What is not events has nobody to go to.
func (c *Conn) Send(ctx context.Context, m transport.Message) error {
	switch m.Channel {
	case protocol.ChannelHello:
		b, err := protocol.Encode(protocol.Welcome{
			Protocol: protocol.Version, Versions: protocol.Versions(), Session: c.call.Session, Time: time.Now(), Marks: c.call.Marks,
		})
		if err != nil {
			return err
		}
		c.give(transport.Message{Channel: protocol.ChannelWelcome, Payload: b})
	case protocol.ChannelEvents:
		if c.Err() != nil {
			return transport.ErrLost
		}
		select {
		case c.lanes[m.Lane] <- m.Payload:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// run posts one lane's batches, one after the other.
func (c *Conn) run(ctx context.Context, lane station.Lane, queue <-chan []byte) {
	for {
		select {
		case <-ctx.Done():
			return
		case payload := <-queue:
			ack := c.post(ctx, lane, payload)
			if ctx.Err() != nil {
				return
			}
			b, err := protocol.Encode(ack)
			if err != nil {
				c.log.Error("answer of a web service not passed on", "error", err)
				continue
			}
			c.give(transport.Message{Channel: protocol.ChannelAcks, Lane: lane, Payload: b})
		}
	}
}

// post sends one batch and makes the acknowledgement of the answer.
func (c *Conn) post(ctx context.Context, lane station.Lane, payload []byte) protocol.Ack {
	ack := protocol.Ack{Protocol: protocol.Version, Session: c.call.Session, Lane: lane}
	batch, err := protocol.DecodeBatch(c.call.Node, lane, payload)
	if err != nil {
		ack.Problem = protocol.ErrMalformed
		return ack
	}
	body, kind := payload, "application/cloudevents-batch+json; charset=utf-8"
	if c.cfg.Single && len(batch) == 1 {
		body, kind = payload[1:len(payload)-1], "application/cloudevents+json; charset=utf-8"
	}
	first, last := batch[0], batch[len(batch)-1]
	id := fmt.Sprintf("%s.%s.%s.%d-%d", c.call.Node, first.Epoch, lane, first.Event.Seq, last.Event.Seq)
	answer, err := c.request(ctx, id, kind, body)
	if err != nil {
		ack.Problem = station.Errorf(502, "webhook.unreachable", "check the line and the target's address; it is tried again by itself", "the web service cannot be reached: %v", bare(err))
		return ack
	}
	words, _ := io.ReadAll(io.LimitReader(answer.Body, 200))
	_, _ = io.CopyN(io.Discard, answer.Body, 64<<10) // so that the connection can be used again
	_ = answer.Body.Close()
	if answer.StatusCode/100 == 2 {
		ack.Mark = protocol.Mark{Epoch: last.Epoch, Seq: protocol.Decimal(last.Event.Seq), Hop: protocol.Decimal(last.Hop)}
		ack.Wait = wait(answer.Header, time.Now())
		return ack
	}
	ack.Wait = wait(answer.Header, time.Now())
	ack.Problem = refused(answer.StatusCode, string(words))
	return ack
}

func (c *Conn) request(ctx context.Context, id, kind string, body []byte) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.cfg.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	now := strconv.FormatInt(time.Now().Unix(), 10)
	r.Header.Set("Content-Type", kind)
	r.Header.Set("User-Agent", "stationd")
	r.Header.Set("Webhook-Id", id)
	r.Header.Set("Idempotency-Key", id)
	r.Header.Set("Webhook-Timestamp", now)
	r.Header.Set("Webhook-Signature", Sign(c.secret, id, now, body))
	return c.client.Do(r)
}

// Sign is the value of Webhook-Signature.
func Sign(secret []byte, id, timestamp string, body []byte) string {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(id + "." + timestamp + "."))
	h.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// bare is an error without the address, in whose query a receiver may have its
// own secret.
func bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// refused is what an answer that is not 2xx means.
func refused(status int, words string) *station.Problem {
	hint := "look at the receiver's log; it is tried again by itself"
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		hint = "the receiver does not take the signature: compare the secrets and the clocks of both ends"
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		hint = "check the path in the target's address"
	case http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType:
		hint = "the receiver takes no batches of this size or kind: set single for this target"
	}
	said := ""
	if words != "" {
		quoted, _ := json.Marshal(words) // a string cannot fail
		said = ": " + string(quoted)
	}
	return station.Errorf(502, "webhook.refused", hint, "the web service answers %d %s%s", status, http.StatusText(status), said)
}

// wait is Retry-After in milliseconds: seconds, or a date.
func wait(h http.Header, now time.Time) int {
	v := h.Get("Retry-After")
	d := time.Duration(0)
	if n, err := strconv.ParseUint(v, 10, 31); err == nil {
		d = time.Duration(n) * time.Second
	} else if at, err := http.ParseTime(v); err == nil {
		d = at.Sub(now)
	}
	return int(min(max(d, 0), protocol.MaxWait) / time.Millisecond)
}

func (c *Conn) give(m transport.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	select {
	case c.in <- m:
	default: // one batch a lane is on its way; this many cannot wait
	}
}

// Receive implements transport.Conn.
func (c *Conn) Receive() <-chan transport.Message { return c.in }

// Err implements transport.Conn.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return transport.ErrLost
	}
	return nil
}

// Dropped implements transport.Conn.
func (c *Conn) Dropped() uint64 { return 0 }

// Close implements transport.Conn.
func (c *Conn) Close() error {
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return errors.New("closed twice")
	}
	c.ended = true
	close(c.in)
	c.mu.Unlock()
	c.cancel()
	c.wg.Wait()
	c.client.CloseIdleConnections()
	return nil
}

var _ transport.Dialer = (*Dialer)(nil)
