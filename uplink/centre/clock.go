package centre

import (
	"time"

	"stationd/uplink/protocol"
)

// clockTold is by how much a station's clock must have moved for the inbox to be
// told again, and clockAgree how far what the station measured may be from what a
// message shows that was under way for an unknown time.
const (
	clockTold  = time.Second
	clockAgree = 5 * time.Second
)

// clock answers a station that compares the clocks, and keeps how far its own is
// off: what it measured over a round trip, unless its clock was set since.
func (d *desk) clock(c *child, s protocol.Signal) error {
	now := d.deps.Now()
	answer := d.newSignal(protocol.SignalClock, s.Session)
	answer.Echo = s.Issued
	err := d.say(c.ID, protocol.ChannelSignalDown, answer)
	offset := s.Issued.Sub(now)
	if (offset + s.Offset).Abs() < clockAgree {
		offset = -s.Offset
	}
	d.mu.Lock()
	c.Offset = offset
	d.mu.Unlock()
	d.noteClock(c, offset)
	return err
}

// noteClock tells the inbox of a clock that is off, or right again.
func (d *desk) noteClock(c *child, offset time.Duration) {
	d.mu.Lock()
	told := c.clockTold
	if (offset - told).Abs() < clockTold {
		d.mu.Unlock()
		return
	}
	c.clockTold = offset
	d.mu.Unlock()
	if err := d.deps.Inbox.NodeClock(d.ctx, c.ID, offset); err != nil && d.ctx.Err() == nil {
		d.log.Error("station's clock not noted", "node", c.ID, "offset", offset, "error", err)
		d.mu.Lock()
		c.clockTold = told // the next comparison tries again
		d.mu.Unlock()
	}
}
