package playback

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// MP4 is boxes in boxes (ISO/IEC 14496-12). What is read here was written by the
// archive, yet it lay on a disk for weeks: nothing in it is believed.

var errBox = errors.New("this is no MP4 as the archive writes it")

// box is one box: its kind, and what is behind its header.
type box struct {
	kind string
	body []byte
	all  []byte // with the header
}

// nextBox takes the first box off b.
func nextBox(b []byte) (first box, rest []byte, err error) {
	if len(b) < 8 {
		return box{}, nil, fmt.Errorf("%w: a box is cut off", errBox)
	}
	size, head := uint64(binary.BigEndian.Uint32(b)), uint64(8)
	switch size {
	case 0: // to the end
		size = uint64(len(b))
	case 1:
		if len(b) < 16 {
			return box{}, nil, fmt.Errorf("%w: a box is cut off", errBox)
		}
		size, head = binary.BigEndian.Uint64(b[8:]), 16
	}
	if size < head || size > uint64(len(b)) {
		return box{}, nil, fmt.Errorf("%w: box %q has %d bytes, there are %d", errBox, b[4:8], size, len(b))
	}
	return box{kind: string(b[4:8]), body: b[head:size], all: b[:size]}, b[size:], nil
}

// eachBox calls fn for every box of b.
func eachBox(b []byte, fn func(box) error) error {
	for len(b) > 0 {
		first, rest, err := nextBox(b)
		if err != nil {
			return err
		}
		if err := fn(first); err != nil {
			return err
		}
		b = rest
	}
	return nil
}

// findBox is the first box of a kind, going down one kind after the other.
func findBox(b []byte, path ...string) (body []byte, ok bool) {
	for _, kind := range path {
		found := false
		err := eachBox(b, func(x box) error {
			if x.kind == kind {
				b, found = x.body, true
				return errFound
			}
			return nil
		})
		if !found || err != errFound {
			return nil, false
		}
	}
	return b, true
}

var errFound = errors.New("found")

// fields reads the fixed fields of a box. Reading beyond the end gives zeros, and
// sets short.
type fields struct {
	b     []byte
	short bool
}

func (f *fields) take(n int) []byte {
	if n > len(f.b) {
		f.short, f.b = true, nil
		return make([]byte, n)
	}
	got := f.b[:n]
	f.b = f.b[n:]
	return got
}

func (f *fields) skip(n int) {
	if n > len(f.b) {
		f.short, f.b = true, nil
		return
	}
	f.b = f.b[n:]
}

func (f *fields) u32() uint32 { return binary.BigEndian.Uint32(f.take(4)) }
func (f *fields) u64() uint64 { return binary.BigEndian.Uint64(f.take(8)) }

// full reads the version and the flags of a full box.
func (f *fields) full() (version uint8, flags uint32) {
	v := f.u32()
	return uint8(v >> 24), v & 0xffffff
}

// boxWriter writes boxes; a box's size is filled in when it ends.
type boxWriter struct{ b []byte }

func (w *boxWriter) u8(v uint8)     { w.b = append(w.b, v) }
func (w *boxWriter) u16(v uint16)   { w.b = binary.BigEndian.AppendUint16(w.b, v) }
func (w *boxWriter) u32(v uint32)   { w.b = binary.BigEndian.AppendUint32(w.b, v) }
func (w *boxWriter) u64(v uint64)   { w.b = binary.BigEndian.AppendUint64(w.b, v) }
func (w *boxWriter) bytes(p []byte) { w.b = append(w.b, p...) }
func (w *boxWriter) zeros(n int)    { w.b = append(w.b, make([]byte, n)...) }

func (w *boxWriter) box(kind string, fill func()) {
	at := len(w.b)
	w.u32(0)
	w.b = append(w.b, kind...)
	fill()
	binary.BigEndian.PutUint32(w.b[at:], uint32(len(w.b)-at))
}

func (w *boxWriter) full(kind string, version uint8, flags uint32, fill func()) {
	w.box(kind, func() {
		w.u32(uint32(version)<<24 | flags)
		fill()
	})
}

// matrix is the identity.
func (w *boxWriter) matrix() {
	for _, v := range []uint32{1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30} {
		w.u32(v)
	}
}
