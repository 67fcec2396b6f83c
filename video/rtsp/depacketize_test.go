package rtsp

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/pion/rtp"
)

// packet makes one with a payload; the marker is set when end is.
func packet(seq uint16, timestamp uint32, end bool, payload ...byte) *rtp.Packet {
	return &rtp.Packet{
		Header:  rtp.Header{Version: 2, PayloadType: 96, SequenceNumber: seq, Timestamp: timestamp, Marker: end},
		Payload: payload,
	}
}

// Slices: the second byte tells whether it is the first of its picture.
var (
	idr      = []byte{0x65, 0x88, 1, 2}
	idrRest  = []byte{0x65, 0x08, 3, 4}
	slice    = []byte{0x41, 0x9a, 5, 6}
	setSPS   = []byte{0x67, 1, 2, 3}
	setPPS   = []byte{0x68, 4, 5}
	timeBase = time.Unix(1000, 0)
)

// got is an access unit in short.
type got struct {
	ticks   int64
	nalus   [][]byte
	key     bool
	damaged bool
}

func feed(packets ...*rtp.Packet) []got {
	var out []got
	d := depacketizer{syntax: h264, emit: func(u accessUnit) {
		out = append(out, got{u.ticks, u.nalus, u.key, u.damaged})
	}}
	for i, p := range packets {
		d.push(p, timeBase.Add(time.Duration(i)*time.Millisecond))
	}
	return out
}

func nalus(n ...[]byte) [][]byte { return n }

func stap(n ...[]byte) []byte {
	out := []byte{0x78}
	for _, x := range n {
		out = append(binary.BigEndian.AppendUint16(out, uint16(len(x))), x...)
	}
	return out
}

// fragment is the part of a NALU between two offsets, as FU-A.
func fragment(n []byte, from, to int) []byte {
	head := n[0] & 0x1f
	if from == 1 {
		head |= 0x80
	}
	if to == len(n) {
		head |= 0x40
	}
	return append([]byte{n[0]&0xe0 | 28, head}, n[from:to]...)
}

func TestDepacketize(t *testing.T) {
	annexB := append([]byte{0, 0, 0, 1}, slices.Concat(setSPS, []byte{0, 0, 0, 1}, setPPS, []byte{0, 0, 1}, idr)...)
	for name, c := range map[string]struct {
		packets []*rtp.Packet
		want    []got
	}{
		"single NALUs, cut by the marker": {
			[]*rtp.Packet{packet(1, 9000, false, setSPS...), packet(2, 9000, false, setPPS...), packet(3, 9000, true, idr...), packet(4, 12600, true, slice...)},
			[]got{{9000, nalus(setSPS, setPPS, idr), true, false}, {12600, nalus(slice), false, false}},
		},
		"cut by the timestamp": {
			[]*rtp.Packet{packet(1, 0, false, idr...), packet(2, 0, false, idrRest...), packet(3, 3600, false, slice...), packet(4, 7200, false, slice...)},
			[]got{{0, nalus(idr, idrRest), true, false}, {3600, nalus(slice), false, false}},
		},
		"timestamp and marker in one packet": {
			[]*rtp.Packet{packet(1, 0, false, idr...), packet(2, 3600, true, slice...)},
			[]got{{0, nalus(idr), true, false}, {3600, nalus(slice), false, false}},
		},
		"the timestamp wraps": {
			[]*rtp.Packet{packet(65535, 0xfffffff0, true, idr...), packet(0, 0x10, true, slice...)},
			[]got{{-16, nalus(idr), true, false}, {16, nalus(slice), false, false}},
		},
		"STAP-A and FU-A": {
			[]*rtp.Packet{packet(1, 0, false, stap(setSPS, setPPS)...), packet(2, 0, false, fragment(idr, 1, 2)...), packet(3, 0, false, fragment(idr, 2, 3)...), packet(4, 0, true, fragment(idr, 3, 4)...)},
			[]got{{0, nalus(setSPS, setPPS, idr), true, false}},
		},
		"one fragment that is both start and end": {
			[]*rtp.Packet{packet(1, 0, true, fragment(idr, 1, 4)...)},
			[]got{{0, nalus(idr), true, false}},
		},
		"Annex-B inside": {
			[]*rtp.Packet{packet(1, 0, true, annexB...)},
			[]got{{0, nalus(setSPS, setPPS, idr), true, false}},
		},
		"padding at the end of a STAP-A": {
			[]*rtp.Packet{packet(1, 0, true, append(stap(idr), 0, 0)...)},
			[]got{{0, nalus(idr), true, false}},
		},
		"begins in the middle of a picture": {
			[]*rtp.Packet{packet(1, 0, true, fragment(idr, 2, 4)...), packet(2, 3600, true, slice...)},
			[]got{{0, nil, false, true}, {3600, nalus(slice), false, true}},
		},
		"a lost fragment": {
			[]*rtp.Packet{packet(1, 0, true, idr...), packet(2, 3600, false, fragment(slice, 1, 2)...), packet(4, 3600, true, fragment(slice, 3, 4)...), packet(5, 7200, true, idr...)},
			[]got{{0, nalus(idr), true, false}, {3600, nil, false, true}, {7200, nalus(idr), true, false}},
		},
		"the end of a picture is lost, and the next is whole": {
			[]*rtp.Packet{packet(1, 0, false, idr...), packet(3, 3600, true, slice...)},
			[]got{{0, nalus(idr), true, true}, {3600, nalus(slice), false, true}},
		},
		"pictures are lost before a whole key picture": {
			[]*rtp.Packet{packet(1, 0, true, idr...), packet(9, 36000, true, idr...)},
			[]got{{0, nalus(idr), true, false}, {36000, nalus(idr), true, false}},
		},
		"the beginning of a key picture is lost": {
			[]*rtp.Packet{packet(1, 0, true, idr...), packet(9, 36000, true, idrRest...)},
			[]got{{0, nalus(idr), true, false}, {36000, nalus(idrRest), true, true}},
		},
		"a packet comes twice": {
			[]*rtp.Packet{packet(1, 0, true, idr...), packet(1, 0, true, idr...), packet(2, 3600, true, slice...)},
			[]got{{0, nalus(idr), true, false}, {3600, nalus(slice), false, false}},
		},
		"the sequence starts anew": {
			[]*rtp.Packet{packet(50000, 0, true, idr...), packet(3, 3600, true, slice...), packet(4, 7200, true, idr...)},
			[]got{{0, nalus(idr), true, false}, {3600, nalus(slice), false, true}, {7200, nalus(idr), true, false}},
		},
		"a marker on every slice": {
			[]*rtp.Packet{
				packet(1, 0, true, idr...), packet(2, 0, true, idrRest...),
				packet(3, 3600, true, idr...), packet(4, 3600, true, idrRest...),
				packet(5, 7200, true, slice...),
			},
			[]got{{0, nalus(idr), true, false}, {0, nalus(idrRest), true, true}, {3600, nalus(idr, idrRest), true, false}},
		},
		"a marker on every slice, and a timestamp that stands still": {
			[]*rtp.Packet{
				packet(1, 0, true, idr...), packet(2, 0, true, idrRest...),
				packet(3, 0, true, idr...), packet(4, 0, true, idrRest...),
				packet(5, 0, true, slice...),
			},
			[]got{{0, nalus(idr), true, false}, {0, nalus(idrRest), true, true}, {0, nalus(idr, idrRest), true, false}},
		},
		"parameter sets with a marker of their own": {
			[]*rtp.Packet{packet(1, 0, true, setSPS...), packet(2, 0, true, setPPS...), packet(3, 0, true, idr...)},
			[]got{{0, nalus(setSPS), false, false}, {0, nalus(setPPS), false, false}, {0, nalus(idr), true, false}},
		},
		"empty packets keep the connection open": {
			[]*rtp.Packet{packet(1, 0, true, idr...), packet(2, 0, false), packet(3, 3600, true, slice...)},
			[]got{{0, nalus(idr), true, false}, {3600, nalus(slice), false, false}},
		},
		"a STAP-A that lies about its size": {
			[]*rtp.Packet{packet(1, 0, true, 0x78, 0, 4, 0x65, 0x88, 1, 2, 0, 9, 1)},
			[]got{{0, nalus(idr), true, true}},
		},
		"an interleaved mode": {
			[]*rtp.Packet{packet(1, 0, true, 29, 1, 2, 3)},
			[]got{{0, nil, false, true}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			have := feed(c.packets...)
			equal := slices.EqualFunc(have, c.want, func(a, b got) bool {
				return a.ticks == b.ticks && a.key == b.key && a.damaged == b.damaged && slices.EqualFunc(a.nalus, b.nalus, bytes.Equal)
			})
			if !equal {
				t.Errorf("\nhave %v\nwant %v", have, c.want)
			}
		})
	}
}

func TestDepacketizeBounds(t *testing.T) {
	t.Run("bytes", func(t *testing.T) {
		d := depacketizer{syntax: h264, emit: func(accessUnit) {}}
		big := make([]byte, 60000)
		copy(big, []byte{0x7c, 0x85})
		for seq := range uint16(2000) { // 120 MB of one NALU
			d.push(packet(seq, 0, false, big...), timeBase)
			big[1] = 0x05
			if n := cap(d.piece); n > 2*maxUnit {
				t.Fatalf("holds %d bytes", n)
			}
		}
	})
	t.Run("NALUs", func(t *testing.T) {
		var u accessUnit
		d := depacketizer{syntax: h264, emit: func(x accessUnit) { u = x }}
		for seq := range uint16(5000) {
			d.push(packet(seq, 0, seq == 4999, slice...), timeBase)
		}
		if len(u.nalus) > maxNALUs || !u.damaged {
			t.Errorf("%d NALUs, damaged %v", len(u.nalus), u.damaged)
		}
	})
}

// FuzzDepacketize holds a few truths for whatever a camera sends. The input is a
// row of packets: sequence step, timestamp step, marker, length, payload.
func FuzzDepacketize(f *testing.F) {
	row := func(packets ...*rtp.Packet) []byte {
		var out []byte
		var seq uint16
		var timestamp uint32
		for _, p := range packets {
			head := byte(p.SequenceNumber-seq) & 0x7f
			if p.Marker {
				head |= 0x80
			}
			out = append(out, head, byte((p.Timestamp-timestamp)/900), byte(len(p.Payload)))
			out = append(out, p.Payload...)
			seq, timestamp = p.SequenceNumber, p.Timestamp
		}
		return out
	}
	f.Add(row(packet(1, 9000, false, setSPS...), packet(2, 9000, false, setPPS...), packet(3, 9000, true, idr...), packet(4, 12600, true, slice...)))
	f.Add(row(packet(1, 0, false, stap(setSPS, setPPS)...), packet(2, 0, false, fragment(idr, 1, 2)...), packet(3, 0, true, fragment(idr, 2, 4)...)))
	f.Add(row(packet(1, 0, true, idr...), packet(1, 0, true, idrRest...), packet(9, 3600, true, slice...)))
	f.Add(row(packet(1, 0, true, 0, 0, 0, 1, 0x67, 1, 2, 3, 0, 0, 1, 0x65, 0x88)))
	f.Add([]byte{0x81, 0, 1, 0x7c, 0x81, 0, 2, 0x7c, 0x80, 0x01, 4, 1, 0x78})

	f.Fuzz(func(t *testing.T, in []byte) {
		total := len(in)
		var seq uint16
		var timestamp uint32
		d := depacketizer{syntax: h264}
		now := timeBase
		d.emit = func(u accessUnit) {
			if len(u.nalus) == 0 && !u.damaged {
				t.Fatal("an empty unit that is not damaged")
			}
			if len(u.nalus) > maxNALUs {
				t.Fatalf("%d NALUs", len(u.nalus))
			}
			size, picture := 0, false
			for _, n := range u.nalus {
				if len(n) == 0 || n[0]&0x80 != 0 {
					t.Fatalf("NALU %x", n)
				}
				if bytes.Contains(n, startCode) {
					t.Fatalf("start code in %x", n)
				}
				size += len(n)
				if k := n[0] & 0x1f; k >= typeSlice && k <= typeIDR {
					picture = true
				}
			}
			if picture != u.picture || u.key && !picture {
				t.Fatalf("picture %v, key %v in %x", u.picture, u.key, u.nalus)
			}
			if size > total {
				t.Fatalf("%d bytes out of %d", size, total)
			}
			if u.arrival.After(now) {
				t.Fatal("arrived in the future")
			}
		}
		for len(in) >= 3 {
			seq += uint16(in[0] & 0x7f)
			timestamp += uint32(in[1]) * 900
			p := packet(seq, timestamp, in[0]&0x80 != 0)
			n := min(int(in[2]), len(in)-3)
			p.Payload = in[3 : 3+n : 3+n]
			in = in[3+n:]
			now = now.Add(time.Millisecond)
			d.push(p, now)
		}
	})
}
