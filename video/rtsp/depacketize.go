package rtsp

import (
	"bytes"
	"time"

	"github.com/pion/rtp"
)

// accessUnit is one picture as it came from the camera.
type accessUnit struct {
	nalus [][]byte
	// ticks is the RTP timestamp without its wrap, from an arbitrary base.
	ticks   int64
	arrival time.Time // of its first packet
	// picture: it has a slice at all. key: decoding can start with it.
	picture, key bool
	// damaged: part of it is missing, or of what came since the one before.
	damaged bool
}

// depacketizer turns RTP packets into access units: H.264 in modes 0 and 1, H.265
// without DONs. It is made for cameras rather than for the RFCs:
//
//   - A unit ends with the marker or when the timestamp changes, for cameras
//     that set no marker; and only with the timestamp, for those that set it on
//     every slice, once that was seen.
//   - NALUs may be wrapped in Annex-B.
//   - A gap in the sequence damages the unit in which it lies, and the next one,
//     unless that is a key picture that is there from its beginning.
//   - A repeated packet is dropped. A sequence that starts anew is a gap.
//
// A hostile camera can make it hold at most one unit of maxUnit bytes.
type depacketizer struct {
	syntax
	emit func(accessUnit)

	started   bool
	next      uint16 // expected sequence number
	late      int    // packets in a row that were behind it
	timestamp uint32
	ticks     int64
	gap       bool // since the last unit

	open       bool // a unit is being built
	unit       accessUnit
	afterGap   bool // there was a gap before its first packet
	size       int
	seenSlice  bool
	atStart    bool   // its first slice is the picture's first
	piece      []byte // of the NALU that comes in fragments
	fragmented bool   // piece is open

	markerEnds  bool // the last unit was ended by a marker
	everySlice  bool // markers mean nothing
	packetsLost uint64
}

const (
	maxUnit  = 8 << 20
	maxNALUs = 512
	// maxLate packets behind the expected number are repetitions; more mean that
	// the camera has started anew. A gap of more than maxGap means the same.
	maxLate = 100
	maxGap  = 1000
)

// push takes one packet. It keeps the payload.
func (d *depacketizer) push(p *rtp.Packet, now time.Time) {
	if !d.inOrder(p.SequenceNumber) {
		return
	}
	if d.open && p.Timestamp != d.timestamp {
		d.flush(false)
	}
	if len(p.Payload) < d.head {
		return // some send them to keep connections open
	}
	if d.open && d.everySlice && d.seenSlice && d.place(p.Payload) == firstSlice {
		d.flush(false) // and the timestamp stands still
	}
	if !d.open {
		d.begin(p, now)
	}
	d.take(p.Payload)
	if p.Marker && !d.everySlice {
		d.flush(true)
	}
}

// inOrder follows the sequence numbers; false means that the packet is to be
// dropped.
func (d *depacketizer) inOrder(seq uint16) bool {
	ahead := seq - d.next
	switch {
	case !d.started:
		d.started = true
	case ahead == 0:
	case -ahead <= maxLate && d.late < maxLate:
		d.late++
		return false
	default:
		if ahead <= maxGap {
			d.packetsLost += uint64(ahead)
		}
		d.gap = true
		d.unit.damaged = true
		d.dropFragment()
	}
	d.late = 0
	d.next = seq + 1
	return true
}

func (d *depacketizer) begin(p *rtp.Packet, now time.Time) {
	d.ticks += int64(int32(p.Timestamp - d.timestamp))
	if d.markerEnds && p.Timestamp == d.timestamp && d.place(p.Payload) == laterSlice {
		d.everySlice = true
		d.gap = true // the rest of the picture has gone already
	}
	d.timestamp = p.Timestamp
	d.open = true
	d.unit = accessUnit{ticks: d.ticks, arrival: now}
	d.afterGap, d.gap = d.gap, false
	d.size, d.seenSlice, d.atStart = 0, false, false
}

// flush hands the unit out.
func (d *depacketizer) flush(byMarker bool) {
	if d.fragmented {
		d.dropFragment()
		d.unit.damaged = true
	}
	d.open = false
	d.markerEnds = byMarker
	u := d.unit
	d.unit = accessUnit{}
	if d.afterGap && !(u.key && d.atStart) {
		u.damaged = true
	}
	if u.damaged && !u.picture {
		d.gap = true // let the next picture tell
	}
	if len(u.nalus) > 0 || u.damaged {
		d.emit(u)
	}
}

// take reads one payload.
func (d *depacketizer) take(payload []byte) {
	switch d.form(payload) {
	case formFragment:
		d.takeFragment(payload)
		return
	case formAggregate:
		d.closeFragment()
		rest := payload[d.head:]
		for len(rest) >= 2 {
			n := int(rest[0])<<8 | int(rest[1])
			rest = rest[2:]
			if n == 0 {
				return // padding
			}
			if n > len(rest) {
				d.unit.damaged = true
				return
			}
			d.add(rest[:n:n])
			rest = rest[n:]
		}
	case formForeign:
		d.closeFragment()
		d.unit.damaged = true
	default:
		d.closeFragment()
		d.add(payload)
	}
}

func (d *depacketizer) takeFragment(p []byte) {
	if len(p) < d.head+1 {
		d.unit.damaged = true
		return
	}
	head, first, last, rest := d.fragment(p)
	if first {
		d.closeFragment()
		d.fragmented = true
		d.piece = append(make([]byte, 0, 16<<10), head[:d.head]...)
	}
	if !d.fragmented {
		d.unit.damaged = true // its beginning was lost, or was before ours
		return
	}
	if d.size+len(d.piece)+len(p) > maxUnit {
		d.dropFragment()
		d.unit.damaged = true
		return
	}
	d.piece = append(d.piece, rest...)
	if last {
		n := d.piece
		d.dropFragment()
		d.add(n[:len(n):len(n)])
	}
}

// closeFragment is called where a fragmented NALU must have ended.
func (d *depacketizer) closeFragment() {
	if d.fragmented {
		d.dropFragment()
		d.unit.damaged = true
	}
}

func (d *depacketizer) dropFragment() {
	d.piece, d.fragmented = nil, false
}

// add appends a NALU, taken out of Annex-B where it is wrapped.
func (d *depacketizer) add(n []byte) {
	if bytes.Contains(n, startCode) {
		for part := range bytes.SplitSeq(n, startCode) {
			d.addOne(bytes.TrimRight(part, "\x00"))
		}
		return
	}
	d.addOne(n)
}

var startCode = []byte{0, 0, 1}

func (d *depacketizer) addOne(n []byte) {
	if len(n) == 0 {
		return
	}
	see := d.look(n)
	if see.broken || d.size+len(n) > maxUnit || len(d.unit.nalus) >= maxNALUs {
		d.unit.damaged = true
		return
	}
	if see.slice {
		if !d.seenSlice {
			d.seenSlice = true
			d.atStart = see.first
			d.unit.key = see.key
		}
		d.unit.picture = true
	}
	d.size += len(n)
	d.unit.nalus = append(d.unit.nalus, n)
}

// What a payload begins with.
const (
	noSlice    = iota // something else, or the middle of a slice
	firstSlice        // the first slice of a picture
	laterSlice        // another slice
)

// place looks at what a payload begins with.
func (d *depacketizer) place(payload []byte) int {
	see := look{}
	switch d.form(payload) {
	case formFragment:
		if len(payload) <= d.head+1 {
			return noSlice
		}
		head, first, _, rest := d.fragment(payload)
		if !first {
			return noSlice
		}
		begin := [3]byte{head[0], head[1]}
		begin[d.head] = rest[0]
		see = d.look(begin[:d.head+1])
	case formSingle:
		see = d.look(payload)
	}
	switch {
	case !see.slice || len(payload) <= d.head:
		return noSlice
	case see.first:
		return firstSlice
	}
	return laterSlice
}
