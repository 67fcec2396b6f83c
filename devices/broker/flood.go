package broker

import (
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
)

// bucket bounds how fast one client publishes: rate a second in the long run, most
// at once. A zero rate lets everything through.
type bucket struct {
	rate, most int
	level      float64
	at         time.Time
}

// take tells how long the next message has to wait; zero is not at all.
func (b *bucket) take(now time.Time) time.Duration {
	if b.rate == 0 {
		return 0
	}
	if b.at.IsZero() {
		b.level = float64(b.most)
	} else if passed := now.Sub(b.at); passed > 0 {
		b.level = min(float64(b.most), b.level+passed.Seconds()*float64(b.rate))
	}
	b.at = now
	if b.level < 1 {
		return time.Duration((1 - b.level) / float64(b.rate) * float64(time.Second))
	}
	b.level--
	return 0
}

// pace holds a message of QoS 1 or 2 back until its client may send it, by not
// reading on: the client feels it and nothing is lost. A message of QoS 0 is
// marked, because who sends without asking for an answer does not feel anything.
// It is called by the goroutine that reads the client. The error is that the
// client is gone.
func (h *hook) pace(cl *mqtt.Client, qos byte) (flood bool, err error) {
	c, ok := cl.Net.Conn.(*conn)
	if !ok {
		return false, nil
	}
	wait := c.flood.take(time.Now())
	switch {
	case wait == 0:
		return false, nil
	case qos == 0:
		return true, nil
	}
	h.held.Add(1)
	for wait > 0 {
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-c.closed:
			t.Stop()
			return false, ErrNotRunning
		case <-h.ctx.Done():
			t.Stop()
			return false, ErrNotRunning
		}
		wait = c.flood.take(time.Now())
	}
	return false, nil
}
