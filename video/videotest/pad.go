package videotest

// A film is small; a camera is not. Padding makes of one what a camera of so many
// bits a second sends: the same pictures, with zero words behind the end of each
// slice, which the standard allows there (H.264, 7.4.2.10) and decoders pass over.

// keyShare is how much of a film's bits its key pictures have: at 4 Mbit/s and
// one in two seconds 170 KB each, as of a camera with much to see.
const keyShare = 0.17

// padded is the film at so many bits a second; it is not made smaller.
func (f Film) padded(bitrate int) Film {
	if bitrate <= 0 {
		return f
	}
	keys := 0
	for _, u := range f.Units {
		if isKey(u) {
			keys++
		}
	}
	all := float64(bitrate) / 8 * f.Length().Seconds()
	key := int(all * keyShare / float64(max(keys, 1)))
	other := int(all * (1 - keyShare) / float64(max(len(f.Units)-keys, 1)))
	units := make([][][]byte, len(f.Units))
	for i, u := range f.Units {
		size := other
		if isKey(u) {
			size = key
		}
		units[i] = pad(u, size)
	}
	f.Units = units
	return f
}

// pad brings a unit to size bytes by lengthening its last slice.
func pad(unit [][]byte, size int) [][]byte {
	for _, n := range unit {
		size -= len(n)
	}
	if size < 3 {
		return unit
	}
	out := append([][]byte(nil), unit...)
	last := append(make([]byte, 0, len(out[len(out)-1])+size), out[len(out)-1]...)
	for ; size >= 3; size -= 3 {
		last = append(last, 0, 0, 3)
	}
	out[len(out)-1] = last
	return out
}

func isKey(unit [][]byte) bool {
	for _, n := range unit {
		if n[0]&0x1f == 5 {
			return true
		}
	}
	return false
}
