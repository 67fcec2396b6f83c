package rtsp

import (
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/pion/rtcp"
)

// A session that begins in the middle of a group of pictures shows nothing until
// the group ends. Most cameras begin every session with a key picture; the others
// are asked for one: by RTCP, which few obey and the rest pass over, and by
// Config.Wish.

const (
	// maxWishes bounds how often a session asks, and wishEvery how soon again.
	maxWishes = 3
	wishEvery = time.Second
)

type wishes struct {
	need chan struct{}
	ssrc atomic.Uint32 // of the pictures that come

	// Of Run's goroutine.
	media *description.Media
	made  int
	last  time.Time
}

func newWishes() wishes { return wishes{need: make(chan struct{}, 1)} }

// needed tells that a picture came before any key picture. It does not wait.
func (w *wishes) needed() {
	select {
	case w.need <- struct{}{}:
	default:
	}
}

// wish asks for a key picture, within the bounds.
func (se *session) wish() {
	w := &se.wishes
	if se.key.Load() != 0 || w.made == maxWishes || time.Since(w.last) < wishEvery {
		return
	}
	w.made++
	w.last = time.Now()
	// What cannot be sent is not missed: there will be a key picture anyway.
	_ = se.client.WritePacketRTCP(w.media, &rtcp.PictureLossIndication{SenderSSRC: rand.Uint32(), MediaSSRC: w.ssrc.Load()})
	se.s.cfg.Wish()
}
