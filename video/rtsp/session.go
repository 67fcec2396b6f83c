package rtsp

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"stationd/agent/station"
	"stationd/video/stream"
)

const (
	// maxErrors packets in a row that the library refuses, with no picture in
	// between, end the session: another SSRC or payload type than was agreed.
	maxErrors = 200
	// steadyAfter is how long pictures must have come for a session to count as
	// a good one.
	steadyAfter = 10 * time.Second
)

// session is one connection to the camera, from dialling to TEARDOWN.
type session struct {
	line
	began  time.Time
	client *gortsplib.Client

	// What comes is taken in by one goroutine of the library over TCP, by one for
	// each track and its reports over UDP; one packet at a time.
	mu     sync.Mutex
	video  depacketizer
	ear    *ear // nil without sound
	clocks clocks

	// As times since began.
	picture  atomic.Int64 // the last one
	key      atomic.Int64 // the last good one
	firstKey atomic.Int64
	packets  atomic.Int64
	errors   atomic.Int64
	lost     atomic.Uint64
	keySeen  chan struct{} // closed with the first key picture
	wishes   wishes

	clockOffset atomic.Int64 // in seconds
}

func newSession(s *Source, hurried bool) *session {
	return &session{line: line{s: s, transport: s.transport(), hurried: hurried}, began: time.Now(), keySeen: make(chan struct{}), wishes: newWishes()}
}

// run connects, plays, and returns why it ended, nil when ctx did. It is done
// with the stream when it returns.
func (se *session) run(ctx context.Context) error {
	s := se.s
	se.client = &gortsplib.Client{
		Scheme:            s.url.Scheme,
		Host:              s.url.Host,
		Transport:         &se.transport, // or it would choose by itself
		TLSConfig:         s.tlsConfig(),
		ReadTimeout:       s.cfg.RequestTimeout,
		WriteTimeout:      s.cfg.RequestTimeout,
		UserAgent:         "stationd",
		DialContext:       se.dial,
		ListenPacket:      listenPacket,
		OnResponse:        se.answered,
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

// play sets the tracks up and starts them.
func (se *session) play() error {
	s := se.s
	desc, _, err := se.client.Describe(s.address())
	if err != nil {
		return err
	}
	media, video, params, err := choose(desc)
	if err != nil {
		return err
	}
	if _, err := se.client.Setup(desc.BaseURL, media, 0, 0); err != nil {
		return err
	}
	se.video = depacketizer{syntax: h264, emit: se.write}
	if params.Codec == stream.H265 {
		se.video.syntax = h265
	}
	if sound, f, ear := findSound(desc); ear != nil && !s.cfg.Mute && !s.deaf {
		switch _, err := se.client.Setup(desc.BaseURL, sound, 0, 0); {
		case err == nil:
			se.ear, params.Sound = ear, ear.sound
			ear.emit = se.hear
			se.client.OnPacketRTP(sound, f, se.soundPacket)
			se.client.OnPacketRTCP(sound, func(p rtcp.Packet) { se.report(p, &se.clocks.sound) })
		case refusal(err): // it is watched without sound
		case s.badTransport(err):
			return errDeaf
		default:
			return err
		}
	}
	s.to.Announce(params)
	se.wishes.media = media
	se.client.OnPacketRTP(media, video, se.videoPacket)
	se.client.OnPacketRTCP(media, func(p rtcp.Packet) { se.report(p, &se.clocks.video) })
	_, err = se.client.Play(nil)
	return err
}

// errDeaf tells that the camera sets up its sound in a way that would spoil the
// picture.
var errDeaf = errors.New("the sound cannot be set up beside the picture")

// refusal tells that the camera answered, and said no.
func refusal(err error) bool {
	var code liberrors.ErrClientBadStatusCode
	return errors.As(err, &code)
}

// choose picks the video that we can use, or says what there is instead.
func choose(desc *description.Session) (*description.Media, format.Format, stream.Params, error) {
	other := ""
	for _, m := range desc.Medias {
		if m.Type != description.MediaTypeVideo || m.IsBackChannel {
			continue
		}
		for _, f := range m.Formats {
			switch f := f.(type) {
			case *format.H264:
				if f.PacketizationMode >= 2 {
					return nil, nil, stream.Params{}, interleaved("H.264")
				}
				sps, pps := f.SafeParams()
				return m, f, stream.Params{Codec: stream.H264, SPS: sps, PPS: pps}, nil
			case *format.H265:
				if f.MaxDONDiff > 0 {
					return nil, nil, stream.Params{}, interleaved("H.265")
				}
				vps, sps, pps := f.SafeParams()
				return m, f, stream.Params{Codec: stream.H265, VPS: vps, SPS: sps, PPS: pps}, nil
			}
			if other == "" {
				other = f.Codec()
			}
		}
	}
	if other != "" {
		return nil, nil, stream.Params{}, fail(station.CameraUnsupported, "the camera sends "+other+", which is not supported",
			"set this stream, or the sub-stream, to H.264 in the camera's settings")
	}
	return nil, nil, stream.Params{}, fail(station.CameraUnsupported, "there is no video at this address",
		"check the path of the address; the camera's manual lists it")
}

func interleaved(codec string) error {
	return fail(station.CameraUnsupported, "the camera sends "+codec+" in interleaved mode, which is not supported",
		"choose another stream of the camera")
}

func (se *session) videoPacket(p *rtp.Packet) {
	se.mu.Lock()
	defer se.mu.Unlock()
	se.packets.Add(1)
	se.wishes.ssrc.Store(p.SSRC)
	se.video.push(p, time.Now())
	se.countLost()
}

func (se *session) soundPacket(p *rtp.Packet) {
	se.mu.Lock()
	defer se.mu.Unlock()
	se.packets.Add(1)
	se.ear.push(p)
	se.countLost()
}

func (se *session) countLost() {
	lost := se.video.packetsLost
	if se.ear != nil {
		lost += se.ear.lost
	}
	se.lost.Store(lost)
}

// hear passes a frame of sound on. se.mu is held.
func (se *session) hear(frame []byte, ticks int64) {
	rate := se.ear.sound.Rate
	pts := span(ticks, int64(rate))
	if at, ok := se.clocks.onVideo(ticks, rate, se.video.ticks); ok {
		pts = stream.FromTicks(at)
	}
	se.s.to.WriteSound(frame, pts, time.Now())
}

// report takes in what the camera says of its clock.
func (se *session) report(p rtcp.Packet, of *track) {
	sr, ok := p.(*rtcp.SenderReport)
	if !ok {
		return
	}
	se.mu.Lock()
	defer se.mu.Unlock()
	switch {
	case of == &se.clocks.sound && se.ear != nil && se.ear.started:
		of.report(sr, se.ear.ticks, se.ear.timestamp)
	case of == &se.clocks.video && se.video.started:
		of.report(sr, se.video.ticks, se.video.timestamp)
		if of.known {
			// What is told changes only when it is off by more than a second.
			off, told := time.Until(of.wall), time.Duration(se.clockOffset.Load())*time.Second
			if d := off - told; d > time.Second || d < -time.Second {
				se.clockOffset.Store(int64(off.Round(time.Second) / time.Second))
			}
		}
	}
}

// offset is how far the camera's clock is ahead of ours.
func (se *session) offset() time.Duration { return time.Duration(se.clockOffset.Load()) * time.Second }

// write passes an access unit on. It runs in the library's reading goroutine,
// which must not be held up: the camera would drop pictures at its end.
func (se *session) write(u accessUnit) {
	se.s.to.Write(u.nalus, stream.FromTicks(u.ticks), u.arrival, u.damaged)
	if !u.picture {
		return
	}
	now := max(int64(time.Since(se.began)), 1) // zero is never
	se.errors.Store(0)
	se.picture.Store(now)
	if !u.key || u.damaged {
		if se.key.Load() == 0 {
			se.wishes.needed()
		}
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
			se.s.online(se)
		}
		select {
		case <-ctx.Done():
			return nil
		case err := <-ended:
			return err
		case <-keySeen:
			keySeen = nil
		case <-se.wishes.need:
			se.wish()
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
		case se.transport == gortsplib.TransportUDP && se.s.cfg.Transport == station.TransportAuto &&
			se.packets.Load() == 0 && now-playing > min(udpPatience, patience):
			return errNoUDP
		case se.errors.Load() > maxErrors:
			return fail(station.CameraOffline, "the camera sends packets that do not belong to its stream",
				"it has probably started again; a new connection is made")
		case now-picture > patience && se.packets.Load() == 0 && se.transport != gortsplib.TransportTCP:
			return fail(station.CameraOffline, "the camera is connected, but nothing of it comes over UDP",
				"let UDP through the switches and firewalls between, or set the transport to TCP or automatic")
		case now-picture > patience:
			return fail(station.CameraOffline, "the camera is connected but sends no picture",
				"if this goes on, restart the camera")
		case now-max(key, playing) > cfg.KeyTimeout:
			return fail(station.CameraUnsupported, "the camera sends no key picture that can be decoded",
				"set a key frame interval (GOP) of two seconds in the camera's settings")
		}
	}
}
