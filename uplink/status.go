package uplink

import (
	"context"
	"errors"
	"net/url"
	"sync"
	"time"

	"stationd/agent/station"
	"stationd/uplink/protocol"
)

// mostBacklog is where counting the backlog stops; counting is a scan.
const mostBacklog = 10_000

// Status is how the line is, for the console and the command line.
type Status struct {
	// Configured is false when this node has no parent.
	Configured bool `json:"configured"`
	// Target is its name, and URL where it is.
	Target    string `json:"target,omitempty"`
	URL       string `json:"url,omitempty"`
	Connected bool   `json:"connected"`
	// Since is when Connected last changed.
	Since time.Time `json:"since"`
	// Parent and ParentVersion are who answered last.
	Parent        station.NodeID `json:"parent,omitempty"`
	ParentVersion string         `json:"parentVersion,omitempty"`
	// ClockOffset is the parent's clock minus ours.
	ClockOffset time.Duration `json:"clockOffset"`
	Lanes       []LaneStatus  `json:"lanes"`
	// LastError is why the line was last lost or an event refused, in words;
	// Hint is the remedy. They stay until all is well again.
	LastError string    `json:"lastError,omitempty"`
	Hint      string    `json:"hint,omitempty"`
	ErrorAt   time.Time `json:"errorAt,omitzero"`
	// Sent counts bytes handed to the line since the start, clips included.
	Sent  uint64      `json:"sent"`
	Clips ClipsStatus `json:"clips"`
	// Second is the second line, where there is one.
	Second *SecondStatus `json:"second,omitempty"`
	Drops  uint64        `json:"drops"` // commands and calls given up because too many waited
}

// LaneStatus is how one lane is.
type LaneStatus struct {
	Lane station.Lane `json:"lane"`
	// Backlog is how many events the parent has not acknowledged; it stops
	// counting at 10,000. Oldest is the time of the first of them.
	Backlog int       `json:"backlog"`
	Oldest  time.Time `json:"oldest,omitzero"`
	// Received is the newest event that the parent holds, by our sequence
	// number, and LastAck when it last said something new.
	Received uint64    `json:"received"`
	LastAck  time.Time `json:"lastAck,omitzero"`
	// Resent counts time-outs after which the lane was sent again.
	Resent uint64 `json:"resent,omitempty"`
	// Lost counts events that the parent had acknowledged, lost, and can not
	// get again, because the journal does not reach back that far.
	Lost uint64 `json:"lost,omitempty"`
	// Rate is events acknowledged per second, over the last seconds.
	Rate float64 `json:"rate"`
	// Held is why the parent asked this lane to go slower, while it does.
	Held string `json:"held,omitempty"`
}

// SecondStatus is how the second line is.
type SecondStatus struct {
	Connected bool      `json:"connected"`
	Since     time.Time `json:"since,omitzero"`
	// Used counts how often it had to serve.
	Used      uint64 `json:"used"`
	LastError string `json:"lastError,omitempty"`
}

// ClipsStatus is how the upload of clips is.
type ClipsStatus struct {
	Pending   int    `json:"pending"`
	Uploading string `json:"uploading,omitempty"`
	Uploaded  uint64 `json:"uploaded"`
	LastError string `json:"lastError,omitempty"`
}

// state is what Status shows.
type state struct {
	mu        sync.Mutex
	connect   bool
	since     time.Time
	parent    station.NodeID
	version   string
	offset    time.Duration
	lanes     map[station.Lane]*laneState
	err       error
	errAt     time.Time
	bytes     uint64
	drops     uint64
	clips     ClipsStatus
	second    SecondStatus
	refusedBy station.Lane // whose refusal err is; empty for the line's
}

type laneState struct {
	cursor  Cursor
	held    uint64 // newest sequence number of this epoch that the parent holds
	lastAck time.Time
	resent  uint64
	lost    uint64
	counted uint64 // hop when rate was last measured
	rate    float64
	slow    *station.Problem
}

func (s *state) begin(c Cursor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lanes == nil {
		s.lanes = map[station.Lane]*laneState{}
	}
	// A restored store's cursor counts too: what it covers was acknowledged.
	s.lanes[c.Lane] = &laneState{cursor: c, held: c.Seq, counted: c.Hop}
}

func (s *state) cursor(lane station.Lane) Cursor {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lanes[lane].cursor
}

// moved takes a new cursor; at is zero when no acknowledgement brought it.
func (s *state) moved(c Cursor, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lanes[c.Lane]
	l.cursor, l.held = c, c.Seq
	if at.IsZero() {
		l.counted = c.Hop
		return
	}
	l.lastAck = at
	if s.refusedBy == c.Lane {
		s.err, s.refusedBy = nil, ""
	}
}

func (s *state) connected(w protocol.Welcome, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.connect, s.since, s.parent, s.version, s.offset = true, now, w.Node, w.Software, w.Time.Sub(now)
	s.err, s.refusedBy = nil, ""
}

// disconnected tells whether there had been a connection.
func (s *state) disconnected(err error, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.connect
	if was {
		s.connect, s.since = false, now
	}
	s.err, s.errAt, s.refusedBy = err, now, ""
	return was
}

func (s *state) clock(offset time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offset = offset
}

func (s *state) refused(lane station.Lane, p *station.Problem, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err, s.errAt, s.refusedBy = p, now, lane
}

// held notes that the receiver asked a lane to pause, and why.
func (s *state) held(lane station.Lane, why *station.Problem, pause time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lanes[lane]
	l.slow = nil
	if pause > 0 {
		if l.slow = why; why == nil {
			l.slow = station.Errorf(503, "uplink.slow", "", "the receiver asks for a pause of %s", pause)
		}
	}
}

func (s *state) secondUp(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.second.Connected, s.second.Since, s.second.LastError = true, now, ""
	s.second.Used++
}

func (s *state) secondDown(err error, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.second.Connected {
		s.second.Connected, s.second.Since = false, now
	}
	if err != nil {
		s.second.LastError, _ = explain(err)
	}
}

// down is since when the first line has been down; not ok while it is up.
func (s *state) down() (since time.Time, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.since, !s.connect
}

func (s *state) sent(_ station.Lane, bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bytes += uint64(bytes)
}

func (s *state) resent(lane station.Lane) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lanes[lane].resent++
}

func (s *state) lost(lane station.Lane, n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lanes[lane].lost += n
}

func (s *state) dropped() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drops++
}

func (s *state) clip(change func(*ClipsStatus)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.clips)
}

// measureEvery is the span over which rates are taken.
const measureEvery = 5 * time.Second

// measure takes the lanes' rates until ctx ends.
func (s *state) measure(ctx context.Context) {
	t := time.NewTicker(measureEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		s.mu.Lock()
		for _, l := range s.lanes {
			n := uint64(0)
			if l.cursor.Hop > l.counted {
				n = l.cursor.Hop - l.counted
			}
			l.rate, l.counted = float64(n)/measureEvery.Seconds(), l.cursor.Hop
		}
		s.mu.Unlock()
	}
}

// Status reads the journal to count the backlog; it is meant to be asked every
// few seconds, not thousands of times.
func (u *Uplink) Status() Status {
	st := Status{Configured: u.cfg.Enabled()}
	if !st.Configured {
		return st
	}
	st.Target, st.URL = u.cfg.Target, hostOf(u.cfg.URL)
	backlog := map[station.Lane]LaneStatus{}
	for _, id := range u.cfg.Filter.lanes() {
		n, oldest, err := u.backlog(id)
		if err != nil {
			u.log.Error("uplink backlog not counted", "lane", id, "error", err)
		}
		backlog[id] = LaneStatus{Lane: id, Backlog: n, Oldest: oldest}
	}
	s := &u.state
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Connected, st.Since, st.Parent, st.ParentVersion, st.ClockOffset = s.connect, s.since, s.parent, s.version, s.offset
	st.Sent, st.Drops, st.Clips = s.bytes, s.drops, s.clips
	for _, id := range u.cfg.Filter.lanes() {
		ls := backlog[id]
		if l := s.lanes[id]; l != nil {
			ls.Received, ls.LastAck, ls.Resent, ls.Lost, ls.Rate = l.held, l.lastAck, l.resent, l.lost, l.rate
			if l.slow != nil {
				ls.Held = l.slow.Message
			}
		}
		st.Lanes = append(st.Lanes, ls)
	}
	if u.cfg.Second.Enabled() {
		second := s.second
		st.Second = &second
	}
	if s.err != nil {
		st.LastError, st.Hint = explain(s.err)
		st.ErrorAt = s.errAt
	}
	return st
}

// hostOf is an address without what may be a secret in it.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// backlog counts what the target is still to get of a lane, up to mostBacklog.
func (u *Uplink) backlog(lane station.Lane) (n int, oldest time.Time, err error) {
	j := u.deps.Journal
	if u.cfg.Filter.open() {
		return j.Backlog(u.cfg.Target, lane, mostBacklog)
	}
	c, err := j.Cursor(u.cfg.Target, lane)
	if err != nil || c.Epoch != j.Epoch() {
		c.Seq = 0
	}
	for read := 0; err == nil && read < mostBacklog; {
		var events []station.Event
		events, err = j.Read(c.Seq, 500, lane)
		for _, ev := range events {
			c.Seq = ev.Seq
			if !u.cfg.Filter.Pass(ev) {
				continue
			}
			if n == 0 {
				oldest = ev.Time
			}
			n++
		}
		if read += len(events); len(events) < 500 {
			break
		}
	}
	return n, oldest, err
}

// Received is the newest sequence number of our journal that the parent holds
// durably, of one lane.
func (u *Uplink) Received(lane station.Lane) uint64 {
	s := &u.state
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.lanes[lane]; l != nil {
		return l.held
	}
	return 0
}

// Lamps is one lamp, "uplink".
func (u *Uplink) Lamps() []station.Lamp {
	st := u.Status()
	lamp := station.Lamp{ID: "uplink", State: station.LampOff, Code: "uplink.off"}
	if !st.Configured {
		return []station.Lamp{lamp}
	}
	backlog, rate := 0, 0.0
	var oldest time.Time
	for _, l := range st.Lanes {
		rate += l.Rate
		if l.Lane == station.LaneBulk {
			continue // readings may wait
		}
		backlog += l.Backlog
		if l.Backlog > 0 && (oldest.IsZero() || l.Oldest.Before(oldest)) {
			oldest = l.Oldest
		}
	}
	switch {
	case !st.Connected:
		lamp.State, lamp.Code, lamp.Hint = station.LampBad, "uplink.down", hintOf(u.lastError())
		lamp.Args = map[string]any{"since": st.Since, "backlog": backlog}
	case backlog > 0 && u.deps.Now().Sub(oldest) > u.cfg.BehindAfter:
		lamp.State, lamp.Code, lamp.Hint = station.LampWarn, "uplink.behind", hintOf(u.lastError())
		lamp.Args = map[string]any{"backlog": backlog}
	case st.ClockOffset.Abs() > clockWrong:
		lamp.State, lamp.Code, lamp.Hint = station.LampWarn, "uplink.clock", "uplink.clock"
		lamp.Args = map[string]any{"seconds": int(st.ClockOffset.Seconds())}
	default:
		lamp.State, lamp.Code, lamp.Args = station.LampOK, "uplink.ok", map[string]any{"rate": rate}
	}
	return []station.Lamp{lamp}
}

func (u *Uplink) lastError() error {
	u.state.mu.Lock()
	defer u.state.mu.Unlock()
	return u.state.err
}

// hintOf is the remedy's code: the problem's, or that of a line that is dead.
func hintOf(err error) string {
	var p *station.Problem
	switch {
	case err == nil:
		return ""
	case errors.As(err, &p):
		return p.Code
	case isCertificate(err):
		return "uplink.certificate"
	}
	return "uplink.line"
}
