package peer

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"stationd/video/stream"
)

// Playing is the loop of a session that sends: units from a reader of the
// stream, packet by packet, to the peer.

const (
	// keyWishes bounds how often a peer gets the pictures since the last key
	// picture anew: at most twice a second, and less often the longer it goes
	// on asking, since each time costs its line up to a whole group of pictures.
	keyWishEvery = 500 * time.Millisecond
	keyWishMost  = 4 * time.Second
	keyWishCalm  = 10 * time.Second
	// behind is how many units a reader may be late before it skips: two
	// seconds at 25 pictures a second.
	behind = 50
	// refusedPause is how long to wait with a packet that was not taken.
	refusedPause = 5 * time.Millisecond
)

// wishes decides which wishes for a key picture are granted.
type wishes struct {
	last  time.Time
	every time.Duration
}

// grant tells whether a wish at now is granted.
func (w *wishes) grant(now time.Time) bool {
	since := now.Sub(w.last)
	switch {
	case w.last.IsZero() || since > keyWishCalm:
		w.every = keyWishEvery
	case since < w.every:
		return false
	default:
		w.every = min(2*w.every, keyWishMost)
	}
	w.last = now
	return true
}

// playing is one session's way of sending.
type playing struct {
	name string
	from *stream.Stream
	out  *outlet
	// voice is nil where the peer is sent no sound; hears tells that it would
	// take some.
	voice *outlet
	hears bool
	tell  func(rtcp.Packet) // to the peer
	pace  pace
	// begin is the moment of the stream's zero, as the peer is told it.
	begin time.Time
}

// play sends to the peer until ctx or the stream ends.
func (p *playing) play(ctx context.Context) error {
	for {
		err := p.playOnce(ctx)
		switch {
		case errors.Is(err, errAgain):
		case errors.Is(err, io.EOF):
			return errStreamEnded
		default:
			return err
		}
	}
}

var errAgain = errors.New("the peer wants a key picture")

// playOnce sends until the peer is to begin anew (errAgain).
func (p *playing) playOnce(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	p.out.onWish(stop)
	defer p.out.onWish(nil)

	reader := p.from.Read(stream.ReadOptions{Name: p.name, Capacity: behind, FromCache: true, Pace: true, Sound: p.voice != nil})
	defer reader.Close()
	begun, skipped := false, uint64(0)
	for {
		u, err := reader.Next(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return err
		}
		// What a reader passes over to find its first key picture is no loss.
		if now := reader.Skipped(); now != skipped {
			if begun {
				p.out.skipped(now - skipped)
			}
			skipped = now
		}
		begun = true
		if u.Sound != nil {
			if err := p.sound(ctx, u); err != nil {
				return err
			}
			continue
		}
		if u.Key && !p.fits(u.Params) {
			return errOtherFormat
		}
		if err := p.send(ctx, u); err != nil {
			return err
		}
		p.pace.begun()
	}
}

// errOtherFormat ends a session whose camera has come to send something else:
// what is sent is settled when a session begins.
var errOtherFormat = errors.New("the camera sends another format now")

// fits tells whether the peer was promised what the camera sends.
func (p *playing) fits(now *stream.Params) bool {
	if now == nil {
		return true
	}
	was := ""
	if p.voice != nil {
		was = p.voice.mime
	}
	is := ""
	if o := soundOutlet(now.Sound, nil); o != nil && p.hears {
		is = o.mime
	}
	// Sound that has stopped may come again; the picture goes on.
	return pictureOutlet(now.Codec, nil).mime == p.out.mime && (is == was || is == "")
}

// soundLate is how old sound may be that is still sent. The pictures since the
// last key picture are shown quickly one after the other; their sound is not.
const soundLate = 400 * time.Millisecond

// sound sends a piece of sound. What a peer does not take is left out: sound
// that comes later is worse than none.
func (p *playing) sound(ctx context.Context, u *stream.Unit) error {
	if len(u.Packets) == 0 || time.Since(u.Arrival) > soundLate || soundMime(u.Params) != p.voice.mime {
		return nil
	}
	if err := p.voice.speak(u); err != nil && !errors.Is(err, errRefused) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return errors.Join(ErrPeerGone, err)
	}
	if r := p.voice.report(u, p.beginning(u), time.Now()); r != nil {
		p.tell(r)
	}
	return nil
}

func soundMime(p *stream.Params) string {
	if p == nil {
		return ""
	}
	if o := soundOutlet(p.Sound, nil); o != nil {
		return o.mime
	}
	return ""
}

// beginning is the moment of the stream's zero, the same for picture and sound.
func (p *playing) beginning(u *stream.Unit) time.Time {
	if p.begin.IsZero() {
		p.begin = u.Arrival.Add(-u.PTS)
	}
	return p.begin
}

// send sends one unit, however long the peer takes. Meanwhile the reader falls
// behind, and goes on at a newer key picture: so the camera is not held up, the
// picture that was begun is finished, and no sequence number is missing.
func (p *playing) send(ctx context.Context, u *stream.Unit) error {
	ts := p.out.stamp(u)
	for rest := u.Packets; len(rest) > 0; {
		n, err := p.pace.take(ctx, len(rest))
		if err != nil {
			return context.Cause(ctx)
		}
		if err := p.burst(ctx, rest[:n], ts); err != nil {
			return err
		}
		rest = rest[n:]
	}
	if r := p.out.report(u, p.beginning(u), time.Now()); r != nil {
		p.tell(r)
	}
	return nil
}

// burst sends packets until the last is on its way.
func (p *playing) burst(ctx context.Context, packets []*rtp.Packet, ts uint32) error {
	for {
		n, err := p.out.burst(packets, ts)
		packets = packets[n:]
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !errors.Is(err, errRefused):
			return errors.Join(ErrPeerGone, err)
		}
		if p.pace.sleep(ctx, refusedPause) != nil {
			return context.Cause(ctx)
		}
	}
}
