package stream

import (
	"bytes"
	"slices"
)

// Cameras differ in where they put the parameter sets: only in the SDP, once at
// the start, as access units of their own, in front of every key picture. All
// leave the stream alike: the sets in front of every key picture, and nowhere
// else unless they change. SEI, delimiters and filler are dropped.

const (
	maxNALUs = 512     // per unit; a picture of one slice per macroblock row has 270 at most
	maxPPS   = 8       // kept
	maxUnit  = 8 << 20 // bytes per unit
	maxSet   = 1 << 12 // bytes of a parameter set; real ones have below 200
)

// kind is what a NALU is to us.
type kind uint8

const (
	kindOther kind = iota // not passed on
	kindPicture
	kindKey     // a picture that decoding can start with
	kindLeading // H.265: one that needs pictures from before the key picture (RASL)
	kindVPS
	kindSPS
	kindPPS
)

// H.264 (7.4.1) and H.265 (7.4.2.2) number their NALUs.
const (
	naluSlice     = 1
	naluPartition = 4 // the last of the three data partitions
	naluIDR       = 5
	naluSPS       = 7
	naluPPS       = 8

	hevcRASLN   = 8
	hevcRASLR   = 9
	hevcIRAP    = 16 // the first of the key pictures: BLA, IDR, CRA
	hevcLastVCL = 21 // CRA; those above are reserved
	hevcVPS     = 32
	hevcSPS     = 33
	hevcPPS     = 34
)

// sets are the parameter sets in force.
type sets struct {
	h265     bool
	vps, sps []byte
	pps      [][]byte // one per pps_id, the lowest first
}

// head is how long a NALU's header is.
func (s *sets) head() int {
	if s.h265 {
		return 2
	}
	return 1
}

// kind reads a NALU's header.
func (s *sets) kind(n []byte) kind {
	if len(n) <= s.head() {
		return kindOther
	}
	if !s.h265 {
		switch t := n[0] & 0x1f; {
		case t == naluIDR:
			return kindKey
		case t >= naluSlice && t <= naluPartition:
			return kindPicture
		case t == naluSPS:
			return kindSPS
		case t == naluPPS:
			return kindPPS
		}
		return kindOther
	}
	if n[0]&0x81 != 0 || n[1]&0xf8 != 0 || n[1] == 0 {
		return kindOther // broken, or of another layer: depth, or a second resolution
	}
	switch t := n[0] >> 1 & 0x3f; {
	case t == hevcRASLN, t == hevcRASLR:
		return kindLeading
	case t < hevcRASLN: // 10 to 15 are reserved
		return kindPicture
	case t >= hevcIRAP && t <= hevcLastVCL:
		return kindKey
	case t == hevcVPS:
		return kindVPS
	case t == hevcSPS:
		return kindSPS
	case t == hevcPPS:
		return kindPPS
	}
	return kindOther
}

// complete tells whether a decoder could start with these.
func (s *sets) complete() bool {
	return s.sps != nil && len(s.pps) > 0 && (s.vps != nil || !s.h265)
}

// normalized is an access unit in the house's shape.
type normalized struct {
	nalus        [][]byte
	params       int // so many parameter sets in front
	size         int
	key, leading bool
	// changed: the sets in force are not what they were.
	changed bool
}

// normalize takes in the parameter sets of an access unit and returns the unit
// in the house's shape, with no NALUs when there is no picture in it. It is
// false when the unit exceeds a bound.
func (s *sets) normalize(nalus [][]byte) (normalized, bool) {
	var out normalized
	slicesFound, hasPPS := 0, false
	for _, n := range nalus {
		switch k := s.kind(n); k {
		case kindPicture, kindKey, kindLeading:
			if slicesFound == 0 {
				out.key, out.leading = k == kindKey, k == kindLeading
			}
			slicesFound++
			out.size += len(n)
		case kindPPS:
			hasPPS = true
		}
	}
	if slicesFound > maxNALUs || out.size > maxUnit {
		return normalized{}, false
	}

	var changed [][]byte
	for _, n := range nalus {
		if own := s.put(n, hasPPS); own != nil {
			changed = append(changed, own)
			out.changed = true
		}
	}
	if slicesFound == 0 {
		return out, true
	}

	switch {
	case out.key && s.complete():
		out.nalus = make([][]byte, 0, 2+len(s.pps)+slicesFound)
		if s.h265 {
			out.nalus = append(out.nalus, s.vps)
		}
		out.nalus = append(append(out.nalus, s.sps), s.pps...)
	default:
		// A set that changes between key pictures is needed by what follows.
		out.nalus = make([][]byte, 0, len(changed)+slicesFound)
		out.nalus = append(out.nalus, changed...)
	}
	out.params = len(out.nalus)
	for _, n := range out.nalus {
		out.size += len(n)
	}
	for _, n := range nalus {
		switch s.kind(n) {
		case kindPicture, kindKey, kindLeading:
			out.nalus = append(out.nalus, n)
		}
	}
	return out, true
}

// put keeps a parameter set and returns the kept copy; nil when it was known, or
// is none. renewed tells that the picture sets come with it.
func (s *sets) put(n []byte, renewed bool) []byte {
	if len(n) > maxSet {
		return nil
	}
	switch s.kind(n) {
	case kindVPS:
		if bytes.Equal(n, s.vps) {
			return nil
		}
		s.vps = bytes.Clone(n)
		return s.vps
	case kindSPS:
		if len(n) < 4 || bytes.Equal(n, s.sps) {
			return nil
		}
		if renewed {
			s.pps = nil // those of the old SPS
		}
		s.sps = bytes.Clone(n)
		return s.sps
	case kindPPS:
		return s.putPPS(n)
	}
	return nil
}

// putPPS keeps a picture parameter set and returns the kept copy, nil when it
// was known.
func (s *sets) putPPS(n []byte) []byte {
	id := s.ppsID(n)
	at, found := slices.BinarySearchFunc(s.pps, id, func(p []byte, id uint32) int {
		return int(s.ppsID(p)) - int(id)
	})
	if found && bytes.Equal(s.pps[at], n) {
		return nil
	}
	own := bytes.Clone(n)
	// Units that were handed out share the old list.
	s.pps = slices.Clone(s.pps)
	switch {
	case found:
		s.pps[at] = own
	case len(s.pps) >= maxPPS:
		return nil
	default:
		s.pps = slices.Insert(s.pps, at, own)
	}
	return own
}

func (s *sets) ppsID(n []byte) uint32 {
	r := bits{data: n[s.head():min(len(n), 10)]}
	return r.ue() & 0xff
}
