package rtsp

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/pion/rtp"
)

// NALUs of H.265: the third byte of a slice tells whether it is the first.
var (
	idr5     = []byte{20 << 1, 1, 0x80, 1, 2}
	idr5Rest = []byte{20 << 1, 1, 0x00, 3, 4}
	cra5     = []byte{21 << 1, 1, 0x80, 5}
	trail5   = []byte{1 << 1, 1, 0x80, 6, 7}
	vps5     = []byte{32 << 1, 1, 9}
	sps5     = []byte{33 << 1, 1, 8}
	pps5     = []byte{34 << 1, 1, 7}
)

func ap(n ...[]byte) []byte {
	out := []byte{48 << 1, 1}
	for _, x := range n {
		out = append(binary.BigEndian.AppendUint16(out, uint16(len(x))), x...)
	}
	return out
}

// fu is the part of a NALU between two offsets.
func fu(n []byte, from, to int) []byte {
	head := n[0] >> 1
	if from == 2 {
		head |= 0x80
	}
	if to == len(n) {
		head |= 0x40
	}
	return append([]byte{n[0]&0x81 | 49<<1, n[1], head}, n[from:to]...)
}

func TestDepacketizeH265(t *testing.T) {
	for name, c := range map[string]struct {
		packets []*rtp.Packet
		want    []got
	}{
		"an aggregation packet and fragments": {
			[]*rtp.Packet{packet(1, 0, false, ap(vps5, sps5, pps5)...), packet(2, 0, false, fu(idr5, 2, 3)...), packet(3, 0, false, fu(idr5, 3, 4)...), packet(4, 0, true, fu(idr5, 4, 5)...)},
			[]got{{0, nalus(vps5, sps5, pps5, idr5), true, false}},
		},
		"single NALUs, cut by the timestamp": {
			[]*rtp.Packet{packet(1, 0, false, idr5...), packet(2, 0, false, idr5Rest...), packet(3, 3600, false, trail5...), packet(4, 7200, false, trail5...)},
			[]got{{0, nalus(idr5, idr5Rest), true, false}, {3600, nalus(trail5), false, false}},
		},
		"a CRA is a key picture": {
			[]*rtp.Packet{packet(1, 0, true, cra5...)},
			[]got{{0, nalus(cra5), true, false}},
		},
		"a lost fragment": {
			[]*rtp.Packet{packet(1, 0, true, idr5...), packet(2, 3600, false, fu(trail5, 2, 3)...), packet(4, 3600, true, fu(trail5, 4, 5)...), packet(5, 7200, true, idr5...)},
			[]got{{0, nalus(idr5), true, false}, {3600, nil, false, true}, {7200, nalus(idr5), true, false}},
		},
		"a marker on every slice": {
			[]*rtp.Packet{
				packet(1, 0, true, idr5...), packet(2, 0, true, idr5Rest...),
				packet(3, 3600, true, idr5...), packet(4, 3600, true, idr5Rest...),
				packet(5, 7200, true, trail5...),
			},
			[]got{{0, nalus(idr5), true, false}, {0, nalus(idr5Rest), true, true}, {3600, nalus(idr5, idr5Rest), true, false}},
		},
		"what was not agreed on": {
			[]*rtp.Packet{packet(1, 0, true, 50<<1, 1, 2, 3)},
			[]got{{0, nil, false, true}},
		},
		"half a header": {
			[]*rtp.Packet{packet(1, 0, true, idr5...), packet(2, 3600, true, 2), packet(3, 3600, true, trail5...)},
			[]got{{0, nalus(idr5), true, false}, {3600, nalus(trail5), false, false}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var have []got
			d := depacketizer{syntax: h265, emit: func(u accessUnit) { have = append(have, got{u.ticks, u.nalus, u.key, u.damaged}) }}
			for i, p := range c.packets {
				d.push(p, timeBase.Add(time.Duration(i)*time.Millisecond))
			}
			equal := slices.EqualFunc(have, c.want, func(a, b got) bool {
				return a.ticks == b.ticks && a.key == b.key && a.damaged == b.damaged && slices.EqualFunc(a.nalus, b.nalus, bytes.Equal)
			})
			if !equal {
				t.Errorf("\nhave %v\nwant %v", have, c.want)
			}
		})
	}
}

// FuzzDepacketizeH265 is FuzzDepacketize for H.265.
func FuzzDepacketizeH265(f *testing.F) {
	row := func(payloads ...[]byte) []byte {
		var out []byte
		for i, p := range payloads {
			head := byte(1)
			if i == len(payloads)-1 {
				head |= 0x80
			}
			out = append(append(out, head, 0, byte(len(p))), p...)
		}
		return out
	}
	f.Add(row(ap(vps5, sps5, pps5), fu(idr5, 2, 4), fu(idr5, 4, 5)))
	f.Add(row(idr5, idr5Rest))
	f.Add(row([]byte{48 << 1, 1, 0, 9, 1}, []byte{49 << 1, 1}, []byte{49 << 1, 1, 0x94}, []byte{50 << 1, 1}))
	f.Add(row(append([]byte{0, 0, 1}, cra5...)))
	f.Fuzz(func(t *testing.T, in []byte) {
		total := len(in)
		var seq uint16
		var timestamp uint32
		d := depacketizer{syntax: h265}
		now := timeBase
		d.emit = func(u accessUnit) {
			if len(u.nalus) == 0 && !u.damaged || len(u.nalus) > maxNALUs {
				t.Fatalf("%d NALUs, damaged %v", len(u.nalus), u.damaged)
			}
			size, picture := 0, false
			for _, n := range u.nalus {
				see := h265.look(n)
				if see.broken || bytes.Contains(n, startCode) {
					t.Fatalf("NALU %x", n)
				}
				size += len(n)
				picture = picture || see.slice
			}
			if picture != u.picture || u.key && !picture || size > 2*total {
				t.Fatalf("picture %v, key %v, %d bytes in %x", u.picture, u.key, size, u.nalus)
			}
		}
		for len(in) >= 3 {
			seq += uint16(in[0] & 0x7f)
			timestamp += uint32(in[1]) * 900
			n := min(int(in[2]), len(in)-3)
			p := packet(seq, timestamp, in[0]&0x80 != 0)
			p.Payload = in[3 : 3+n : 3+n]
			in = in[3+n:]
			now = now.Add(time.Millisecond)
			d.push(p, now)
		}
	})
}
