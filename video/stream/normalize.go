package stream

import (
	"bytes"
	"slices"
)

// Cameras differ in where they put the parameter sets: only in the SDP, once at
// the start, as access units of their own, in front of every key picture. All
// leave the stream alike: SPS and PPS in front of every IDR, and nowhere else
// unless they change. SEI, delimiters and filler are dropped.

const (
	naluSlice     = 1
	naluPartition = 4 // the last of the three data partitions
	naluIDR       = 5
	naluSPS       = 7
	naluPPS       = 8
)

const (
	maxNALUs = 512     // per unit; a picture of one slice per macroblock row has 270 at most
	maxPPS   = 8       // kept
	maxUnit  = 8 << 20 // bytes per unit
	maxSet   = 1 << 12 // bytes of a parameter set; real ones have below 100
)

// sets are the parameter sets in force.
type sets struct {
	sps []byte
	pps [][]byte // one per pps_id, the lowest first
}

// complete tells whether a decoder could start with these.
func (s *sets) complete() bool { return s.sps != nil && len(s.pps) > 0 }

// normalized is an access unit in the house's shape.
type normalized struct {
	nalus  [][]byte
	params int // so many parameter sets in front
	size   int
	key    bool
	// spsChanged, ppsChanged: the sets in force are not what they were.
	spsChanged, ppsChanged bool
}

// normalize takes in the parameter sets of an access unit and returns the unit
// in the house's shape, with no NALUs when there is no picture in it. It is
// false when the unit exceeds a bound.
func (s *sets) normalize(nalus [][]byte) (normalized, bool) {
	var out normalized
	slicesFound, hasPPS := 0, false
	for _, n := range nalus {
		if len(n) == 0 {
			continue
		}
		switch t := n[0] & 0x1f; {
		case t >= naluSlice && t <= naluIDR:
			if slicesFound == 0 {
				out.key = t == naluIDR
			}
			slicesFound++
			out.size += len(n)
		case t == naluPPS:
			hasPPS = true
		}
	}
	if slicesFound > maxNALUs || out.size > maxUnit {
		return normalized{}, false
	}

	var changed [][]byte
	for _, n := range nalus {
		if len(n) < 2 || len(n) > maxSet {
			continue
		}
		switch n[0] & 0x1f {
		case naluSPS:
			if len(n) < 4 || bytes.Equal(n, s.sps) {
				continue
			}
			if hasPPS {
				s.pps = nil // those of the old SPS
			}
			s.sps = bytes.Clone(n)
			changed = append(changed, s.sps)
			out.spsChanged = true
		case naluPPS:
			if own := s.putPPS(n); own != nil {
				changed = append(changed, own)
				out.ppsChanged = true
			}
		}
	}
	if slicesFound == 0 {
		return out, true
	}

	switch {
	case out.key && s.complete():
		out.nalus = make([][]byte, 0, 1+len(s.pps)+slicesFound)
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
		if len(n) == 0 {
			continue
		}
		if t := n[0] & 0x1f; t >= naluSlice && t <= naluIDR {
			out.nalus = append(out.nalus, n)
		}
	}
	return out, true
}

// putPPS keeps a picture parameter set and returns the kept copy, nil when it
// was known.
func (s *sets) putPPS(n []byte) []byte {
	id := ppsID(n)
	at, found := slices.BinarySearchFunc(s.pps, id, func(p []byte, id uint32) int {
		return int(ppsID(p)) - int(id)
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

func ppsID(n []byte) uint32 {
	r := bits{data: n[1:min(len(n), 9)]}
	return r.ue() & 0xff
}
