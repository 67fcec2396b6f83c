// Package mse carries a live picture over a WebSocket as fragmented MP4, for
// browsers that WebRTC does not reach: what is left open everywhere is the port
// of the console itself.
//
// What goes over the socket: a text message with the format, as JSON; then a
// binary one with the init segment; then one with a fragment for each picture.
// When the camera comes to send another format, it begins again with a text
// message. A picture follows the next one, because only that tells how long it
// is shown; otherwise it is sent as it comes, with the sound that came before it.
//
// What it promises: the stream never waits for a socket; one that takes in too
// little goes on at a newer key picture, which is counted; one that is silent
// for a minute is closed. While the camera is away nothing is sent and the
// socket stays. A picture never waits for sound that has ceased to come. Nothing is
// coded anew: AAC and Opus are carried, to browsers that say that they play them;
// G.711 is what no media source plays, and the format says that it is left out.
package mse

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/bits"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4"

	"stationd/video/stream"
)

// Format is the first thing that is sent.
type Format struct {
	// Type is what the browser's media source is asked for.
	Type   string `json:"type"`
	Width  int    `json:"width,omitempty"`
	Height int    `json:"height,omitempty"`
	// Sound is the codec of the sound that comes with the picture, LeftOut that of
	// the sound which the camera has and the browser cannot be given.
	Sound   string `json:"sound,omitempty"`
	LeftOut string `json:"leftOut,omitempty"`
}

// errReordered ends a socket whose camera begins to send B-frames.
var errReordered = errors.New("the camera sends B-frames")

// maker makes messages of units.
type maker struct {
	plays  func(sound string) bool // what the browser plays
	params *stream.Params
	last   *stream.Unit // not sent yet
	number uint32
	guess  time.Duration
	voice  voice
}

// longest is how long a picture is shown at most: what is longer is a gap.
const longest = time.Second

// add takes in the next unit and hands what is to be sent to text and binary.
func (m *maker) add(u *stream.Unit, text func(Format) error, binary func([]byte) error) error {
	if u.Sound != nil {
		m.voice.hear(u)
		return nil
	}
	if u.Params == nil || len(u.NALUs) == 0 {
		return nil
	}
	if u.Params.Reordered {
		return errReordered
	}
	if m.last != nil {
		shown := u.PTS - m.last.PTS
		if shown <= 0 || shown > longest {
			shown = m.guess
		}
		m.guess = shown
		b, err := m.fragment(m.last, shown)
		if err != nil {
			return err
		}
		if err := binary(b); err != nil {
			return err
		}
	}
	m.last = u
	sound := m.voice.of(u, m.plays)
	if m.params != nil && alike(m.params, u.Params) && (!u.Key || sound == m.voice.sent) {
		m.params = u.Params
		return nil // sound begins and ends before a key picture
	}
	m.params, m.last = u.Params, nil
	m.voice.begin(sound, u.PTS)
	init, err := initOf(u.Params, sound)
	if err != nil {
		return err
	}
	f := Format{Type: typeOf(u.Params, sound), Width: u.Params.Width, Height: u.Params.Height}
	if sound != nil {
		f.Sound = sound.Codec
	} else if u.Params.Sound != nil {
		f.LeftOut = u.Params.Sound.Codec
	}
	if err := text(f); err != nil {
		return err
	}
	m.last = u
	return binary(init)
}

// alike tells whether two pictures need the same beginning.
func alike(a, b *stream.Params) bool {
	return a == b || a.Codec == b.Codec && bytes.Equal(a.VPS, b.VPS) && bytes.Equal(a.SPS, b.SPS) && bytes.Equal(a.PPS, b.PPS)
}

// fragment is one picture and the sound that came before it.
func (m *maker) fragment(u *stream.Unit, shown time.Duration) ([]byte, error) {
	size := 0
	for _, n := range u.NALUs {
		size += 4 + len(n)
	}
	payload := make([]byte, 0, size)
	for _, n := range u.NALUs {
		payload = append(payload, byte(len(n)>>24), byte(len(n)>>16), byte(len(n)>>8), byte(len(n)))
		payload = append(payload, n...)
	}
	m.number++
	p := fmp4.Part{SequenceNumber: m.number, Tracks: []*fmp4.PartTrack{{
		ID: 1, BaseTime: uint64(stream.ToTicks(u.PTS)),
		Samples: []*fmp4.Sample{{Duration: uint32(max(stream.ToTicks(shown), 1)), IsNonSyncSample: !u.Key, Payload: payload}},
	}}}
	if t := m.voice.take(); t != nil {
		p.Tracks = append(p.Tracks, t)
	}
	var buf seekablebuffer.Buffer
	if err := p.Marshal(&buf); err != nil {
		return nil, fmt.Errorf("make fragment: %w", err)
	}
	return buf.Bytes(), nil
}

func initOf(p *stream.Params, sound *stream.Sound) ([]byte, error) {
	var codec mp4.Codec = &mp4.CodecH264{SPS: p.SPS, PPS: p.PPS}
	if p.Codec == stream.H265 {
		codec = &mp4.CodecH265{VPS: p.VPS, SPS: p.SPS, PPS: p.PPS}
	}
	i := fmp4.Init{Tracks: []*fmp4.InitTrack{{ID: 1, TimeScale: stream.ClockRate, Codec: codec}}}
	if sound != nil {
		about, err := codecOf(sound)
		if err != nil {
			return nil, fmt.Errorf("make init segment: %w", err)
		}
		i.Tracks = append(i.Tracks, &fmp4.InitTrack{ID: 2, TimeScale: uint32(sound.Rate), Codec: about})
	}
	var buf seekablebuffer.Buffer
	if err := i.Marshal(&buf); err != nil {
		return nil, fmt.Errorf("make init segment: %w", err)
	}
	return buf.Bytes(), nil
}

// typeOf is the media type with its codec (RFC 6381; ISO/IEC 14496-15, Annex E).
func typeOf(p *stream.Params, sound *stream.Sound) string {
	names := pictureName(p)
	if sound != nil {
		names += ", " + soundName(sound)
	}
	return `video/mp4; codecs="` + names + `"`
}

func pictureName(p *stream.Params) string {
	if p.Codec != stream.H265 {
		return "avc1." + p.Profile()
	}
	name := "hvc1"
	if sps := unescape(p.SPS); len(sps) >= 15 {
		profile := strconv.Itoa(int(sps[3] & 0x1f))
		if space := sps[3] >> 6; space > 0 {
			profile = string(rune('A'+space-1)) + profile
		}
		tier := "L"
		if sps[3]&0x20 != 0 {
			tier = "H"
		}
		compatible := uint32(sps[4])<<24 | uint32(sps[5])<<16 | uint32(sps[6])<<8 | uint32(sps[7])
		name += fmt.Sprintf(".%s.%X.%s%d", profile, bits.Reverse32(compatible), tier, sps[14])
		for _, b := range bytes.TrimRight(sps[8:14], "\x00") {
			name += "." + strings.ToUpper(hex.EncodeToString([]byte{b}))
		}
	}
	return name
}

// unescape takes the emulation prevention bytes out of the head of a NALU.
func unescape(n []byte) []byte {
	out := make([]byte, 0, 32)
	zeros := 0
	for _, b := range n {
		if len(out) == cap(out) {
			break
		}
		if zeros >= 2 && b == 3 {
			zeros = 0
			continue
		}
		if zeros++; b != 0 {
			zeros = 0
		}
		out = append(out, b)
	}
	return out
}

// hijackable is w where the console's wrappers hide the connection.
func hijackable(w http.ResponseWriter) http.ResponseWriter {
	if _, ok := w.(http.Hijacker); ok {
		return w
	}
	return unwrapped{w}
}

type unwrapped struct{ http.ResponseWriter }

// The wrapper's wrappers are found by the standard library.
func (u unwrapped) Unwrap() http.ResponseWriter { return u.ResponseWriter }

// readUnits hands on what the reader is given until ctx ends.
func readUnits(ctx context.Context, r *stream.Reader, each func(*stream.Unit) error) error {
	for {
		u, err := r.Next(ctx)
		if err != nil {
			return err
		}
		if err := each(u); err != nil {
			return err
		}
	}
}
