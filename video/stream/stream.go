package stream

import (
	"bytes"
	"sync"
	"time"
)

// Config bounds a stream. Zero fields have the values of DefaultConfig.
type Config struct {
	// CacheUnits and CacheBytes bound the pictures since the last key picture
	// that are kept for new readers. A longer distance between key pictures
	// means that a new reader waits for the next one.
	CacheUnits int
	CacheBytes int
	// LogBytes bounds everything that is kept, for the slowest reader too.
	LogBytes int
	// PaceSpeed is how many times faster than real time a reader with Pace is
	// given the cached pictures.
	PaceSpeed int
}

// DefaultConfig is enough for a 4K camera at 16 Mbit/s with a key picture every
// four seconds.
func DefaultConfig() Config {
	return Config{
		CacheUnits: 300,
		CacheBytes: 12 << 20,
		LogBytes:   32 << 20,
		PaceSpeed:  8,
	}
}

func (c Config) withDefaults() Config {
	d := DefaultConfig()
	if c.CacheUnits <= 0 {
		c.CacheUnits = d.CacheUnits
	}
	if c.CacheBytes <= 0 {
		c.CacheBytes = d.CacheBytes
	}
	if c.LogBytes <= 0 {
		c.LogBytes = max(d.LogBytes, 2*c.CacheBytes)
	}
	if c.PaceSpeed <= 0 {
		c.PaceSpeed = d.PaceSpeed
	}
	return c
}

// Stream is one camera's fan-out.
type Stream struct {
	cfg Config

	mu       sync.Mutex
	log      log
	cache    uint64 // number of the last good key unit while the cache holds, else 0
	cached   int    // bytes from there on
	readers  []*Reader
	sets     sets
	params   *Params // nil while the parameter sets are not known
	timeline timeline
	seq      uint16
	waiting  bool // for a key picture: units before it are of no use
	tainted  bool // units build on a damaged one until the next key picture
	rootless bool // leading pictures lack what they build on
	sounds   log
	sound    soundline
	soundSeq uint16
	keyed    bool // there was a key picture, at lastKey
	lastKey  time.Duration
	online   bool
	since    time.Time
	cause    string
	changed  chan struct{}
	closed   bool
	stats    Stats
}

// Stats counts since New.
type Stats struct {
	Units uint64 // handed to readers
	Bytes uint64 // of their NALUs
	// Damaged units, and those that build on them.
	Damaged uint64
	// Refused: before the first key picture, without a picture, beyond a bound.
	Refused uint64
	// Skipped is the sum over all readers, those that have gone included.
	Skipped uint64
	// Losses of the source, and Jumps of its timestamps.
	Losses, Jumps uint64
	// Sounds handed to readers; SoundsRefused for want of a picture or a place;
	// SoundsSkipped is the sum over all readers that asked for sound.
	Sounds, SoundsRefused, SoundsSkipped uint64
	// KeyDistance is the time between the last two key pictures in one go of the
	// source; 0 before them.
	KeyDistance time.Duration
	// Readers is how many there are now.
	Readers int
}

// New returns a stream that waits for its first key picture.
func New(cfg Config) *Stream {
	return &Stream{
		cfg:      cfg.withDefaults(),
		log:      newLog(),
		sounds:   newLog(),
		timeline: timeline{mayReorder: true},
		waiting:  true,
		since:    time.Now(),
		cause:    "no picture yet",
		changed:  make(chan struct{}),
	}
}

// Announce tells what the source said apart from the pictures (in its SDP): the
// codec, the parameter sets as far as they are known, and the sound. Those in
// the pictures replace them. Without it a stream is of H.264 without sound. With
// another codec than before, readers go on at its first key picture.
func (s *Stream) Announce(p Params) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	if h265 := p.Codec == H265; h265 != s.sets.h265 {
		s.sets = sets{h265: h265}
		s.cache, s.waiting, s.tainted = 0, true, false
		s.timeline.mayReorder, s.timeline.reordered = true, false
		if s.params != nil {
			s.params = nil
			s.notify()
		}
	}
	if p.Sound != nil && !p.Sound.usable() {
		p.Sound = nil
	}
	if !p.Sound.equal(s.sound.sound) {
		s.sound = s.sound.follow(p.Sound)
	}
	s.sets.normalize([][]byte{p.VPS, p.SPS, p.PPS})
	s.describe()
}

// Write hands in one access unit, in decoding order. It never blocks. The
// stream keeps the slices; they must not be changed any more. pts is the
// source's timestamp; it may start anywhere and jump. damaged tells that part
// of this unit, or of units between the last one and it, is missing.
func (s *Stream) Write(nalus [][]byte, pts time.Duration, arrival time.Time, damaged bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	n, ok := s.sets.normalize(nalus)
	if n.changed {
		s.describe()
	}
	if !ok || len(n.nalus) == 0 {
		s.stats.Refused++
		s.tainted = s.tainted || !ok || damaged
		return
	}

	usable := n.key && s.sets.complete() && !damaged
	if s.waiting && !usable {
		s.stats.Refused++
		return
	}
	if n.key {
		s.rootless = s.waiting || s.tainted
	} else if n.leading && s.rootless {
		s.stats.Refused++
		s.tainted = s.tainted || damaged
		return
	}
	s.waiting = false
	s.tainted = !usable && (s.tainted || damaged)

	tick := s.timeline.place(ToTicks(pts), arrival)
	if s.params != nil && s.timeline.reordered != s.params.Reordered {
		s.describe()
	}
	u := &Unit{
		NALUs:   n.nalus,
		Packets: packetize(n.nalus, n.params, s.sets.h265, s.seq, uint32(tick)),
		PTS:     FromTicks(tick),
		Arrival: arrival,
		Params:  s.params,
		Key:     n.key,
		Damaged: s.tainted,
		size:    n.size,
		leading: n.leading,
	}
	s.seq += uint16(len(u.Packets))
	if !s.online {
		s.setState(true, arrival, "")
	}
	s.publish(u)
}

// Lost tells that the source is gone, and why in one sentence. Readers stay and
// go on with the source's next key picture.
func (s *Stream) Lost(cause string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || !s.online && s.cause == cause {
		return
	}
	if s.online {
		s.stats.Losses++
		s.setState(false, time.Now(), cause)
	} else {
		s.cause = cause
		s.notify()
	}
	s.cache = 0
	s.waiting = true
	s.tainted = false
	s.keyed = false
	s.timeline.breakOff()
	s.sound.breakOff()
	if s.params != nil && s.params.Reordered {
		s.describe()
	}
}

// Close ends the stream. Readers are given what is left for them, then io.EOF.
func (s *Stream) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	since := s.since
	if s.online {
		since = time.Now()
	}
	s.setState(false, since, "closed")
	for _, r := range s.readers {
		r.wake()
	}
}

// State tells whether pictures are coming, since when that is so, and if they
// are not, why.
func (s *Stream) State() (online bool, since time.Time, cause string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.online, s.since, s.cause
}

// Params describes the picture; false before the first parameter sets.
func (s *Stream) Params() (Params, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.params == nil {
		return Params{}, false
	}
	return *s.params, true
}

// Changed is closed at the next change of State or Params. Ask for it before
// reading them, or a change in between is missed.
func (s *Stream) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// Stats counts since New.
func (s *Stream) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.Readers = len(s.readers)
	st.Jumps = s.timeline.jumps
	return st
}

// publish appends a unit and wakes the readers that wait. It allocates nothing.
func (s *Stream) publish(u *Unit) {
	if u.Key {
		if s.keyed {
			s.stats.KeyDistance = u.PTS - s.lastKey
		}
		s.keyed, s.lastKey = true, u.PTS
		s.cache, s.cached = 0, 0
		if !u.Damaged {
			s.cache = s.log.head
		}
	}
	s.log.add(u)
	s.cached += u.size
	s.stats.Units++
	s.stats.Bytes += uint64(u.size)
	if u.Damaged {
		s.stats.Damaged++
	}

	if s.cache != 0 && (s.log.head-s.cache > uint64(s.cfg.CacheUnits) || s.cached > s.cfg.CacheBytes) {
		s.cache = 0
	}
	keep := s.log.head - 1
	if s.cache != 0 {
		keep = s.cache
	}
	for _, r := range s.readers {
		keep = min(keep, r.wants(s.log.head))
		if r.asleep {
			r.wake()
		}
	}
	s.log.release(keep, s.cfg.LogBytes)
	s.trimSounds()
	if s.cache < s.log.tail {
		s.cache = 0
	}
}

// describe makes new Params when something of them has changed.
func (s *Stream) describe() {
	if !s.sets.complete() {
		return
	}
	p := Params{Codec: H264, SPS: s.sets.sps, PPS: s.sets.pps[0], Sound: s.sound.sound}
	if s.sets.h265 {
		p.Codec, p.VPS = H265, s.sets.vps
	}
	s.timeline.mayReorder = true
	if parsed, err := parseSPS(p.SPS, s.sets.h265); err == nil {
		p.Width, p.Height = parsed.width, parsed.height
		s.timeline.mayReorder = parsed.mayReorder
	}
	if !s.timeline.mayReorder {
		s.timeline.reordered = false
	}
	p.Reordered = s.timeline.reordered
	if s.params != nil && s.params.equal(&p) {
		return
	}
	s.params = &p
	s.notify()
}

func (p *Params) equal(o *Params) bool {
	return p.Codec == o.Codec && p.Sound == o.Sound && p.Reordered == o.Reordered &&
		bytes.Equal(p.VPS, o.VPS) && bytes.Equal(p.SPS, o.SPS) && bytes.Equal(p.PPS, o.PPS)
}

func (s *Stream) setState(online bool, since time.Time, cause string) {
	s.online, s.since, s.cause = online, since, cause
	s.notify()
}

func (s *Stream) notify() {
	close(s.changed)
	s.changed = make(chan struct{})
}
