package record

import (
	"bytes"
	"fmt"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4"

	"stationd/video/stream"
)

// maxFragment is how long a fragment gets where no key picture ends it earlier.
const maxFragment = 2 * time.Second

// timeScale is ticks per second in the MP4 boxes.
const timeScale = stream.ClockRate

// usualDistance stands in for the distance to a next picture that never came.
const usualDistance = 40 * time.Millisecond

// paramSets are the parameter sets of a generation.
type paramSets struct{ sps, pps []byte }

func (p *paramSets) equal(q *paramSets) bool {
	return q != nil && bytes.Equal(p.sps, q.sps) && bytes.Equal(p.pps, q.pps)
}

// initSegment is what a player needs before the fragments of this generation.
func (p *paramSets) initSegment() ([]byte, error) {
	var b seekablebuffer.Buffer
	segment := fmp4.Init{Tracks: []*fmp4.InitTrack{{
		ID: 1, TimeScale: timeScale, Codec: &mp4.CodecH264{SPS: p.sps, PPS: p.pps},
	}}}
	if err := segment.Marshal(&b); err != nil {
		return nil, fmt.Errorf("make init segment: %w", err)
	}
	return b.Bytes(), nil
}

// fragment is a piece of one camera's record on its way to the disk.
type fragment struct {
	camera  string
	start   int64 // index time
	era     era
	head    header
	params  *paramSets
	reason  Reason // why there is a gap before it, if there is one
	payload []byte // headerSize bytes of room, then moof and mdat
}

func (f *fragment) end() int64 { return f.start + int64(f.head.duration) }

// picture is an access unit in a fragment that is being cut.
type picture struct {
	nalus    [][]byte
	pts, dts time.Duration
	key      bool
}

// cutter cuts one camera's units into fragments.
type cutter struct {
	camera   string
	clock    *clock
	maxBytes int

	line     timeline
	era      era
	order    h264.DTSExtractor
	params   *paramSets
	pictures []picture
	size     int
	damaged  bool
	distance time.Duration // between the last two pictures
	needKey  bool
	reason   Reason
	arrived  time.Time
	lastPTS  time.Duration
	lastDTS  time.Duration
	sequence uint32
}

func newCutter(camera string, c *clock, maxBytes int) *cutter {
	return &cutter{
		camera: camera, clock: c, maxBytes: maxBytes,
		distance: usualDistance, needKey: true, reason: GapRestart,
	}
}

// interrupt tells that pictures are missing: what cannot be decoded without them
// is not kept, and the gap gets the reason.
func (c *cutter) interrupt(reason Reason) {
	c.reason = reason
	if len(c.pictures) > 0 && c.pictures[0].key {
		return
	}
	c.pictures, c.size, c.damaged = nil, 0, false
	c.needKey = true
}

// add takes a unit and returns the fragment that it ended, if it ended one.
func (c *cutter) add(u *stream.Unit, params stream.Params) (*fragment, error) {
	at, era := c.clock.index(u.Arrival)
	if c.needKey {
		if !u.Key || u.Damaged {
			return nil, nil
		}
		c.begin(u, at, era)
	}
	var done *fragment
	var err error
	if era != c.era || c.full(u) {
		if done, err = c.close(u.PTS); c.needKey {
			return nil, err
		}
	}
	if era != c.era {
		c.era = era
		c.line.restart(u.PTS, at)
		c.reason = GapClock
	}
	if u.Key {
		if c.line.late(u.PTS, at) > time.Duration(jumpAt) && u.Arrival.Sub(c.arrived) > time.Duration(jumpAt) {
			c.line.restart(u.PTS, at)
		}
		c.params = paramsOf(u, params, c.params)
	}
	c.append(u, at)
	return done, err
}

// full tells that the unit begins a new fragment.
func (c *cutter) full(u *stream.Unit) bool {
	if len(c.pictures) == 0 {
		return false
	}
	return u.Key || u.PTS-c.pictures[0].pts >= maxFragment || c.size+u.Size() > c.maxBytes
}

// begin starts anew at a key picture.
func (c *cutter) begin(u *stream.Unit, at int64, era era) {
	c.needKey = false
	c.order = h264.DTSExtractor{}
	c.order.Initialize()
	c.lastDTS = -1
	c.distance = usualDistance
	c.era = era
	if late := c.line.late(u.PTS, at); !c.line.set || late.Abs() > time.Duration(jumpAt) {
		c.line.restart(u.PTS, at)
	}
}

func (c *cutter) append(u *stream.Unit, at int64) {
	dts := c.decodeTime(u)
	if len(c.pictures) > 0 {
		if d := dts - c.pictures[len(c.pictures)-1].dts; d > 0 && d < maxFragment {
			c.distance = d
		}
	}
	c.line.see(dts, at)
	c.pictures = append(c.pictures, picture{nalus: u.NALUs, pts: u.PTS, dts: dts, key: u.Key && !u.Damaged})
	c.size += u.Size()
	c.damaged = c.damaged || u.Damaged
	c.arrived, c.lastPTS, c.lastDTS = u.Arrival, u.PTS, dts
}

// decodeTime is when the picture is decoded: with B-frames before it is shown.
// It always grows.
func (c *cutter) decodeTime(u *stream.Unit) time.Duration {
	dts := u.PTS
	if ticks, err := c.order.Extract(u.NALUs, stream.ToTicks(u.PTS)); err == nil {
		dts = min(stream.FromTicks(ticks), u.PTS)
	}
	if dts <= c.lastDTS {
		dts = c.lastDTS + time.Second/timeScale
	}
	return dts
}

// flush ends the fragment that is being cut without knowing what comes next.
func (c *cutter) flush() (*fragment, error) {
	if len(c.pictures) == 0 {
		return nil, nil
	}
	return c.close(c.pictures[len(c.pictures)-1].dts + c.distance)
}

// close ends the fragment; next is the time of the picture behind it.
func (c *cutter) close(next time.Duration) (*fragment, error) {
	pictures := c.pictures
	if len(pictures) == 0 {
		return nil, nil
	}
	size, damaged := c.size, c.damaged
	c.pictures, c.size, c.damaged = nil, 0, false

	first, last := pictures[0], pictures[len(pictures)-1]
	if next <= last.dts || next-last.dts > maxFragment {
		next = last.dts + c.distance
	}
	c.sequence++
	start := c.line.place(first.dts)
	samples, err := samplesOf(pictures, next)
	if err != nil {
		c.interrupt(GapDamaged)
		return nil, err
	}
	part := fmp4.Part{SequenceNumber: c.sequence, Tracks: []*fmp4.PartTrack{{
		// The decode time is index time: fragments that are put one behind the
		// other lie where they belong, holes and all.
		ID: 1, BaseTime: uint64(stream.ToTicks(time.Duration(start))), Samples: samples,
	}}}
	var b seekablebuffer.Buffer
	b.Grow(headerSize + size + 64*len(samples) + 512)
	if _, err := b.Write(make([]byte, headerSize)); err != nil {
		return nil, err
	}
	if err := part.Marshal(&b); err != nil {
		c.interrupt(GapDamaged)
		return nil, fmt.Errorf("make fragment: %w", err)
	}
	f := &fragment{
		camera: c.camera, start: start, era: c.era, params: c.params, reason: c.reason, payload: b.Bytes(),
		head: header{pts: first.pts, duration: next - first.dts, samples: uint32(len(samples))},
	}
	if first.key {
		f.head.flags |= flagKey
	}
	if damaged {
		f.head.flags |= flagDamaged
	}
	c.reason = GapLost
	c.line.settle(f.head.duration)
	return f, nil
}

func samplesOf(pictures []picture, next time.Duration) ([]*fmp4.Sample, error) {
	samples := make([]*fmp4.Sample, len(pictures))
	for i, p := range pictures {
		end := next
		if i+1 < len(pictures) {
			end = pictures[i+1].dts
		}
		s := &fmp4.Sample{Duration: uint32(max(stream.ToTicks(end)-stream.ToTicks(p.dts), 1))}
		if err := s.FillH264(int32(stream.ToTicks(p.pts)-stream.ToTicks(p.dts)), p.nalus); err != nil {
			return nil, fmt.Errorf("make fragment: %w", err)
		}
		samples[i] = s
	}
	return samples, nil
}

// paramsOf are the parameter sets of a key unit: those in it, else those that
// the stream knows, else those before.
func paramsOf(u *stream.Unit, known stream.Params, before *paramSets) *paramSets {
	p := &paramSets{sps: known.SPS, pps: known.PPS}
	var sps, pps []byte
	for _, n := range u.NALUs {
		if len(n) == 0 {
			continue
		}
		switch h264.NALUType(n[0] & 0x1f) {
		case h264.NALUTypeSPS:
			sps = n
		case h264.NALUTypePPS:
			if pps == nil {
				pps = n
			}
		}
	}
	if sps != nil && pps != nil {
		p = &paramSets{sps: sps, pps: pps}
	}
	if before != nil && before.equal(p) {
		return before
	}
	return &paramSets{sps: bytes.Clone(p.sps), pps: bytes.Clone(p.pps)}
}
