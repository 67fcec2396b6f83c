package playback

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// track is what an init segment says of one track.
type track struct {
	id    uint32
	scale uint32 // ticks a second
	sound bool
	// entry is the sample entry, a whole box: it names the codec and holds its
	// parameters, and is passed on as it is.
	entry         []byte
	width, height uint32 // 16.16
	// What fragments leave out.
	duration, size, flags uint32
}

// codec is the entry's kind: "avc1".
func (t *track) codec() string { return string(t.entry[4:8]) }

// readInit reads the tracks of an init segment.
func readInit(segment []byte) ([]*track, error) {
	moov, ok := findBox(segment, "moov")
	if !ok {
		return nil, fmt.Errorf("read init segment: %w: no moov", errBox)
	}
	var tracks []*track
	err := eachBox(moov, func(b box) error {
		if b.kind != "trak" {
			return nil
		}
		t, err := readTrack(b.body)
		if err == nil {
			tracks = append(tracks, t)
		}
		return err
	})
	if err == nil && (len(tracks) == 0 || len(tracks) > 8) {
		err = fmt.Errorf("%w: %d tracks", errBox, len(tracks))
	}
	if err != nil {
		return nil, fmt.Errorf("read init segment: %w", err)
	}
	if mvex, ok := findBox(moov, "mvex"); ok {
		err = eachBox(mvex, func(b box) error {
			if b.kind != "trex" {
				return nil
			}
			f := fields{b: b.body}
			f.full()
			id := f.u32()
			f.skip(4)
			duration, size, flags := f.u32(), f.u32(), f.u32()
			for _, t := range tracks {
				if t.id == id && !f.short {
					t.duration, t.size, t.flags = duration, size, flags
				}
			}
			return nil
		})
	}
	return tracks, err
}

func readTrack(trak []byte) (*track, error) {
	t := &track{}
	head, ok := findBox(trak, "tkhd")
	f := fields{b: head}
	if v, _ := f.full(); v == 1 {
		f.skip(16)
	} else {
		f.skip(8)
	}
	t.id = f.u32()
	if len(head) >= 8 {
		t.width, t.height = binary.BigEndian.Uint32(head[len(head)-8:]), binary.BigEndian.Uint32(head[len(head)-4:])
	}
	if !ok || f.short || t.id == 0 {
		return nil, fmt.Errorf("%w: a track without a number", errBox)
	}
	head, _ = findBox(trak, "mdia", "mdhd")
	f = fields{b: head}
	if v, _ := f.full(); v == 1 {
		f.skip(16)
	} else {
		f.skip(8)
	}
	if t.scale = f.u32(); f.short || t.scale == 0 {
		return nil, fmt.Errorf("%w: a track without a clock", errBox)
	}
	head, _ = findBox(trak, "mdia", "hdlr")
	f = fields{b: head}
	f.skip(8)
	t.sound = string(f.take(4)) == "soun"
	head, _ = findBox(trak, "mdia", "minf", "stbl", "stsd")
	f = fields{b: head}
	f.skip(8)
	entry, _, err := nextBox(f.b)
	if err != nil || f.short || len(entry.body) < 28 {
		return nil, fmt.Errorf("%w: a track without a codec", errBox)
	}
	t.entry = entry.all
	return t, nil
}

// writeInit makes the init segment of fragmented MP4.
func writeInit(tracks []*track) []byte {
	w := &boxWriter{}
	w.box("ftyp", func() {
		w.bytes([]byte("iso5"))
		w.u32(512)
		w.bytes([]byte("iso5iso6mp41"))
	})
	w.box("moov", func() {
		w.movieHeader(0, uint32(len(tracks)+1))
		for _, t := range tracks {
			w.box("trak", func() {
				w.trackHeader(t, 0)
				w.box("mdia", func() {
					w.media(t, 0, [][]byte{t.entry}, func() {
						w.full("stts", 0, 0, func() { w.u32(0) })
						w.full("stsc", 0, 0, func() { w.u32(0) })
						w.full("stsz", 0, 0, func() { w.u64(0) })
						w.full("stco", 0, 0, func() { w.u32(0) })
					})
				})
			})
		}
		w.box("mvex", func() {
			for _, t := range tracks {
				w.full("trex", 0, 0, func() {
					w.u32(t.id)
					w.u32(1)
					w.zeros(12)
				})
			}
		})
	})
	return w.b
}

const movieScale = 1000 // ticks a second of the whole file

func (w *boxWriter) movieHeader(duration uint64, next uint32) {
	w.full("mvhd", 1, 0, func() {
		w.zeros(16)
		w.u32(movieScale)
		w.u64(duration)
		w.u32(1 << 16) // rate
		w.u16(1 << 8)  // volume
		w.zeros(10)
		w.matrix()
		w.zeros(24)
		w.u32(next)
	})
}

func (w *boxWriter) trackHeader(t *track, duration uint64) {
	w.full("tkhd", 1, 3, func() {
		w.zeros(16)
		w.u32(t.id)
		w.zeros(4)
		w.u64(duration)
		w.zeros(12)
		if t.sound {
			w.u16(1 << 8)
		} else {
			w.u16(0)
		}
		w.zeros(2)
		w.matrix()
		w.u32(t.width)
		w.u32(t.height)
	})
}

// media writes what is in mdia; table fills in the sample table behind the codecs.
func (w *boxWriter) media(t *track, duration uint64, entries [][]byte, table func()) {
	w.full("mdhd", 1, 0, func() {
		w.zeros(16)
		w.u32(t.scale)
		w.u64(duration)
		w.u16(0x55c4) // und
		w.u16(0)
	})
	w.full("hdlr", 0, 0, func() {
		w.u32(0)
		if t.sound {
			w.bytes([]byte("soun"))
		} else {
			w.bytes([]byte("vide"))
		}
		w.zeros(12)
		w.bytes([]byte("stationd\x00"))
	})
	w.box("minf", func() {
		if t.sound {
			w.full("smhd", 0, 0, func() { w.u32(0) })
		} else {
			w.full("vmhd", 0, 1, func() { w.u64(0) })
		}
		w.box("dinf", func() {
			w.full("dref", 0, 0, func() {
				w.u32(1)
				w.full("url ", 0, 1, func() {})
			})
		})
		w.box("stbl", func() {
			w.full("stsd", 0, 0, func() {
				w.u32(uint32(len(entries)))
				for _, e := range entries {
					w.bytes(e)
				}
			})
			table()
		})
	})
}

// codecName is a track's codec as a browser is asked for it (RFC 6381); empty for
// what no browser plays.
func codecName(t *track) string {
	kind := t.codec()
	const picture, sound = 8 + 78, 8 + 28 // fixed fields of the two kinds of entry
	inside := func(skip int, kind string) []byte {
		if len(t.entry) < skip {
			return nil
		}
		b, _ := findBox(t.entry[skip:], kind)
		return b
	}
	switch kind {
	case "avc1", "avc3":
		if c := inside(picture, "avcC"); len(c) >= 4 {
			return fmt.Sprintf("%s.%02x%02x%02x", kind, c[1], c[2], c[3])
		}
	case "hvc1", "hev1":
		if c := inside(picture, "hvcC"); len(c) >= 13 {
			return kind + "." + hevcName(c)
		}
	case "mp4a":
		return "mp4a.40." + fmt.Sprint(aacObject(inside(sound, "esds")))
	case "Opus":
		return "opus"
	case "fLaC":
		return "flac"
	}
	return ""
}

// hevcName is the part of H.265's codec name behind the dot (ISO/IEC 14496-15,
// annex E), out of the decoder configuration.
func hevcName(c []byte) string {
	space := []string{"", "A", "B", "C"}[c[1]>>6]
	var turned uint32 // compatibility flags, last bit first
	for i, flags := 0, binary.BigEndian.Uint32(c[2:]); i < 32; i++ {
		turned = turned<<1 | flags>>i&1
	}
	tier := "L"
	if c[1]&0x20 != 0 {
		tier = "H"
	}
	name := fmt.Sprintf("%s%d.%X.%s%d", space, c[1]&0x1f, turned, tier, c[12])
	constraints := c[6:12]
	for len(constraints) > 0 && constraints[len(constraints)-1] == 0 {
		constraints = constraints[:len(constraints)-1]
	}
	var b strings.Builder
	for _, x := range constraints {
		fmt.Fprintf(&b, ".%X", x)
	}
	return name + b.String()
}

// aacObject is the audio object type in an esds box; 2, the usual one, where it
// cannot be found.
func aacObject(esds []byte) int {
	// The descriptors are nested; the one that is wanted has tag 5.
	b := esds
	if len(b) < 4 {
		return 2
	}
	b = b[4:]
	for len(b) > 2 {
		tag, at := b[0], 1
		size := 0
		for at < len(b) && at < 5 {
			c := b[at]
			at++
			size = size<<7 | int(c&0x7f)
			if c&0x80 == 0 {
				break
			}
		}
		switch tag {
		case 3:
			at += 3
		case 4:
			at += 13
		case 5:
			if at < len(b) && size > 0 && b[at]>>3 != 0 && b[at]>>3 != 31 {
				return int(b[at] >> 3)
			}
			return 2
		default:
			at += size
		}
		if at >= len(b) {
			break
		}
		b = b[at:]
	}
	return 2
}
