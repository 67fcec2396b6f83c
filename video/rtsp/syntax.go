package rtsp

// syntax is what the depacketizer must know of a codec and of how RTP carries
// it: RFC 6184 for H.264, RFC 7798 for H.265.
type syntax struct {
	head int // length of a NALU's header, which is also how a payload begins
	// form tells what a payload is.
	form func(payload []byte) form
	// fragment takes a fragment apart: the header of the NALU that it is of,
	// whether it is the first or the last one, and what it brings.
	fragment func(payload []byte) (head [2]byte, first, last bool, rest []byte)
	// look reads the header of a NALU and the first bit of the slice's own: in
	// both codecs it is set in the first slice of a picture.
	look func(nalu []byte) look
}

type form int

const (
	formSingle    form = iota // one NALU
	formAggregate             // several, each after its length
	formFragment              // a piece of one
	formForeign               // interleaved modes, which were not negotiated
)

// look is what is seen of a NALU.
type look struct {
	slice, key, first bool
	broken            bool
}

// H.264.
const (
	typeSlice = 1
	typeIDR   = 5
	typeSTAPA = 24
	typeFUA   = 28
)

var h264 = syntax{
	head: 1,
	form: func(p []byte) form {
		switch p[0] & 0x1f {
		case typeSTAPA:
			return formAggregate
		case typeFUA:
			return formFragment
		case 25, 26, 27, 29:
			return formForeign
		}
		return formSingle
	},
	fragment: func(p []byte) (head [2]byte, first, last bool, rest []byte) {
		head[0] = p[0]&0xe0 | p[1]&0x1f
		return head, p[1]&0x80 != 0, p[1]&0x40 != 0, p[2:]
	},
	look: func(n []byte) look {
		t := n[0] & 0x1f
		return look{
			slice:  t >= typeSlice && t <= typeIDR,
			key:    t == typeIDR,
			first:  len(n) > 1 && n[1]&0x80 != 0,
			broken: n[0]&0x80 != 0,
		}
	},
}

// H.265.
const (
	typeIRAP    = 16 // the first of the key pictures
	typeLastVCL = 21
	typeAP      = 48
	typeFU      = 49
	typePACI    = 50
)

var h265 = syntax{
	head: 2,
	form: func(p []byte) form {
		switch p[0] >> 1 & 0x3f {
		case typeAP:
			return formAggregate
		case typeFU:
			return formFragment
		case typePACI:
			return formForeign
		}
		return formSingle
	},
	fragment: func(p []byte) (head [2]byte, first, last bool, rest []byte) {
		head[0], head[1] = p[0]&0x81|p[2]&0x3f<<1, p[1]
		return head, p[2]&0x80 != 0, p[2]&0x40 != 0, p[3:]
	},
	look: func(n []byte) look {
		if len(n) < 2 {
			return look{broken: true}
		}
		t := n[0] >> 1 & 0x3f
		return look{
			slice:  t <= typeLastVCL,
			key:    t >= typeIRAP && t <= typeLastVCL,
			first:  len(n) > 2 && n[2]&0x80 != 0,
			broken: n[0]&0x80 != 0 || n[1]&7 == 0,
		}
	},
}
