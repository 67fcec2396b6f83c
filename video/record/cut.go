package record

import (
	"fmt"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"

	"stationd/video/stream"
)

// maxFragment is how long a fragment gets where no key picture ends it earlier.
const maxFragment = 2 * time.Second

// timeScale is ticks per second in the MP4 boxes.
const timeScale = stream.ClockRate

// usualDistance stands in for the distance to a next picture that never came.
const usualDistance = 40 * time.Millisecond

// fragment is a piece of one camera's record on its way to the disk.
type fragment struct {
	camera  string
	class   Class
	start   int64 // index time
	era     era
	head    header
	segment []byte // the init segment that it needs
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
	order    order
	plain    *format // of the pictures since the last key one
	sounding *format // the same with sound
	format   *format // which of the two the last fragment was of
	heard    soundLine
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
	c.heard.drop()
	c.needKey = true
}

// addSound takes a frame of sound, which is described by s.
func (c *cutter) addSound(u *stream.Unit, s *stream.Sound) {
	// Before the first picture it has no place; what has changed waits for a key
	// picture.
	if c.needKey || !c.line.set || !sameSound(c.heard.sound, s) {
		return
	}
	if len(c.pictures) == 0 && len(c.heard.frames) > 0 && u.PTS-c.heard.frames[0].pts > maxFragment {
		c.heard.drop() // the pictures have stopped
	}
	c.heard.add(u)
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
		c.plain = formatOf(u, params, c.plain)
		c.order.begin(c.plain.codec)
		c.heard.announce(params.Sound)
	}
	c.append(u, at)
	return done, err
}

// full tells that the unit begins a new fragment.
func (c *cutter) full(u *stream.Unit) bool {
	if len(c.pictures) == 0 {
		return false
	}
	return u.Key || u.PTS-c.pictures[0].pts >= maxFragment || c.size+c.heard.size+u.Size() > c.maxBytes
}

// begin starts anew at a key picture.
func (c *cutter) begin(u *stream.Unit, at int64, era era) {
	c.needKey = false
	c.order = order{}
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
	if ticks, err := c.order.extract(u.NALUs, stream.ToTicks(u.PTS)); err == nil {
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
	samples, err := c.plain.samplesOf(pictures, next)
	if err != nil {
		c.interrupt(GapDamaged)
		return nil, err
	}
	part := fmp4.Part{SequenceNumber: c.sequence, Tracks: []*fmp4.PartTrack{{
		// The decode time is index time: fragments that are put one behind the
		// other lie where they belong, holes and all.
		ID: pictureTrack, BaseTime: uint64(stream.ToTicks(time.Duration(start))), Samples: samples,
	}}}
	sound := c.cutSound(first.key)
	if sound != nil {
		part.Tracks = append(part.Tracks, sound)
		size += 16 * len(sound.Samples)
		for _, s := range sound.Samples {
			size += len(s.Payload)
		}
	}
	var b seekablebuffer.Buffer
	b.Grow(headerSize + size + 64*len(samples) + 512)
	if _, err := b.Write(make([]byte, headerSize)); err != nil {
		return nil, err
	}
	if err := part.Marshal(&b); err != nil {
		c.interrupt(GapDamaged)
		return nil, fmt.Errorf("make fragment: %w", err)
	}
	segment, err := c.format.initSegment()
	if err != nil {
		c.interrupt(GapDamaged)
		return nil, err
	}
	f := &fragment{
		camera: c.camera, start: start, era: c.era, segment: segment, reason: c.reason, payload: b.Bytes(),
		head: header{pts: first.pts, duration: next - first.dts, samples: uint32(len(samples))},
	}
	if first.key {
		f.head.flags |= flagKey
	}
	if damaged {
		f.head.flags |= flagDamaged
	}
	if sound != nil {
		f.head.flags |= flagSound
	}
	c.reason = GapLost
	c.line.settle(f.head.duration)
	return f, nil
}

// cutSound is the sound of the fragment that ends, and settles its format: where a
// player can be given another, before a key picture, there is sound in it if there
// was any; in between the format stays.
func (c *cutter) cutSound(key bool) *fmp4.PartTrack {
	heard := len(c.heard.frames) > 0
	if key || c.format == nil || !c.format.samePicture(c.plain) {
		c.format = c.plain
		if heard {
			if c.sounding == nil || !c.sounding.samePicture(c.plain) || !sameSound(c.sounding.sound, c.heard.sound) {
				c.sounding = c.plain.with(c.heard.sound)
			}
			c.format = c.sounding
		}
	}
	if !heard || !sameSound(c.format.sound, c.heard.sound) {
		c.heard.drop()
		return nil
	}
	return c.heard.cut(c.line.place)
}

func (f *format) samplesOf(pictures []picture, next time.Duration) ([]*fmp4.Sample, error) {
	samples := make([]*fmp4.Sample, len(pictures))
	for i, p := range pictures {
		end := next
		if i+1 < len(pictures) {
			end = pictures[i+1].dts
		}
		s := &fmp4.Sample{Duration: uint32(max(stream.ToTicks(end)-stream.ToTicks(p.dts), 1))}
		offset := int32(stream.ToTicks(p.pts) - stream.ToTicks(p.dts))
		fill := s.FillH264
		if f.codec == stream.H265 {
			fill = s.FillH265
		}
		if err := fill(offset, p.nalus); err != nil {
			return nil, fmt.Errorf("make fragment: %w", err)
		}
		samples[i] = s
	}
	return samples, nil
}

// order finds out in which order pictures are shown.
type order struct {
	codec string
	avc   h264.DTSExtractor
	hevc  h265.DTSExtractor
}

// begin is called at every key picture.
func (o *order) begin(codec string) {
	if o.codec == codec {
		return
	}
	o.codec = codec
	o.avc, o.hevc = h264.DTSExtractor{}, h265.DTSExtractor{}
	o.avc.Initialize()
	o.hevc.Initialize()
}

func (o *order) extract(nalus [][]byte, pts int64) (int64, error) {
	if o.codec == stream.H265 {
		return o.hevc.Extract(nalus, pts)
	}
	return o.avc.Extract(nalus, pts)
}
