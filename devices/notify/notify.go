package notify

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"stationd/agent/station"
)

// Config is how messages are sent.
type Config struct {
	// Timeout is how long one try may take, the connection included.
	Timeout time.Duration `yaml:"timeout"`
}

// DefaultConfig gives a try fifteen seconds.
func DefaultConfig() Config { return Config{Timeout: 15 * time.Second} }

// Validate reports every fault, each with its key.
func (c Config) Validate() error {
	if c.Timeout < time.Second || c.Timeout > 2*time.Minute {
		return station.Errorf(http.StatusBadRequest, "config.invalid", "use 1s to 2m", "the time for one try is out of range").At("timeout")
	}
	return nil
}

// Deps is what a sender is handed.
type Deps struct {
	// Publish hands a payload to a broker; nil where there are none.
	Publish func(ctx context.Context, broker, topic string, payload []byte, retain bool) error
	// Now is the wall clock; nil means time.Now.
	Now func() time.Time
}

// Sender sends. Its methods may be called from any goroutine.
type Sender struct {
	cfg     Config
	publish func(ctx context.Context, broker, topic string, payload []byte, retain bool) error
	now     func() time.Time

	mu     sync.Mutex
	tokens map[string]token // of application channels, by what they were asked with
}

// New makes a sender. It opens and starts nothing.
func New(cfg Config, deps Deps) *Sender {
	s := &Sender{cfg: cfg, publish: deps.Publish, now: deps.Now, tokens: map[string]token{}}
	if s.now == nil {
		s.now = time.Now
	}
	return s
}

// Send makes one try. An error is a *station.Problem for people, without the
// channel's secret; the delivery then says whether and when to try again. It
// blocks for Config.Timeout at most.
func (s *Sender) Send(ctx context.Context, ch station.ChannelLink, m station.Message) (station.Delivery, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	d, err := s.send(ctx, ch, m)
	if err == nil {
		return d, nil
	}
	p, ok := station.AsProblem(err)
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		p = problemUnreachable("there was no answer within %s", s.cfg.Timeout)
		d = station.Delivery{}
	case !ok:
		p = problemUnreachable("%v", err)
	}
	clean := *p
	clean.Message = tidy(scrub(p.Message, ch))
	return d, clean.Because(nil)
}

func (s *Sender) send(ctx context.Context, ch station.ChannelLink, m station.Message) (station.Delivery, error) {
	switch ch.Kind {
	case station.ChannelRobot:
		return s.sendRobot(ctx, ch, m)
	case station.ChannelApp:
		return s.sendApp(ctx, ch, m)
	case station.ChannelSMS:
		return s.sendSMS(ctx, ch, m)
	case station.ChannelMail:
		return s.sendMail(ctx, ch, m)
	case station.ChannelWebhook:
		return s.sendWebhook(ctx, ch, m)
	case station.ChannelMQTT:
		return s.sendSiren(ctx, ch, m)
	}
	return hopeless(problemSetup("there is no kind of channel %q", ch.Kind))
}

// The problems of sending. What the other side said stands in the message.
func problemUnreachable(format string, args ...any) *station.Problem {
	return station.Errorf(http.StatusBadGateway, "notify.unreachable", "check the channel's address, the network and the other side", format, args...)
}

func problemRefused(format string, args ...any) *station.Problem {
	return station.Errorf(http.StatusBadGateway, "notify.refused", "check the channel's settings and its secret", format, args...)
}

func problemBusy(format string, args ...any) *station.Problem {
	return station.Errorf(http.StatusBadGateway, "notify.busy", "it is tried again by itself", format, args...)
}

func problemSetup(format string, args ...any) *station.Problem {
	return station.Errorf(http.StatusBadRequest, "notify.setup", "correct the channel", format, args...)
}

// hopeless is a failure that another try will not mend.
func hopeless(p *station.Problem) (station.Delivery, error) {
	return station.Delivery{Final: true}, p
}
