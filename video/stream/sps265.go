package stream

// parseSPS265 reads a sequence parameter set of H.265 (ITU-T H.265, 7.3.2.2),
// its two header bytes included.
func parseSPS265(nalu []byte) (sps, error) {
	if len(nalu) < 4 || nalu[0]>>1&0x3f != hevcSPS {
		return sps{}, errSPS
	}
	r := bits{data: unescape(nalu[2:])}
	r.read(4) // VPS
	layers := int(r.read(3))
	r.flag() // temporal nesting
	if layers > 6 {
		return sps{}, errSPS
	}
	p := sps{mayReorder: true}
	r.read(3) // profile space, tier
	p.profile = uint8(r.read(5))
	r.skip(32 + 48 + 8) // compatibility, constraints, level
	r.subLayers(layers)

	r.ue() // id
	chroma := r.ue()
	planes := chroma == 3 && r.flag()
	width, height := r.ue(), r.ue()
	var left, right, top, bottom uint32
	if r.flag() {
		left, right, top, bottom = r.ue(), r.ue(), r.ue(), r.ue()
	}
	r.ue() // luma bit depth
	r.ue() // chroma bit depth
	r.ue() // picture order count
	if r.short || chroma > 3 || width > 1<<14 || height > 1<<14 {
		return sps{}, errSPS
	}
	cropX, cropY := int64(1), int64(1)
	if !planes {
		if chroma == 1 || chroma == 2 {
			cropX = 2
		}
		if chroma == 1 {
			cropY = 2
		}
	}
	w := int64(width) - cropX*(int64(left)+int64(right))
	h := int64(height) - cropY*(int64(top)+int64(bottom))
	if w <= 0 || h <= 0 {
		return sps{}, errSPS
	}
	p.width, p.height = int(w), int(h)

	// How many pictures may be shown later than they are sent: once, or for
	// each layer, of which the highest counts.
	times := 1
	if r.flag() {
		times = layers + 1
	}
	depth := uint32(1)
	for range times {
		r.ue()
		depth = r.ue()
		r.ue()
	}
	p.mayReorder = r.short || depth > 0
	return p, nil
}

// subLayers passes over what profile_tier_level says of the lower layers.
func (r *bits) subLayers(n int) {
	if n == 0 {
		return
	}
	var profile, level [8]bool
	for i := range n {
		profile[i], level[i] = r.flag(), r.flag()
	}
	r.skip(2 * (8 - n))
	for i := range n {
		if profile[i] {
			r.skip(88)
		}
		if level[i] {
			r.skip(8)
		}
	}
}
