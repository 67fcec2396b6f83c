package stream_test

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtp/codecs"

	"stationd/video/stream"
)

// tap is a stream and a reader of all that comes out of it.
type tap struct {
	s *stream.Stream
	r *stream.Reader
	n time.Duration
}

func newTap() *tap {
	s := stream.New(stream.Config{})
	return &tap{s: s, r: s.Read(stream.ReadOptions{Record: true})}
}

// write hands in one access unit and returns what comes out, nil for nothing.
func (p *tap) write(nalus ...[]byte) *stream.Unit {
	p.s.Write(nalus, p.n*frame, time.Now(), false)
	p.n++
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // do not wait
	u, _ := p.r.Next(ctx)
	return u
}

func kinds(u *stream.Unit) []byte {
	if u == nil {
		return nil
	}
	var k []byte
	for _, n := range u.NALUs {
		k = append(k, n[0]&0x1f)
	}
	return k
}

func TestNormalize(t *testing.T) {
	aud, sei, filler, end := []byte{9, 0xf0}, []byte{6, 1, 2}, []byte{12, 0xff}, []byte{10}
	pps2 := []byte{0x68, 0x5b, 0x83} // another id
	for name, c := range map[string]struct {
		nalus [][]byte
		want  []byte
		key   bool
	}{
		"sets are put in front of an IDR":        {[][]byte{slice(5, 9)}, []byte{7, 8, 5}, true},
		"sets that are there stay":               {[][]byte{sps360, pps360, slice(5, 9)}, []byte{7, 8, 5}, true},
		"sets behind the picture go first":       {[][]byte{slice(5, 9), sps360, pps360}, []byte{7, 8, 5}, true},
		"repeated sets are sent once":            {[][]byte{sps360, pps360, sps360, pps360, slice(5, 9)}, []byte{7, 8, 5}, true},
		"delimiter, SEI and filler go":           {[][]byte{aud, sps360, pps360, sei, slice(5, 9), filler, end}, []byte{7, 8, 5}, true},
		"slices stay":                            {[][]byte{slice(5, 9), slice(5, 9), slice(5, 9)}, []byte{7, 8, 5, 5, 5}, true},
		"known sets before other pictures go":    {[][]byte{aud, sps360, pps360, slice(1, 9), slice(1, 9)}, []byte{1, 1}, false},
		"a new set before another picture stays": {[][]byte{pps2, slice(1, 9)}, []byte{8, 1}, false},
		"empty NALUs go":                         {[][]byte{nil, {}, slice(1, 9)}, []byte{1}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTap()
			s.write(sps360, pps360, slice(5, 9))
			u := s.write(c.nalus...)
			if u == nil || !bytes.Equal(kinds(u), c.want) || u.Key != c.key {
				t.Errorf("got %v, key %v, want %v", kinds(u), u != nil && u.Key, c.want)
			}
		})
	}
}

func TestNothingToShow(t *testing.T) {
	s := newTap()
	for _, nalus := range [][][]byte{nil, {nil}, {{9, 0xf0}}, {sps360}, {pps360}, {{6, 1}}, {slice(1, 9)}} {
		if u := s.write(nalus...); u != nil {
			t.Errorf("%x is handed out", nalus)
		}
	}
	// The sets that came one by one are known.
	if u := s.write(slice(5, 9)); !bytes.Equal(kinds(u), []byte{7, 8, 5}) {
		t.Errorf("got %v", kinds(u))
	}
}

func TestKeyWithoutSetsIsOfNoUse(t *testing.T) {
	s := newTap()
	if u := s.write(slice(5, 9)); u != nil {
		t.Error("a key picture that cannot be decoded is handed out")
	}
	s.s.Announce(stream.Params{SPS: sps360, PPS: pps360})
	if u := s.write(slice(5, 9)); u == nil {
		t.Error("the SDP's parameter sets are not used")
	}
}

// Several picture parameter sets are all sent; those of an old SPS are not.
func TestManySets(t *testing.T) {
	s := newTap()
	pps1, pps2 := []byte{0x68, 0x5b, 0x83}, []byte{0x68, 0x6b, 0x83} // ids 1 and 2
	s.write(sps360, pps360, pps2, pps1, slice(5, 9))
	u := s.write(slice(5, 9))
	if !bytes.Equal(kinds(u), []byte{7, 8, 8, 8, 5}) || !bytes.Equal(u.NALUs[1], pps360) || !bytes.Equal(u.NALUs[2], pps1) {
		t.Errorf("got %x", u.NALUs)
	}
	if p, _ := s.s.Params(); !bytes.Equal(p.PPS, pps360) {
		t.Errorf("PPS %x", p.PPS)
	}
	u = s.write(spsHigh, ppsHigh, slice(5, 9))
	if !bytes.Equal(kinds(u), []byte{7, 8, 5}) {
		t.Errorf("got %x", u.NALUs)
	}
}

func TestBounds(t *testing.T) {
	s := newTap()
	s.write(sps360, pps360, slice(5, 9))
	if u := s.write(slice(1, 9<<20)); u != nil {
		t.Error("nine megabytes are taken")
	}
	if u := s.write(slices.Repeat([][]byte{slice(1, 9)}, 1000)...); u != nil {
		t.Error("a thousand slices are taken")
	}
	if u := s.write(slice(1, 9)); u == nil || !u.Damaged {
		t.Error("what follows a refused picture is not damaged")
	}
}

// check holds what every unit's packets must be, and takes them apart again.
func check(t testing.TB, u *stream.Unit) {
	t.Helper()
	depacketizer := codecs.H264Packet{IsAVC: true}
	var back []byte
	for i, p := range u.Packets {
		if n := len(p.Payload); n == 0 || n > stream.MaxPayload {
			t.Fatalf("payload of %d bytes", n)
		}
		if p.Marker != (i == len(u.Packets)-1) {
			t.Fatalf("packet %d of %d: marker %v", i, len(u.Packets), p.Marker)
		}
		if p.Timestamp != u.Packets[0].Timestamp || p.Version != 2 || p.PayloadType != stream.PayloadType {
			t.Fatalf("header %+v", p.Header)
		}
		if want := u.Packets[0].SequenceNumber + uint16(i); p.SequenceNumber != want {
			t.Fatalf("sequence number %d, want %d", p.SequenceNumber, want)
		}
		b, err := depacketizer.Unmarshal(p.Payload)
		if err != nil {
			t.Fatal(err)
		}
		back = append(back, b...)
	}
	var want []byte
	for _, n := range u.NALUs {
		want = append(want, byte(len(n)>>24), byte(len(n)>>16), byte(len(n)>>8), byte(len(n)))
		want = append(want, n...)
	}
	if !bytes.Equal(back, want) {
		t.Fatalf("%d bytes come out of the packets, %d were put in", len(back), len(want))
	}
}

func TestPackets(t *testing.T) {
	s := newTap()
	var next uint16
	for i, size := range []int{9, 1186, 1187, 1188, 1189, 1190, 2372, 2373, 2374, 2375, 65535, 170_000} {
		for _, nalus := range [][][]byte{
			{sps360, pps360, slice(5, size)},
			{slice(1, size), slice(1, 9), slice(1, size)},
		} {
			u := s.write(nalus...)
			check(t, u)
			if i > 0 && u.Packets[0].SequenceNumber != next {
				t.Errorf("sequence number %d, want %d", u.Packets[0].SequenceNumber, next)
			}
			next = u.Packets[len(u.Packets)-1].SequenceNumber + 1
			if u.Key && u.Packets[0].Payload[0]&0x1f != 24 {
				t.Error("no STAP-A in front of a key picture")
			}
		}
	}
}

// Parameter sets too large for one packet still go out.
func TestLargeSets(t *testing.T) {
	s := newTap()
	large := append(bytes.Clone(pps360), bytes.Repeat([]byte{0x55}, 1300)...)
	u := s.write(sps360, large, slice(5, 9))
	check(t, u)
	if len(u.Packets) != 4 {
		t.Errorf("%d packets", len(u.Packets))
	}
}

func TestPacketsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(stream.Config{})
		a, b := f.s.Read(stream.ReadOptions{}), f.s.Read(stream.ReadOptions{})
		f.key()
		if ua, ub := drain(t, a)[0], drain(t, b)[0]; ua != ub {
			t.Error("readers get units of their own")
		}
	})
}

func TestSPS(t *testing.T) {
	for name, c := range map[string]struct {
		sps           string
		width, height int
		mayReorder    bool
	}{
		"constrained baseline":  {"6742c01ed900a02ff97011000003000100000300320f162e48", 640, 360, false},
		"main without B-frames": {"674d401fd9005005bb011000000300100000030320f1832480", 1280, 720, false},
		"high with B-frames":    {"67640028acd940780227e5c044000003000400000300c83c60c658", 1920, 1080, true},
		"high 4:4:4":            {"67f4001e919640360f78bf011000000300100000030320f162e480", 854, 480, false},
		"high interlaced":       {"6764001eacd940b424d8088000000300800000190f8a14cb", 720, 576, true},
		"4K":                    {"67640033acb200780087d808800000030080000019078c1924", 3840, 2160, false},
		"with scaling matrices": {"6764000dacb20283f60220000003002000000641e28549", 320, 240, false},
	} {
		t.Run(name, func(t *testing.T) {
			width, height, mayReorder, err := stream.ParseSPS(unhex(c.sps), false)
			if err != nil || width != c.width || height != c.height || mayReorder != c.mayReorder {
				t.Errorf("%dx%d, may reorder %v, %v", width, height, mayReorder, err)
			}
		})
	}
	for n := range sps360 {
		_, _, _, _ = stream.ParseSPS(sps360[:n], false) // does not crash
	}
}

// FuzzWrite holds what readers rely on, for whatever comes from a camera. The
// input is a row of NALUs: a head byte (bit 7: a new unit begins; bit 6: the
// unit is damaged), a length, the bytes.
func FuzzWrite(f *testing.F) {
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
	f.Add(row([][]byte{sps360, pps360, slice(5, 100)}, [][]byte{slice(1, 50)}), int64(40e6))
	f.Add(row([][]byte{spsHigh, ppsHigh, slice(5, 100)}, [][]byte{{9, 0xf0}, slice(1, 50), {6, 1}}), int64(-1))
	f.Add(row([][]byte{sps360}, [][]byte{pps360}, [][]byte{slice(5, 200), slice(5, 200)}), int64(5e18))
	f.Add([]byte{0xc0, 3, 0x65, 0x88, 1}, int64(0))
	f.Fuzz(func(t *testing.T, in []byte, step int64) {
		s := stream.New(stream.Config{CacheUnits: 4, CacheBytes: 1000, LogBytes: 2000})
		viewer := s.Read(stream.ReadOptions{Capacity: 1 << 20})
		record := s.Read(stream.ReadOptions{Capacity: 1 << 20, Record: true})
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
			if in[0]&0x80 != 0 {
				flush()
			}
			damaged = damaged || in[0]&0x40 != 0
			n := min(int(in[1]), len(in)-2)
			unit = append(unit, in[2:2+n:2+n])
			in = in[2+n:]
		}
		flush()
		s.Close()

		for name, r := range map[string]*stream.Reader{"viewer": viewer, "record": record} {
			last := time.Duration(-1)
			first := true
			for {
				u, err := r.Next(t.Context())
				if err != nil {
					break
				}
				check(t, u)
				if first && !u.Key {
					t.Fatalf("%s begins without a key picture", name)
				}
				if u.Damaged && name == "viewer" {
					t.Fatal("a viewer gets a damaged unit")
				}
				if p, _ := s.Params(); u.PTS <= last && !p.Reordered {
					t.Fatalf("%s: PTS %v after %v", name, u.PTS, last)
				}
				if k := kinds(u); u.Key && !u.Damaged && (k[0] != 7 || !slices.Contains(k, 8)) {
					t.Fatalf("a key unit begins with %v", k)
				}
				last, first = max(last, u.PTS), false
			}
		}
		if n := stream.HeldBytes(s); n > 2000 && stream.Held(s) > 1 {
			t.Fatalf("%d bytes are held", n)
		}
	})
}
