package onvif

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"stationd/agent/station"
	"stationd/devices/payload"
)

// line is the conversation with one device: a camera, or a recorder with the
// cameras behind it.
type line struct {
	owner     *Set
	login     Login
	listening bool // with Set.mu held

	ended context.Context
	stop  context.CancelFunc

	turn chan struct{} // one dials at a time

	mu      sync.Mutex
	talk    *Client
	denied  time.Time // when it refused the password
	cameras []Camera
	first   string // a profile of it

	// Of hear alone:
	lately map[lastSaid]said
	there  bool // its cameras were told to be there
	gone   bool // … and to be gone
}

// lastSaid is a field of a device.
type lastSaid struct{ device, field string }

type said struct {
	value station.Value
	at    time.Time
}

// denyFor is how long a device is left alone that refused the password. Cameras
// lock an account after some five attempts, for half an hour.
const denyFor = 10 * time.Minute

func newLine(s *Set, login Login) *line {
	l := &line{owner: s, login: login, turn: make(chan struct{}, 1), lately: map[lastSaid]said{}}
	l.ended, l.stop = context.WithCancel(context.Background())
	return l
}

func (l *line) set(cameras []Camera) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cameras = cameras
}

func (l *line) now() []Camera {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cameras
}

// client is the conversation, begun where there is none.
func (l *line) client(ctx context.Context) (*Client, error) {
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	l.mu.Lock()
	c, denied := l.talk, l.denied
	l.mu.Unlock()
	if !denied.IsZero() && time.Since(denied) < denyFor {
		return nil, errDenied
	}
	if c != nil {
		return c, nil
	}
	c, err := Dial(ctx, l.owner.cfg, l.login)
	if err != nil {
		return nil, l.note(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.talk = c
	return c, nil
}

// note draws the conclusions of an error, and returns it.
func (l *line) note(err error) error {
	p, ok := station.AsProblem(err)
	if !ok {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch p.Code {
	case errDenied.Code:
		l.denied = time.Now()
	case "onvif.timeout", "onvif.port", "onvif.unreachable", "onvif.failed":
		if l.talk != nil { // it may come back with other services, and another clock
			l.talk.Close()
			l.talk = nil
		}
	}
	return err
}

// anyProfile is the device's first profile, for cameras that name none.
func (l *line) anyProfile(ctx context.Context, c *Client) (string, error) {
	l.mu.Lock()
	first := l.first
	l.mu.Unlock()
	if first != "" {
		return first, nil
	}
	list, err := c.Profiles(ctx)
	if err != nil {
		return "", err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.first = list[0].Token
	return l.first, nil
}

// profile is what is known of a profile.
func (c *Client) profile(token string) Profile {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.profiles {
		if p.Token == token {
			return p
		}
	}
	_, newer := c.services[nsMedia2]
	return Profile{Token: token, media2: newer}
}

// How a lost subscription is tried again, and how long it may be lost before the
// cameras are told to be gone.
const (
	retryLeast = time.Second
	retryMost  = 2 * time.Minute
	goneAfter  = time.Minute
)

// hear listens until the set ends or the device is no longer named.
func (l *line) hear(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.ended, cancel)()
	wait, lost := retryLeast, time.Time{}
	for ctx.Err() == nil {
		began := time.Now()
		err := l.hearOnce(ctx, &lost)
		if ctx.Err() != nil {
			return
		}
		if lost.IsZero() {
			lost = time.Now()
		}
		if time.Since(began) > retryMost {
			wait = retryLeast
		}
		delay := wait/2 + rand.N(wait)
		p, _ := station.AsProblem(err)
		switch {
		case p != nil && p.Code == errDenied.Code:
			delay = denyFor + rand.N(time.Minute)
		case p != nil && p.Code == errUnsupported.Code:
			delay = time.Hour // another firmware may bring it
		}
		l.owner.log.Info("events of a device are not heard", "onvif", l.login.URL, "retry", delay, "err", err)
		for until := time.Now().Add(delay); ctx.Err() == nil && time.Now().Before(until); {
			if time.Since(lost) >= goneAfter {
				l.tellPresence(ctx, payload.Offline)
			}
			pause(ctx, min(time.Until(until), goneAfter/4))
		}
		wait = min(2*wait, retryMost)
	}
}

// hearOnce is one subscription, from its beginning to its loss.
func (l *line) hearOnce(ctx context.Context, lost *time.Time) error {
	c, err := l.client(ctx)
	if err != nil {
		return err
	}
	if len(l.now()) > 1 { // which channel it is about stands in the profiles
		if _, err := c.Profiles(ctx); err != nil {
			return l.note(err)
		}
	}
	p, err := c.subscribe(ctx)
	if err != nil {
		return l.note(err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.owner.cfg.Timeout)
		defer cancel()
		if err := p.close(ctx); err != nil {
			l.owner.log.Debug("subscription not ended; it runs out", "onvif", l.login.URL, "err", err)
		}
	}()
	if err := p.sync(ctx); err != nil { // most devices tell all states unasked
		l.owner.log.Debug("states not asked for", "onvif", l.login.URL, "err", err)
	}
	*lost = time.Time{}
	l.tellPresence(ctx, payload.Online)
	for {
		began := time.Now()
		list, err := p.pull(ctx)
		if err != nil {
			return l.note(err)
		}
		l.take(ctx, c, list)
		if time.Since(began) < 50*time.Millisecond { // it answers at once, whatever it was asked
			if !pause(ctx, 200*time.Millisecond) {
				return ctx.Err()
			}
		}
	}
}

// tellPresence tells once that the device's cameras are there, or gone.
func (l *line) tellPresence(ctx context.Context, p payload.Presence) {
	if p == payload.Online && l.there || p == payload.Offline && l.gone {
		return
	}
	l.there, l.gone = p == payload.Online, p == payload.Offline
	for _, cam := range l.now() {
		l.hand(ctx, cam, payload.Reading{Device: cam.ID, Presence: p})
	}
}

// repeatAfter is how long the same word of a device says nothing new.
const repeatAfter = time.Minute

// take hands on what was fetched.
func (l *line) take(ctx context.Context, c *Client, list []notification) {
	s := l.owner
	offset, _ := c.ClockOffset()
	for _, n := range list {
		behind, r, ok := n.read()
		if !ok {
			continue
		}
		cam, ok := l.whose(c, n, behind)
		if !ok {
			s.stats.unknown.Add(1)
			if s.deps.Odd != nil {
				s.deps.Odd(l.login.URL, []byte(plainTopic(plainText(n.Topic))), errNobody)
			}
			continue
		}
		r.Device, r.Name = cam.ID, cam.Name
		if behind != "" {
			r.Device, r.Name = cam.ID+"/"+behind, cam.Name+" · "+behind
		}
		if !r.DeviceTime.IsZero() {
			r.DeviceTime = r.DeviceTime.Add(-offset)
		}
		if l.old(r) {
			s.stats.repeated.Add(1)
			continue
		}
		l.hand(ctx, cam, r)
	}
}

var errNobody = errors.New("onvif event: of a picture that no camera shows")

// old tells that a reading says what was said a moment ago.
func (l *line) old(r payload.Reading) bool {
	if len(r.Events) > 0 {
		return false
	}
	if len(l.lately) > 1000 { // more devices than there are
		clear(l.lately)
	}
	news := false
	for field, value := range r.Values {
		key := lastSaid{r.Device, field}
		was, known := l.lately[key]
		if !known || was.value != value || time.Since(was.at) > repeatAfter {
			news = true
			l.lately[key] = said{value, time.Now()}
		}
	}
	return !news
}

// whose finds the camera that a notification is about. A device with one camera
// can mean only that.
func (l *line) whose(c *Client, n notification, behind string) (Camera, bool) {
	cameras := l.now()
	if len(cameras) == 0 {
		return Camera{}, false
	}
	origin := n.origin()
	if len(cameras) == 1 && (cameras[0].Recorder == "" || len(origin) == 0) || behind != "" {
		return cameras[0], true // a recorder's contacts are its first camera's
	}
	c.mu.Lock()
	profiles := c.profiles
	c.mu.Unlock()
	for _, cam := range cameras {
		if slices.Contains(origin, cam.Channel) && cam.Channel != "" {
			return cam, true
		}
		for _, p := range profiles {
			if (p.Token == cam.Profile || p.Token == cam.SubProfile) && (slices.Contains(origin, p.Source) || slices.Contains(origin, p.configuration)) {
				return cam, true
			}
		}
	}
	return Camera{}, false
}

// hand hands one reading on; it is tried a few times, for the device will not say
// it again.
func (l *line) hand(ctx context.Context, cam Camera, r payload.Reading) {
	s := l.owner
	wait := 100 * time.Millisecond
	for try := 0; ; try++ {
		err := s.deps.Handle(ctx, cam.ID, r)
		if err == nil {
			if r.Presence == "" {
				s.stats.detections.Add(1)
			}
			return
		}
		if try == 4 || !pause(ctx, wait) {
			s.stats.refused.Add(1)
			s.log.Warn("what a camera detects could not be stored", "camera", cam.ID, "err", err)
			return
		}
		wait *= 3
	}
}
