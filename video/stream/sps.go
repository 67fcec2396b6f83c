package stream

import "errors"

// sps is what is read of a sequence parameter set (ITU-T H.264, 7.3.2.1.1; for
// H.265 see sps265.go): the size of the visible picture, and whether pictures
// may be reordered at all.
type sps struct {
	profile       uint8
	width, height int
	// mayReorder is false when the stream promises that pictures come in the
	// order in which they are shown.
	mayReorder bool
}

var errSPS = errors.New("unreadable sequence parameter set")

func parseSPS(nalu []byte, h265 bool) (sps, error) {
	if h265 {
		return parseSPS265(nalu)
	}
	return parseSPS264(nalu)
}

// parseSPS264 reads the NALU, its header byte included.
func parseSPS264(nalu []byte) (sps, error) {
	if len(nalu) < 4 || nalu[0]&0x1f != naluSPS {
		return sps{}, errSPS
	}
	r := bits{data: unescape(nalu[1:])}
	p := sps{mayReorder: true}
	p.profile = uint8(r.read(8))
	r.read(16) // constraint flags, level
	r.ue()     // id
	chroma, planes := uint32(1), false
	switch p.profile {
	case 100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135:
		chroma = r.ue()
		if chroma == 3 {
			planes = r.flag()
		}
		r.ue()        // luma bit depth
		r.ue()        // chroma bit depth
		r.flag()      // transform bypass
		if r.flag() { // scaling matrix
			lists := 8
			if chroma == 3 {
				lists = 12
			}
			for i := range lists {
				if r.flag() {
					size := 16
					if i >= 6 {
						size = 64
					}
					r.scalingList(size)
				}
			}
		}
	}
	r.ue() // log2_max_frame_num
	poc := r.ue()
	switch poc {
	case 0:
		r.ue()
	case 1:
		r.flag()
		r.ue()
		r.ue()
		n := r.ue()
		if n > 255 {
			return sps{}, errSPS
		}
		for range n {
			r.ue()
		}
	}
	r.ue()   // reference frames
	r.flag() // gaps allowed
	mbw := r.ue() + 1
	mbh := r.ue() + 1
	frames := r.flag()
	if !frames {
		r.flag()
	}
	r.flag() // direct 8x8
	var left, right, top, bottom uint32
	if r.flag() {
		left, right, top, bottom = r.ue(), r.ue(), r.ue(), r.ue()
	}
	if r.short || chroma > 3 || mbw > 1024 || mbh > 1024 {
		return sps{}, errSPS
	}
	cropX, cropY := uint32(1), uint32(1)
	if !planes {
		if chroma == 1 || chroma == 2 {
			cropX = 2
		}
		if chroma == 1 {
			cropY = 2
		}
	}
	if !frames {
		mbh *= 2
		cropY *= 2
	}
	width := int64(mbw)*16 - int64(cropX)*(int64(left)+int64(right))
	height := int64(mbh)*16 - int64(cropY)*(int64(top)+int64(bottom))
	if width <= 0 || height <= 0 {
		return sps{}, errSPS
	}
	p.width, p.height = int(width), int(height)

	// The baseline profile has no B slices; picture order type 2 forbids
	// reordering; the last says how deep it goes, when it is there.
	if p.profile == 66 || poc == 2 {
		p.mayReorder = false
	}
	if r.flag() {
		if depth, ok := r.vuiReorder(); ok && depth == 0 {
			p.mayReorder = false
		}
	}
	return p, nil
}

// vuiReorder reads max_num_reorder_frames.
func (r *bits) vuiReorder() (uint32, bool) {
	if r.flag() { // aspect ratio
		if r.read(8) == 255 {
			r.read(32)
		}
	}
	if r.flag() { // overscan
		r.flag()
	}
	if r.flag() { // video signal
		r.read(4)
		if r.flag() {
			r.read(24)
		}
	}
	if r.flag() { // chroma location
		r.ue()
		r.ue()
	}
	if r.flag() { // timing
		r.read(32)
		r.read(32)
		r.flag()
	}
	nal := r.flag()
	if nal {
		r.hrd()
	}
	vcl := r.flag()
	if vcl {
		r.hrd()
	}
	if nal || vcl {
		r.flag()
	}
	r.flag() // pic_struct
	if !r.flag() {
		return 0, false
	}
	r.flag()
	r.ue()
	r.ue()
	r.ue()
	r.ue()
	depth := r.ue()
	return depth, !r.short
}

func (r *bits) hrd() {
	n := r.ue()
	r.read(8)
	if n > 31 {
		r.short = true
		return
	}
	for range n + 1 {
		r.ue()
		r.ue()
		r.flag()
	}
	r.read(20)
}

func (r *bits) scalingList(size int) {
	last, next := int32(8), int32(8)
	for range size {
		if next != 0 {
			next = (last + r.se() + 256) % 256
		}
		if next != 0 {
			last = next
		}
	}
}

// bits reads a bit string; past its end it returns zeros and sets short.
type bits struct {
	data  []byte
	at    int
	short bool
}

func (r *bits) flag() bool { return r.read(1) == 1 }

func (r *bits) skip(n int) {
	for ; n > 0; n -= 32 {
		r.read(min(n, 32))
	}
}

func (r *bits) read(n int) uint32 {
	var v uint32
	for range n {
		v <<= 1
		if r.at>>3 >= len(r.data) {
			r.short = true
			continue
		}
		v |= uint32(r.data[r.at>>3]>>(7-r.at&7)) & 1
		r.at++
	}
	return v
}

func (r *bits) ue() uint32 {
	zeros := 0
	for !r.flag() {
		if zeros++; zeros > 31 || r.short {
			r.short = true
			return 0
		}
	}
	return 1<<zeros - 1 + r.read(zeros)
}

func (r *bits) se() int32 {
	v := r.ue()
	if v&1 == 1 {
		return int32(v/2) + 1
	}
	return -int32(v / 2)
}

// unescape removes the emulation prevention bytes.
func unescape(b []byte) []byte {
	out := make([]byte, 0, len(b))
	zeros := 0
	for _, c := range b {
		if zeros >= 2 && c == 3 {
			zeros = 0
			continue
		}
		if c == 0 {
			zeros++
		} else {
			zeros = 0
		}
		out = append(out, c)
	}
	return out
}
