package stream_test

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"stationd/video/stream"
)

// Real parameter sets, of x265.
var (
	vps5360 = unhex("40010c01ffff01600000030090000003000003003fba0240")
	sps5360 = unhex("42010101600000030090000003000003003fa005020171f2e5ba4a4c2f016808000003000800000300c840") // 640x360
	vps5HD  = unhex("40010c01ffff016000000300900000030000030078959409")
	sps5HD  = unhex("420101016000000300900000030000030078a003c0801107cb965654a4c2f0168080000003008000000c84") // 1920x1080 with B-frames
	pps5    = unhex("4401c073c189")
)

// Kinds of slices of H.265.
const (
	trail = 1
	rasl  = 9
	idr   = 20
	cra   = 21
)

// slice5 makes a slice NALU of H.265 of a size.
func slice5(kind byte, size int) []byte {
	n := bytes.Repeat([]byte{0xab}, max(size, 4))
	n[0], n[1], n[2] = kind<<1, 1, 0x80
	return n
}

func newTap5() *tap {
	p := newTap()
	p.s.Announce(stream.Params{Codec: stream.H265})
	return p
}

func kinds5(u *stream.Unit) []byte {
	if u == nil {
		return nil
	}
	var k []byte
	for _, n := range u.NALUs {
		k = append(k, n[0]>>1&0x3f)
	}
	return k
}

func TestNormalizeH265(t *testing.T) {
	aud, sei, suffix, end := []byte{35 << 1, 1, 0x50}, []byte{39 << 1, 1, 1, 2}, []byte{40 << 1, 1, 1}, []byte{36 << 1, 1}
	deeper := slice5(idr, 9)
	deeper[1] = 9 // layer 1
	for name, c := range map[string]struct {
		nalus [][]byte
		want  []byte
		key   bool
	}{
		"sets are put in front of an IDR":     {[][]byte{slice5(idr, 9)}, []byte{32, 33, 34, 20}, true},
		"and of a CRA":                        {[][]byte{slice5(cra, 9)}, []byte{32, 33, 34, 21}, true},
		"and of a BLA":                        {[][]byte{slice5(16, 9)}, []byte{32, 33, 34, 16}, true},
		"sets behind the picture go first":    {[][]byte{slice5(idr, 9), vps5360, sps5360, pps5}, []byte{32, 33, 34, 20}, true},
		"delimiter and SEI go":                {[][]byte{aud, vps5360, sps5360, pps5, sei, slice5(idr, 9), suffix, end}, []byte{32, 33, 34, 20}, true},
		"known sets before other pictures go": {[][]byte{aud, vps5360, sps5360, pps5, slice5(trail, 9), slice5(0, 9)}, []byte{1, 0}, false},
		"another layer goes":                  {[][]byte{slice5(idr, 9), deeper}, []byte{32, 33, 34, 20}, true},
		"reserved kinds go":                   {[][]byte{slice5(22, 9), slice5(10, 9), slice5(trail, 9), slice5(48, 9)}, []byte{1}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTap5()
			s.write(vps5360, sps5360, pps5, slice5(idr, 9))
			u := s.write(c.nalus...)
			if u == nil || !bytes.Equal(kinds5(u), c.want) || u.Key != c.key {
				t.Errorf("got %v, key %v, want %v", kinds5(u), u != nil && u.Key, c.want)
			}
		})
	}
}

func TestH265NeedsAllThreeSets(t *testing.T) {
	s := newTap5()
	if u := s.write(sps5360, pps5, slice5(idr, 9)); u != nil {
		t.Error("a key picture without VPS is handed out")
	}
	s.s.Announce(stream.Params{Codec: stream.H265, VPS: vps5360})
	u := s.write(slice5(idr, 9))
	if u == nil {
		t.Fatal("the SDP's VPS is not used")
	}
	p := u.Params
	if p.Codec != stream.H265 || p.Width != 640 || p.Height != 360 || !bytes.Equal(p.VPS, vps5360) || p.Profile() != "" {
		t.Errorf("params %+v", p)
	}
}

// check5 is check for H.265: what RFC 7798 lets a receiver make of the packets.
func check5(t testing.TB, u *stream.Unit) {
	t.Helper()
	var back [][]byte
	for i, p := range u.Packets {
		n := len(p.Payload)
		if n < 3 || n > stream.MaxPayload {
			t.Fatalf("payload of %d bytes", n)
		}
		if p.Marker != (i == len(u.Packets)-1) || p.Timestamp != u.Packets[0].Timestamp || p.SequenceNumber != u.Packets[0].SequenceNumber+uint16(i) {
			t.Fatalf("header %+v", p.Header)
		}
		switch head, rest := p.Payload[:2], p.Payload[2:]; head[0] >> 1 & 0x3f {
		case 48: // aggregation: each NALU behind its length
			for len(rest) > 0 {
				if len(rest) < 2 || len(rest)-2 < int(rest[0])<<8|int(rest[1]) {
					t.Fatalf("aggregation cut off: %x", p.Payload)
				}
				size := int(rest[0])<<8 | int(rest[1])
				back = append(back, rest[2:2+size])
				rest = rest[2+size:]
			}
		case 49: // fragment: the type in the third byte, its first piece marked
			if rest[0]&0x80 != 0 {
				back = append(back, []byte{head[0]&0x81 | rest[0]&0x3f<<1, head[1]})
			} else if len(back) == 0 {
				t.Fatalf("a fragment without a beginning: %x", head)
			}
			back[len(back)-1] = append(back[len(back)-1], rest[1:]...)
		default:
			back = append(back, p.Payload)
		}
	}
	if len(back) != len(u.NALUs) {
		t.Fatalf("%d NALUs come out of the packets, %d were put in", len(back), len(u.NALUs))
	}
	for i := range back {
		if !bytes.Equal(back[i], u.NALUs[i]) {
			t.Fatalf("NALU %d comes out changed", i)
		}
	}
}

func TestPacketsOfH265(t *testing.T) {
	s := newTap5()
	for _, size := range []int{9, 1187, 1188, 1189, 1190, 2372, 2373, 2374, 65535, 170_000} {
		for _, nalus := range [][][]byte{
			{vps5360, sps5360, pps5, slice5(idr, size)},
			{slice5(trail, size), slice5(trail, 9), slice5(trail, size)},
		} {
			u := s.write(nalus...)
			check5(t, u)
			if u.Key && u.Packets[0].Payload[0]>>1&0x3f != 48 {
				t.Error("no aggregation packet in front of a key picture")
			}
		}
	}
}

// What needs pictures from before the key picture is nothing for who begins at it.
func TestLeadingPictures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(stream.Config{})
		f.s.Announce(stream.Params{Codec: stream.H265, VPS: vps5HD, SPS: sps5HD, PPS: pps5})
		always := f.s.Read(stream.ReadOptions{Record: true})
		show := func(r *stream.Reader) string {
			var out []byte
			for _, u := range drain(t, r) {
				k := kinds5(u)
				out = append(out, map[byte]byte{trail: '.', rasl: 'r', cra: 'C'}[k[len(k)-1]])
			}
			return string(out)
		}
		write := func(kinds ...byte) {
			for _, k := range kinds {
				f.write(false, slice5(k, 100))
			}
		}
		write(cra, rasl, trail, cra, rasl, trail)
		late := f.s.Read(stream.ReadOptions{FromCache: true})
		if got := show(always); got != "C.Cr." {
			t.Errorf("who was there from the beginning got %s", got)
		}
		if got := show(late); got != "C." {
			t.Errorf("who came later got %s", got)
		}
		write(cra, rasl, trail)
		if got := show(late); got != "Cr." {
			t.Errorf("then %s", got)
		}
		f.s.Lost("off")
		write(cra, rasl, trail)
		if got := show(always); got != "Cr.C." {
			t.Errorf("after a loss: %s", got)
		}
	})
}

// A camera is set from H.264 to H.265: readers stay, go on at a key picture, and
// every unit tells what it is of.
func TestCodecChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(stream.Config{})
		slow := f.s.Read(stream.ReadOptions{})
		f.key()
		f.other(3)
		f.s.Lost("starts again")
		changed := f.s.Changed()
		f.s.Announce(stream.Params{Codec: stream.H265, VPS: vps5360, SPS: sps5360, PPS: pps5})
		select {
		case <-changed:
		default:
			t.Error("silent about the codec")
		}
		if p, ok := f.s.Params(); !ok || p.Codec != stream.H265 || p.Width != 640 {
			t.Errorf("params %+v, %v", p, ok)
		}
		f.write(false, slice5(trail, 50))
		f.write(false, slice5(idr, 50))
		f.write(false, slice5(trail, 50))
		got := drain(t, slow)
		if p := pattern(got); p != "K...K." {
			t.Fatalf("got %s", p)
		}
		for i, u := range got {
			want := stream.H264
			if i >= 4 {
				want = stream.H265
			}
			if u.Params == nil || u.Params.Codec != want {
				t.Errorf("unit %d is of %+v, want %s", i, u.Params, want)
			}
		}
		if got[4].Params != got[5].Params {
			t.Error("the same parameters lie twice")
		}

		// And back, with nothing announced of the sets, in the middle of it all.
		f.s.Announce(stream.Params{Codec: stream.H264})
		if _, ok := f.s.Params(); ok {
			t.Error("the old parameters are told of the new codec")
		}
		f.other(2)
		f.key()
		if p := pattern(drain(t, slow)); p != "K" {
			t.Errorf("got %s", p)
		}
	})
}

func TestSPSOfH265(t *testing.T) {
	for name, c := range map[string]struct {
		sps           []byte
		width, height int
		mayReorder    bool
	}{
		"main 360p":                {sps5360, 640, 360, false},
		"main 1080p with B-frames": {sps5HD, 1920, 1080, true},
	} {
		width, height, mayReorder, err := stream.ParseSPS(c.sps, true)
		if err != nil || width != c.width || height != c.height || mayReorder != c.mayReorder {
			t.Errorf("%s: %dx%d, may reorder %v, %v", name, width, height, mayReorder, err)
		}
	}
	for n := range sps5HD {
		_, _, _, _ = stream.ParseSPS(sps5HD[:n], true) // does not crash
	}
}

// FuzzWriteH265 is FuzzWrite for H.265 with sound: bit 5 of the head makes the
// NALU a frame of sound.
func FuzzWriteH265(f *testing.F) {
	row := func(units ...[][]byte) []byte {
		var out []byte
		for _, u := range units {
			for i, n := range u {
				head := byte(0)
				if i == 0 {
					head = 0x80
				}
				out = append(append(out, head, byte(len(n))), n...)
			}
		}
		return out
	}
	f.Add(append(row([][]byte{vps5360, sps5360, pps5, slice5(idr, 100)}, [][]byte{slice5(trail, 50)}), 0x20, 3, 1, 2, 3), int64(40e6), int64(0), byte(0))
	f.Add(row([][]byte{vps5HD, sps5HD, pps5, slice5(cra, 100)}, [][]byte{slice5(rasl, 50)}), int64(-1), int64(5e18), byte(1))
	f.Add([]byte{0x80, 3, 0xa0, 0, 0x30}, int64(0), int64(0), byte(0)) // no temporal ID
	f.Add([]byte{0xc0, 3, 0x26, 1, 1, 0xa0, 2, 9, 9}, int64(0), int64(-5e18), byte(2))
	f.Fuzz(func(t *testing.T, in []byte, step, shift int64, kind byte) {
		s := stream.New(stream.Config{CacheUnits: 4, CacheBytes: 1000, LogBytes: 2000})
		s.Announce(stream.Params{Codec: stream.H265, VPS: vps5360, SPS: sps5360, PPS: pps5, Sound: sounds[int(kind)%len(sounds)]})
		all := s.Read(stream.ReadOptions{Capacity: 1 << 20, Record: true, Sound: true})
		now := time.Unix(1000, 0)
		var unit [][]byte
		var pts time.Duration
		damaged := false
		flush := func() {
			s.Write(unit, pts, now, damaged)
			unit, damaged = nil, false
			pts += time.Duration(step)
			now = now.Add(frame)
		}
		for len(in) >= 2 {
			head, n := in[0], min(int(in[1]), len(in)-2)
			part := in[2 : 2+n : 2+n]
			in = in[2+n:]
			switch {
			case head&0x20 != 0:
				s.WriteSound(part, pts+time.Duration(shift), now)
				continue
			case head&0x80 != 0:
				flush()
			}
			damaged = damaged || head&0x40 != 0
			unit = append(unit, part)
		}
		flush()
		s.Close()
		last := map[bool]time.Duration{true: -1, false: -1}
		for first := true; ; first = false {
			u, err := all.Next(context.Background())
			if err != nil {
				break
			}
			if first && !u.Key {
				t.Fatal("it begins without a key picture")
			}
			isSound := u.Sound != nil
			if u.PTS <= last[isSound] && !u.Params.Reordered && (!isSound || u.PTS < last[true]) {
				t.Fatalf("sound %v: PTS %v after %v", isSound, u.PTS, last[isSound])
			}
			last[isSound] = u.PTS
			if !isSound {
				check5(t, u)
			}
		}
	})
}
