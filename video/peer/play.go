package peer

import (
	"context"
	"errors"
	"io"
	"time"

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

// play sends from to the peer until ctx or the stream ends.
func play(ctx context.Context, from *stream.Stream, out *outlet, name string, burst int) error {
	pace := gap{burst: burst}
	for {
		err := playOnce(ctx, from, out, name, &pace)
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
func playOnce(ctx context.Context, from *stream.Stream, out *outlet, name string, pace *gap) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	out.onWish(stop)
	defer out.onWish(nil)

	reader := from.Read(stream.ReadOptions{Name: name, Capacity: behind, FromCache: true, Pace: true})
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
				out.skipped(now - skipped)
			}
			skipped = now
		}
		begun = true
		ts := out.stamp(u)
		for _, p := range u.Packets {
			if err := pace.wait(ctx); err != nil {
				return context.Cause(ctx)
			}
			if err := send(ctx, out, p, ts, pace); err != nil {
				return err
			}
		}
	}
}

// send sends one packet, however long the peer takes. Meanwhile the reader falls
// behind, and goes on at a newer key picture: so the camera is not held up, the
// picture that was begun is finished, and no sequence number is missing.
func send(ctx context.Context, out *outlet, p *rtp.Packet, ts uint32, pace *gap) error {
	for {
		err := out.write(p, ts)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !errors.Is(err, errRefused):
			return errors.Join(errPeerGone, err)
		}
		if pace.sleep(ctx, refusedPause) != nil {
			return context.Cause(ctx)
		}
	}
}
