package playback

import "encoding/binary"

// Browsers play no PCM in MP4, and G.711 is nothing else once it is unpacked. FLAC
// they play, and FLAC may hold samples as they are ("verbatim", RFC 9639): a header
// before and a sum behind is all the work, and nothing is lost.

// flacEntry is the sample entry of 16-bit sound.
func flacEntry(rate uint32, channels int) []byte {
	w := &boxWriter{}
	w.box("fLaC", func() {
		w.zeros(6)
		w.u16(1)
		w.zeros(8)
		w.u16(uint16(channels))
		w.u16(16)
		w.zeros(4)
		w.u32(rate << 16)
		w.full("dfLa", 0, 0, func() {
			w.u32(0x80<<24 | 34) // the last block of metadata, STREAMINFO
			w.u16(16)            // samples in the smallest and in the largest frame
			w.u16(65535)
			w.zeros(6) // bytes: not told
			w.u64(uint64(rate)<<44 | uint64(channels-1)<<41 | 15<<36)
			w.zeros(16)
		})
	})
	return w.b
}

// flacFrame packs big-endian samples of 16 bits, the channels taking turns; first
// is the number of the first sample.
func flacFrame(pcm []byte, channels int, first uint64) []byte {
	n := len(pcm) / (2 * channels)
	w := &boxWriter{b: make([]byte, 0, len(pcm)+32)}
	w.u16(0xfff9)                     // sync; frames of varying length
	w.u8(0x70)                        // the length stands behind the number; the rate in STREAMINFO
	w.u8(uint8(channels-1)<<4 | 4<<1) // 16 bits
	w.bytes(flacNumber(first))
	w.u16(uint16(n - 1))
	w.u8(crc8(w.b))
	for c := range channels {
		w.u8(1 << 1) // verbatim
		if channels == 1 {
			w.bytes(pcm[:2*n])
			continue
		}
		for i := range n {
			w.bytes(pcm[2*(i*channels+c):][:2])
		}
	}
	w.u16(crc16(w.b))
	return w.b
}

// flacNumber writes a number as UTF-8 would if it went on to 31 bits. FLAC goes on to
// 36, which ffmpeg, and with it Chromium, takes for damage; in MP4 the number stands
// for nothing, and may begin again.
func flacNumber(n uint64) []byte {
	n &= 1<<31 - 1
	if n < 0x80 {
		return []byte{byte(n)}
	}
	more := 1 // bytes behind the first
	for ; more < 5 && n >= 1<<(6*more+6-more); more++ {
	}
	b := make([]byte, more+1)
	for i := more; i > 0; i-- {
		b[i] = 0x80 | byte(n&0x3f)
		n >>= 6
	}
	b[0] = byte(0xff<<(7-more)) | byte(n)
	return b
}

func crc8(b []byte) (c uint8) {
	for _, x := range b {
		c ^= x
		for range 8 {
			c = c<<1 ^ c>>7*0x07
		}
	}
	return c
}

func crc16(b []byte) (c uint16) {
	for _, x := range b {
		c ^= uint16(x) << 8
		for range 8 {
			c = c<<1 ^ c>>15*0x8005
		}
	}
	return c
}

// pcm is how a track's PCM is stored; nil for what is none that we know.
type pcm struct {
	rate     uint32
	channels int
	bytes    int // of a sample: 1 to 3
	little   bool
	law      func(byte) int16 // of G.711, whose samples are bytes
}

// pcmOf reads the sample entry of PCM (ISO/IEC 23003-5) or of G.711.
func pcmOf(t *track) *pcm {
	if len(t.entry) < 36 {
		return nil
	}
	law := map[string]func(byte) int16{"alaw": aLaw, "ulaw": muLaw}[t.codec()]
	if law != nil {
		p := &pcm{rate: t.scale, channels: int(binary.BigEndian.Uint16(t.entry[24:])), bytes: 1, law: law}
		if p.rate < 4000 || p.rate > 48000 || p.channels < 1 || p.channels > 2 {
			return nil
		}
		return p
	}
	if t.codec() != "ipcm" {
		return nil
	}
	c, ok := findBox(t.entry[36:], "pcmC")
	if !ok || len(c) < 6 {
		return nil
	}
	p := &pcm{
		rate: binary.BigEndian.Uint32(t.entry[32:]) >> 16, channels: int(binary.BigEndian.Uint16(t.entry[24:])),
		bytes: int(c[5]) / 8, little: c[4]&1 != 0,
	}
	if p.rate == 0 || p.channels < 1 || p.channels > 8 || p.bytes < 2 || p.bytes > 3 {
		return nil
	}
	return p
}

// flac packs one stored frame. What is finer than 16 bits is cut: it is the sound of a
// camera.
func (p *pcm) flac(data []byte, first uint64) []byte {
	n := len(data) / p.bytes
	out := make([]byte, 0, 2*n)
	if p.law != nil {
		for _, x := range data {
			out = binary.BigEndian.AppendUint16(out, uint16(p.law(x)))
		}
		return flacFrame(out, p.channels, first)
	}
	for i := range n {
		s := data[i*p.bytes : (i+1)*p.bytes]
		if p.little {
			out = append(out, s[p.bytes-1], s[p.bytes-2])
		} else {
			out = append(out, s[0], s[1])
		}
	}
	return flacFrame(out, p.channels, first)
}

// aLaw and muLaw unpack a sample of G.711: a sign, three bits that say how far four
// others are shifted.
func aLaw(x byte) int16 {
	x ^= 0x55
	v := int16(x&0x0f)<<4 + 8
	if shift := x >> 4 & 7; shift > 0 {
		v = (v + 0x100) << (shift - 1)
	}
	if x&0x80 == 0 {
		return -v
	}
	return v
}

func muLaw(x byte) int16 {
	x = ^x
	v := (int16(x&0x0f)<<3+0x84)<<(x>>4&7) - 0x84
	if x&0x80 != 0 {
		return -v
	}
	return v
}
