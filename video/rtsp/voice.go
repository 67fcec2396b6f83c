package rtsp

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"
	"github.com/pion/rtp"

	"stationd/agent/station"
)

// Voice is a session at a camera that brings a voice to its loudspeaker. It is
// one beside those that bring pictures: a backchannel is set up before a session
// plays, so that to talk over the running one its pictures would have to end, and
// every camera's loudspeaker would be taken for ever to be free of that. It sets
// up the backchannel alone, which most cameras do not count among their viewers;
// one that does and is full says so (453).
type Voice struct {
	// Codec is what Say takes: PCMA, PCMU or Opus of package stream.
	Codec string

	call  *call
	media *description.Media
	clock voiceClock
	ended chan error
	tidy  sync.WaitGroup

	mu    sync.Mutex
	queue []piece
	count VoiceCount
	fresh chan struct{}
}

// VoiceCount is what has become of what was said.
type VoiceCount struct {
	// Sent were handed to the connection, Dropped were not, because the camera did
	// not read or they came faster than anybody speaks.
	Sent, Dropped uint64
}

// piece is a packet's worth of voice.
type piece struct {
	payload []byte
	at      uint32 // on the camera's clock
	gap     bool   // something before it is missing
}

// maxPieces bounds what waits for a camera: a fifth of a second.
const maxPieces = 10

// errNoLoudspeaker is of a camera that takes no voice at all.
var errNoLoudspeaker = &station.Problem{
	Code: "talk.none", Status: 409, Message: "the camera takes no voice",
	Hint: "if it has a loudspeaker: switch two-way audio on in its settings, and take the address of its stream that ONVIF gives",
}

// NotSpoken is the problem of a loudspeaker that takes what no browser sends.
func (l Loudspeaker) NotSpoken() error {
	switch {
	case l.Codec != "":
		return nil
	case l.Other == "":
		return errNoLoudspeaker
	}
	return station.Errorf(409, "talk.codec", "set the camera's audio encoding (of two-way audio, where it has its own) to G.711A or G.711U",
		"the camera takes a voice only as %s", l.Other)
}

// Call opens a session for a voice. Errors are *station.Problem where somebody
// can do something about them. Run must follow, or Close.
func Call(ctx context.Context, cfg Config, log *slog.Logger) (*Voice, error) {
	s := New(cfg, nil, log)
	if s.bad != nil {
		return nil, s.bad
	}
	transport := gortsplib.TransportTCP
	if cfg.Transport == station.TransportUDP && s.url.Scheme != "rtsps" {
		transport = gortsplib.TransportUDP
	}
	v, err := s.open(ctx, transport)
	if err != nil && s.badWay(err) && s.url.Scheme != "rtsps" && ctx.Err() == nil {
		other := gortsplib.TransportUDP
		if transport == other {
			other = gortsplib.TransportTCP
		}
		v, err = s.open(ctx, other)
	}
	switch _, plain := station.AsProblem(err); {
	case err == nil:
		return v, nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case plain:
		return nil, err
	}
	return nil, s.problem(err)
}

// badWay tells that the packets are to go another way.
func (s *Source) badWay(err error) bool {
	var code liberrors.ErrClientBadStatusCode
	return errors.As(err, &code) && code.Code == 461 || s.badTransport(err)
}

func (s *Source) open(ctx context.Context, transport gortsplib.Transport) (_ *Voice, err error) {
	c, err := s.call(transport)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			c.client.Close()
		}
	}()
	stop := context.AfterFunc(ctx, c.client.Close)
	defer stop()
	base, l, err := c.describe()
	if err != nil {
		return nil, err
	}
	if err := l.NotSpoken(); err != nil {
		return nil, err
	}
	if _, err := c.client.Setup(base, l.media, 0, 0); err != nil {
		return nil, err
	}
	if _, err := c.client.Play(nil); err != nil {
		return nil, err
	}
	v := &Voice{
		Codec: l.Codec, call: c, media: l.media, ended: make(chan error, 1), fresh: make(chan struct{}, 1),
		clock: newVoiceClock(l.Codec, l.via.ClockRate()),
	}
	v.clock.payloadType = l.via.PayloadType()
	v.tidy.Go(func() { v.ended <- c.client.Wait() })
	return v, nil
}

// Say takes a packet of voice and when it was said on the speaker's clock, of
// the codec's rate. It never waits: where the camera does not keep up the oldest
// is left out. It keeps the payload.
func (v *Voice) Say(payload []byte, timestamp uint32) {
	v.mu.Lock()
	defer v.mu.Unlock()
	p, ok := v.clock.place(payload, timestamp, time.Now())
	if !ok {
		v.count.Dropped++
		return
	}
	if len(v.queue) == maxPieces {
		v.queue = append(v.queue[:0], v.queue[1:]...)
		v.queue[0].gap = true
		v.count.Dropped++
	}
	v.queue = append(v.queue, p)
	select {
	case v.fresh <- struct{}{}:
	default:
	}
}

// Count is what has become of what was said.
func (v *Voice) Count() VoiceCount {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.count
}

// full is how long the connection is left alone when it takes nothing.
const full = 10 * time.Millisecond

// Run brings what is said to the camera until ctx ends, which returns nil, or the
// camera hangs up or stops reading. Then the session is closed.
func (v *Voice) Run(ctx context.Context) error {
	defer v.Close()
	pause := time.NewTimer(0)
	defer pause.Stop()
	sequence := uint16(rand.Uint32())
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-v.ended:
			return v.call.s.problem(err)
		case <-v.fresh:
		case <-pause.C:
		}
		for {
			p, ok := v.take()
			if !ok {
				break
			}
			err := v.call.client.WritePacketRTP(v.media, &rtp.Packet{
				Header: rtp.Header{
					Version: 2, PayloadType: v.clock.payloadType, SequenceNumber: sequence, Timestamp: p.at, Marker: p.gap,
				},
				Payload: p.payload,
			})
			if busy := (liberrors.ErrClientWriteQueueFull{}); errors.As(err, &busy) {
				v.putBack(p)
				pause.Reset(full)
				break
			}
			if err != nil {
				break // ended tells why
			}
			sequence++
			v.mu.Lock()
			v.count.Sent++
			v.mu.Unlock()
		}
	}
}

func (v *Voice) take() (piece, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.queue) == 0 {
		return piece{}, false
	}
	p := v.queue[0]
	v.queue = append(v.queue[:0], v.queue[1:]...)
	return p, true
}

// putBack puts a piece back to the front, unless newer ones have filled the queue.
func (v *Voice) putBack(p piece) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.queue) == maxPieces {
		v.queue[0].gap = true
		v.count.Dropped++
		return
	}
	v.queue = append([]piece{p}, v.queue...)
}

// Close ends the session with TEARDOWN and waits for that.
func (v *Voice) Close() {
	v.call.client.Close()
	v.tidy.Wait()
}

// voiceClock puts what a browser says on one timeline for the camera: it only goes
// forward, from a place of its own, and no faster than time does.
type voiceClock struct {
	payloadType uint8
	rate        int
	sampled     bool // a byte is a sample

	begun bool
	began time.Time
	from  uint32 // the camera's timestamp of the first
	said  uint32 // the browser's timestamp of the last
	last  int64  // the last's place, in samples since the first
	end   int64  // where it ends
}

const (
	// maxPiece bounds a packet, which has to fit in one of the line's.
	maxPiece = 1200
	// maxPause is the longest step of a browser's clock that is believed.
	maxPause = 5 * time.Second
	// maxAhead is how far a voice may be ahead of time: what was held up on its way
	// comes in a burst.
	maxAhead = time.Second
)

func newVoiceClock(codec string, rate int) voiceClock {
	return voiceClock{rate: rate, sampled: codec[:3] == "PCM", from: rand.Uint32()}
}

// place gives a packet its place; false where it has none.
func (c *voiceClock) place(payload []byte, timestamp uint32, now time.Time) (piece, bool) {
	if len(payload) == 0 || len(payload) > maxPiece {
		return piece{}, false
	}
	length := int64(1)
	if c.sampled {
		length = int64(len(payload))
	}
	if !c.begun {
		c.begun, c.began, c.said, c.end = true, now, timestamp, length
		return piece{payload: payload, at: c.from, gap: true}, true
	}
	step := int64(int32(timestamp - c.said))
	at := c.last + step
	gap := false
	switch {
	case step <= 0 || step > int64(maxPause.Seconds())*int64(c.rate):
		at, gap = c.end, true // its clock was set
	case at < c.end:
		at = c.end
	case c.sampled:
		gap = at > c.end
	}
	if time.Duration(at)*time.Second/time.Duration(c.rate) > now.Sub(c.began)+maxAhead {
		return piece{}, false
	}
	c.said, c.last, c.end = timestamp, at, at+length
	return piece{payload: payload, at: c.from + uint32(at), gap: gap}, true
}
