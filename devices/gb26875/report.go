package gb26875

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"

	"stationd/agent/station"
	"stationd/devices/payload"
)

// Broker and FamilyName are what readings of this package have as the broker and
// the family of their source.
const (
	Broker     = "gb26875"
	FamilyName = "gb26875"
)

// ErrForeign is returned for a type of data that the standard reserves or leaves
// to the maker.
var ErrForeign = errors.New("gb26875 data: its type is not the standard's")

// errMore is returned beside all that the data announce.
var errMore = errors.New("gb26875 data: there are bytes behind the objects")

// Readings is what a report or a reply says, in its order. With an error it
// returns what stands before the fault.
func (f Frame) Readings() ([]payload.Reading, error) {
	if len(f.Data) == 0 { // a heartbeat
		return []payload.Reading{f.unit()}, nil
	}
	if len(f.Data) < 2 {
		return nil, errors.New("gb26875 data: it is cut short")
	}
	kind, count := f.Data[0], int(f.Data[1])
	read, size := f.object(kind)
	if read == nil {
		return nil, fmt.Errorf("%w: %d", ErrForeign, kind)
	}
	rest := f.Data[2:]
	var list []payload.Reading
	for i := range count {
		n := size
		if variable := kind == 6 || kind == 26; variable && len(rest) >= size {
			n += int(rest[size-1]) // the last byte before the text is its length
		}
		if len(rest) < n {
			return list, fmt.Errorf("gb26875 data: %d of %d objects of type %d are whole", i, count, kind)
		}
		r := read(rest[:n])
		r.Serial = f.serial(i)
		if !r.DeviceTime.IsZero() {
			r.SentAt = f.Time.Instant() // few panels' clocks are right
		}
		list = append(list, r)
		rest = rest[n:]
	}
	if len(rest) > 0 {
		return list, fmt.Errorf("%w: %d behind the %d of type %d", errMore, len(rest), count, kind)
	}
	return list, nil
}

// serial names a report. The number alone starts again when the unit does, and
// the frame's time changes when the report is sent again.
func (f Frame) serial(i int) string {
	h := fnv.New64a()
	_, _ = h.Write(f.Data)
	return fmt.Sprintf("%d-%x-%d", f.Serial, h.Sum64(), i)
}

// object is how one object of a type is read, and its length.
func (f Frame) object(kind byte) (read func(b []byte) payload.Reading, size int) {
	switch kind {
	case 1:
		return f.systemState, 10
	case 2:
		return f.partState, 46
	case 3:
		return f.analogue, 16
	case 4:
		return f.systemOperation, 10
	case 5:
		return func(b []byte) payload.Reading {
			r := f.system(b)
			r.Firmware = fmt.Sprintf("%d.%d", b[2], b[3])
			return r
		}, 4
	case 6:
		return func(b []byte) payload.Reading {
			r := f.system(b)
			put(&r, "configuration", text(b[3:]))
			return r
		}, 3
	case 7:
		return func(b []byte) payload.Reading { return f.part(b, b[7:38]) }, 38
	case 8:
		return func(b []byte) payload.Reading {
			r := f.system(b)
			r.DeviceTime = Label(b[2:]).Instant()
			return r
		}, 8
	case 21:
		return func(b []byte) payload.Reading {
			r := f.unitReading()
			state(&r, uint16(b[0]), unitBits[:], station.ClassSmoke)
			r.DeviceTime = Label(b[1:]).Instant()
			return r
		}, 7
	case 24:
		return func(b []byte) payload.Reading {
			r := f.unitReading()
			operation(&r, b[0], b[1], unitOperations[:])
			r.DeviceTime = Label(b[2:]).Instant()
			return r
		}, 8
	case 25:
		return func(b []byte) payload.Reading {
			r := f.unitReading()
			r.Firmware = fmt.Sprintf("%d.%d", b[0], b[1])
			return r
		}, 2
	case 26:
		return func(b []byte) payload.Reading {
			r := f.unitReading()
			put(&r, "configuration", text(b[1:]))
			return r
		}, 1
	case 28:
		return func(b []byte) payload.Reading {
			r := f.unit()
			r.DeviceTime = Label(b).Instant()
			return r
		}, 6
	}
	return nil, 0
}

// unitReading is a reading of the unit itself, as a device.
func (f Frame) unitReading() payload.Reading {
	return payload.Reading{
		Device: f.Source.String(), Name: "用户信息传输装置 " + f.Source.String(), Class: station.ClassSmoke, Power: station.PowerMains,
	}
}

// unit tells that the unit is there.
func (f Frame) unit() payload.Reading {
	r := f.unitReading()
	r.Presence, r.Bridge = payload.Online, true
	return r
}

// system is a reading of the system whose type and address b begins with.
func (f Frame) system(b []byte) payload.Reading {
	return payload.Reading{
		Device: fmt.Sprintf("%s/%d-%d", f.Source, b[0], b[1]), Via: f.Source.String(),
		Name: systemName(b[0], b[1]), Class: station.ClassSmoke, Power: station.PowerMains,
	}
}

// part is a reading of the part whose system, type and address b begins with.
func (f Frame) part(b, description []byte) payload.Reading {
	zone, point := binary.LittleEndian.Uint16(b[3:]), binary.LittleEndian.Uint16(b[5:])
	r := payload.Reading{
		Device: fmt.Sprintf("%s/%d-%d/%d-%d", f.Source, b[0], b[1], zone, point), Via: f.Source.String(),
		Class: partClass(b[2]), Model: partName(b[2]), Power: station.PowerMains,
	}
	if r.Name = text(description); r.Name == "" {
		r.Name = fmt.Sprintf("%s %d区%d号", r.Model, zone, point)
	}
	return r
}

func (f Frame) systemState(b []byte) payload.Reading {
	r := f.system(b)
	state(&r, binary.LittleEndian.Uint16(b[2:]), systemBits[:], r.Class)
	r.DeviceTime = Label(b[4:]).Instant()
	return r
}

func (f Frame) partState(b []byte) payload.Reading {
	r := f.part(b, b[9:40])
	state(&r, binary.LittleEndian.Uint16(b[7:]), partBits[:], r.Class)
	r.DeviceTime = Label(b[40:]).Instant()
	return r
}

func (f Frame) analogue(b []byte) payload.Reading {
	r := f.part(b, nil)
	q := quantityOf(b[7])
	v := float64(int16(binary.LittleEndian.Uint16(b[8:]))) * q.scale
	put(&r, q.field, math.Round(v*100)/100)
	r.DeviceTime = Label(b[10:]).Instant()
	return r
}

func (f Frame) systemOperation(b []byte) payload.Reading {
	r := f.system(b)
	operation(&r, b[2], b[3], systemOperations[:])
	r.DeviceTime = Label(b[4:]).Instant()
	return r
}

// state sets a field for each bit.
func state(r *payload.Reading, bits uint16, names []string, class string) {
	for i, name := range names {
		switch name {
		case "":
			continue
		case fire:
			name = class
		}
		put(r, name, bits&(1<<i) != 0)
	}
}

// operation tells what somebody did at a panel.
func operation(r *payload.Reading, bits, operator byte, names []string) {
	var done []string
	for i, name := range names {
		if bits&(1<<i) != 0 {
			done = append(done, name)
		}
	}
	put(r, payload.FieldAction, strings.Join(done, ","))
	put(r, "operator", float64(operator))
	r.Events = []string{payload.FieldAction}
	if bits&manualAlarm != 0 {
		put(r, station.ClassSmoke, true)
		r.Events = append(r.Events, station.ClassSmoke)
	}
}

func put(r *payload.Reading, field string, v station.Value) {
	if r.Values == nil {
		r.Values = map[string]station.Value{}
	}
	r.Values[field] = v
}

// text reads GB 18030 up to a null byte, without what cannot be shown. A last
// character that was cut in two by the field's length is left out.
func text(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	out, err := simplifiedchinese.GB18030.NewDecoder().Bytes(b)
	if err != nil {
		return ""
	}
	s := strings.TrimSpace(strings.Map(func(c rune) rune {
		if c == unicode.ReplacementChar || !unicode.IsPrint(c) && c != ' ' && c != '\u3000' {
			return -1
		}
		return c
	}, string(out)))
	if len(s) > payload.MaxText {
		n := payload.MaxText
		for !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n]
	}
	return s
}
