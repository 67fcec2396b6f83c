package rtsp

import (
	"context"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/pion/rtp"

	"stationd/agent/station"
	"stationd/video/stream"
)

const (
	// maxDials bounds how often one attempt may be redirected.
	maxDials = 3
	// maxErrors packets in a row that the library refuses, with no picture in
	// between, end the session: another SSRC or payload type than was agreed.
	maxErrors = 200
	// steadyAfter is how long pictures must have come for a session to count as
	// a good one.
	steadyAfter = 10 * time.Second
)

// session is one connection to the camera, from dialling to TEARDOWN.
type session struct {
	s      *Source
	began  time.Time
	client *gortsplib.Client
	dials  int

	// Written by the library's reading goroutine, as times since began.
	picture  atomic.Int64 // the last one
	key      atomic.Int64 // the last good one
	firstKey atomic.Int64
	errors   atomic.Int64
	lost     atomic.Uint64
	keySeen  chan struct{} // closed with the first key picture
}

func newSession(s *Source) *session {
	return &session{s: s, began: time.Now(), keySeen: make(chan struct{})}
}

// run connects, plays, and returns why it ended, nil when ctx did. It is done
// with the stream when it returns.
func (se *session) run(ctx context.Context) error {
	s := se.s
	tcp := gortsplib.TransportTCP // or it would try UDP first
	se.client = &gortsplib.Client{
		Scheme:            s.url.Scheme,
		Host:              s.url.Host,
		Transport:         &tcp,
		ReadTimeout:       s.cfg.RequestTimeout,
		WriteTimeout:      s.cfg.RequestTimeout,
		UserAgent:         "stationd",
		DialContext:       se.dial,
		OnPacketsLost:     func(uint64) {}, // the depacketizer knows better
		OnDecodeError:     func(error) { se.errors.Add(1) },
		OnTransportSwitch: func(error) {},
	}
	if err := se.client.Start2(); err != nil {
		return err
	}
	// Close ends whatever request is waiting, sends TEARDOWN and waits for the
	// library's goroutines; then so do ours.
	var ours sync.WaitGroup
	ended := make(chan error, 1)
	ours.Go(func() { ended <- se.client.Wait() })
	finished := make(chan struct{})
	ours.Go(func() {
		select {
		case <-ctx.Done():
		case <-finished:
		}
		se.client.Close()
	})
	defer ours.Wait()
	defer close(finished)

	err := se.play()
	if err == nil {
		err = se.watch(ctx, ended)
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// dial refuses any host but the camera's own.
func (se *session) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if !strings.EqualFold(host, se.s.url.Hostname()) {
		return nil, errRedirect
	}
	if se.dials++; se.dials > maxDials {
		return nil, errLoop
	}
	return se.s.cfg.Dial(ctx, network, address)
}

// play sets the video track up and starts it.
func (se *session) play() error {
	s := se.s
	u := &base.URL{Scheme: s.url.Scheme, Host: s.url.Host, Path: s.url.Path, RawPath: s.url.RawPath, RawQuery: s.url.RawQuery, User: s.user}
	desc, _, err := se.client.Describe(u)
	if err != nil {
		return err
	}
	media, h264, err := choose(desc)
	if err != nil {
		return err
	}
	if _, err := se.client.Setup(desc.BaseURL, media, 0, 0); err != nil {
		return err
	}
	sps, pps := h264.SafeParams()
	s.to.Announce(stream.Params{Codec: stream.H264, SPS: sps, PPS: pps})
	d := depacketizer{emit: se.write}
	se.client.OnPacketRTP(media, h264, func(p *rtp.Packet) {
		d.push(p, time.Now())
		se.lost.Store(d.packetsLost)
	})
	_, err = se.client.Play(nil)
	return err
}

// choose picks the track that we can use, or says what there is instead.
func choose(desc *description.Session) (*description.Media, *format.H264, error) {
	var h264 *format.H264
	if media := desc.FindFormat(&h264); media != nil && !media.IsBackChannel {
		if h264.PacketizationMode >= 2 {
			return nil, nil, fail(station.CameraUnsupported, "the camera sends H.264 in interleaved mode, which is not supported",
				"choose another stream of the camera")
		}
		return media, h264, nil
	}
	for _, m := range desc.Medias {
		if m.Type == description.MediaTypeVideo && len(m.Formats) > 0 {
			return nil, nil, fail(station.CameraUnsupported, "the camera sends "+m.Formats[0].Codec()+", which is not supported",
				"set this stream, or the sub-stream, to H.264 in the camera's settings")
		}
	}
	return nil, nil, fail(station.CameraUnsupported, "there is no video at this address",
		"check the path of the address; the camera's manual lists it")
}

// write passes an access unit on. It runs in the library's reading goroutine,
// which must not be held up: the camera would drop pictures at its end.
func (se *session) write(u accessUnit) {
	se.s.to.Write(u.nalus, stream.FromTicks(u.ticks), u.arrival, u.damaged)
	if !u.picture {
		return
	}
	now := int64(time.Since(se.began))
	se.errors.Store(0)
	se.picture.Store(now)
	if !u.key || u.damaged {
		return
	}
	if online, _, _ := se.s.to.State(); !online {
		return // the stream cannot use it: there are no parameter sets
	}
	if se.key.Swap(now) == 0 {
		se.firstKey.Store(now)
		close(se.keySeen)
	}
}

// steady tells whether the session was good for a while, so that its end is no
// sign of lasting trouble.
func (se *session) steady() bool {
	first := se.firstKey.Load()
	return first != 0 && time.Duration(se.picture.Load()-first) >= steadyAfter
}

// watch returns when the pictures stop or the connection ends.
func (se *session) watch(ctx context.Context, ended <-chan error) error {
	cfg := se.s.cfg
	playing := time.Since(se.began)
	look := time.NewTicker(max(cfg.PictureTimeout/10, 10*time.Millisecond))
	defer look.Stop()
	keySeen := se.keySeen
	for {
		changed := se.s.to.Changed()
		if keySeen == nil {
			se.s.online()
		}
		select {
		case <-ctx.Done():
			return nil
		case err := <-ended:
			return err
		case <-keySeen:
			keySeen = nil
		case <-changed:
		case <-look.C:
		}

		now := time.Since(se.began)
		picture, key := time.Duration(se.picture.Load()), time.Duration(se.key.Load())
		patience := cfg.PictureTimeout
		if picture == 0 {
			picture, patience = playing, max(cfg.RequestTimeout, cfg.PictureTimeout)
		}
		switch {
		case se.errors.Load() > maxErrors:
			return fail(station.CameraOffline, "the camera sends packets that do not belong to its stream",
				"it has probably started again; a new connection is made")
		case now-picture > patience:
			return fail(station.CameraOffline, "the camera is connected but sends no picture",
				"if this goes on, restart the camera")
		case now-max(key, playing) > cfg.KeyTimeout:
			return fail(station.CameraUnsupported, "the camera sends no key picture that can be decoded",
				"set a key frame interval (GOP) of two seconds in the camera's settings")
		}
	}
}
