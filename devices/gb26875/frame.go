package gb26875

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// Frame is one packet of the standard's chapter 6.6:
//
//	40 40 · serial 2 · version 2 · time 6 · source 6 · destination 6 · length 2 ·
//	command 1 · data 0 to 1024 · sum 1 · 23 23
//
// Numbers are sent lowest byte first; the sum is that of all bytes between the
// start and itself, without carry.
type Frame struct {
	Serial      uint16
	Version     [2]byte // the standard's, always 1, and the maker's
	Time        Label   // when it was sent
	Source      Address
	Destination Address
	Command     Command
	Data        []byte
	// Raw is the frame as it was read; AppendTo does not heed it.
	Raw []byte
}

// Command is what a frame is for (table 2).
type Command byte

// The commands.
const (
	Control Command = 1
	Send    Command = 2 // a unit reports
	Confirm Command = 3
	Request Command = 4
	Reply   Command = 5
	Deny    Command = 6
)

// Address is a unit's or a centre's, lowest byte first.
type Address [6]byte

// String is the address as a number of twelve hexadecimal digits.
func (a Address) String() string {
	slices.Reverse(a[:])
	return fmt.Sprintf("%x", a[:])
}

// Label is a time: second, minute, hour, day, month, year of the century.
type Label [6]byte

// beijing is the one time zone of the standard.
var beijing = time.FixedZone("+08:00", 8*60*60)

// Instant is the label as a time; zero when it is none.
func (l Label) Instant() time.Time {
	s, m, h, d, mo, y := int(l[0]), int(l[1]), int(l[2]), int(l[3]), time.Month(l[4]), 2000+int(l[5])
	if s > 59 || m > 59 || h > 23 || d < 1 || d > 31 || mo < 1 || mo > 12 || y > 2099 {
		return time.Time{}
	}
	t := time.Date(y, mo, d, h, m, s, 0, beijing)
	if t.Day() != d { // the 31st of a month with thirty days
		return time.Time{}
	}
	return t.UTC()
}

// LabelOf is t as a label.
func LabelOf(t time.Time) Label {
	t = t.In(beijing)
	return Label{byte(t.Second()), byte(t.Minute()), byte(t.Hour()), byte(t.Day()), byte(t.Month()), byte(t.Year() % 100)}
}

// The sizes of a frame.
const (
	MaxData    = 1024
	headLength = 27 // with the start
	tailLength = 3  // sum and end
	maxFrame   = headLength + MaxData + tailLength
)

// AppendTo writes the frame behind b. It panics when Data is longer than
// MaxData: that is the caller's mistake.
func (f Frame) AppendTo(b []byte) []byte {
	if len(f.Data) > MaxData {
		panic(fmt.Sprintf("gb26875: a frame with %d bytes of data", len(f.Data)))
	}
	start := len(b)
	b = append(b, '@', '@')
	b = binary.LittleEndian.AppendUint16(b, f.Serial)
	b = append(b, f.Version[:]...)
	b = append(b, f.Time[:]...)
	b = append(b, f.Source[:]...)
	b = append(b, f.Destination[:]...)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(f.Data)))
	b = append(b, byte(f.Command))
	b = append(b, f.Data...)
	return append(b, sum(b[start+2:]), '#', '#')
}

func sum(b []byte) (s byte) {
	for _, c := range b {
		s += c
	}
	return s
}

// ErrDamaged is returned with a frame whose sum is wrong. Nothing in the frame is
// certain.
var ErrDamaged = errors.New("gb26875 frame: the checksum is wrong")

// Reader takes frames out of a stream.
type Reader struct {
	in      io.Reader
	buf     []byte
	skipped uint64
}

// NewReader reads frames from in.
func NewReader(in io.Reader) *Reader { return &Reader{in: in, buf: make([]byte, 0, 2*maxFrame)} }

// Skipped is how many bytes were no part of any frame.
func (r *Reader) Skipped() uint64 { return r.skipped }

// Next returns the next frame, or one with ErrDamaged, or the stream's error. It
// blocks as in does.
func (r *Reader) Next() (Frame, error) {
	for {
		if f, err, ok := r.take(); ok {
			return f, err
		}
		if len(r.buf) == cap(r.buf) { // no frame is as long
			r.drop(1)
		}
		n, err := r.in.Read(r.buf[len(r.buf):cap(r.buf)])
		r.buf = r.buf[:len(r.buf)+n]
		if err != nil && n == 0 {
			return Frame{}, err
		}
	}
}

func (r *Reader) drop(n int) {
	r.skipped += uint64(n)
	r.consume(n)
}

func (r *Reader) consume(n int) { r.buf = r.buf[:copy(r.buf, r.buf[n:])] }

// take finds the first whole frame in what has been read. A start that is
// followed by too little may be the beginning of a frame or two odd bytes with a
// length that will never come: a whole frame behind it goes first.
func (r *Reader) take() (Frame, error, bool) {
	first := -1 // the first start that may still become a frame
	for at := 0; ; at++ {
		i := bytes.Index(r.buf[at:], []byte("@@"))
		if i < 0 {
			break
		}
		at += i
		switch f, end, state := look(r.buf[at:]); state {
		case whole:
			r.drop(at)
			r.consume(end)
			return f, nil, true
		case damaged:
			if inner := wholeWithin(r.buf[at+1 : at+end]); inner >= 0 {
				at += inner // one before it, see at++
				continue
			}
			r.drop(at)
			r.consume(end)
			return f, ErrDamaged, true
		case begun:
			if first < 0 {
				first = at
			}
		}
	}
	switch {
	case first >= 0:
		r.drop(first)
	case bytes.HasSuffix(r.buf, []byte("@")):
		r.drop(len(r.buf) - 1)
	default:
		r.drop(len(r.buf))
	}
	return Frame{}, nil, false
}

// wholeWithin finds a whole frame in b.
func wholeWithin(b []byte) int {
	for at := 0; at < len(b); at++ {
		i := bytes.Index(b[at:], []byte("@@"))
		if i < 0 {
			return -1
		}
		at += i
		if _, _, state := look(b[at:]); state == whole {
			return at
		}
	}
	return -1
}

type lookState int

const (
	none    lookState = iota
	begun             // more is needed to tell
	damaged           // the ends are right, the sum is not
	whole
)

// look reads the frame at the start of b.
func look(b []byte) (f Frame, end int, state lookState) {
	if len(b) < headLength {
		return Frame{}, 0, begun
	}
	n := int(binary.LittleEndian.Uint16(b[24:]))
	if n > MaxData {
		return Frame{}, 0, none
	}
	end = headLength + n + tailLength
	if len(b) < end {
		return Frame{}, 0, begun
	}
	if b[end-2] != '#' || b[end-1] != '#' {
		return Frame{}, 0, none
	}
	raw := bytes.Clone(b[:end])
	f = Frame{
		Raw: raw, Serial: binary.LittleEndian.Uint16(b[2:]), Version: [2]byte(b[4:]), Time: Label(b[6:]),
		Source: Address(b[12:]), Destination: Address(b[18:]), Command: Command(b[26]),
		Data: raw[headLength : headLength+n],
	}
	if sum(b[2:end-3]) != b[end-3] {
		return f, end, damaged
	}
	return f, end, whole
}
