package history

import (
	"encoding/binary"
	"math"
	"slices"
	"strconv"

	"stationd/agent/station"
)

// sum is what many values of one field come to. Yes counts as one, no as zero.
type sum struct {
	count         int
	least, most   float64
	total         float64
	changes       int // of a yes-or-no
	boolean       bool
	last, hasLast bool
}

// add counts a value; texts are not summed up.
func (s *sum) add(v station.Value) {
	x, ok := v.(float64)
	if b, is := v.(bool); is {
		if s.hasLast && s.last != b {
			s.changes++
		}
		s.last, s.hasLast, s.boolean = b, true, true
		if ok = true; b {
			x = 1
		}
	}
	if !ok {
		return
	}
	if s.count == 0 || x < s.least {
		s.least = x
	}
	if s.count == 0 || x > s.most {
		s.most = x
	}
	s.count++
	s.total += x
}

func (s *sum) merge(o sum) {
	if o.count == 0 {
		return
	}
	if s.count == 0 || o.least < s.least {
		s.least = o.least
	}
	if s.count == 0 || o.most > s.most {
		s.most = o.most
	}
	s.count += o.count
	s.total += o.total
	s.changes += o.changes
	s.boolean = s.boolean || o.boolean
}

// hours are the sums of one day, by field and hour.
type hours map[string]*[24]sum

// add counts a reading; at is within the day.
func (h hours) add(r reading) {
	hour := int(r.at / int64(day/24) % 24)
	for _, f := range r.fields {
		if _, text := f.value.(string); text {
			continue
		}
		all := h[f.name]
		if all == nil {
			all = new([24]sum)
			h[f.name] = all
		}
		s := &all[hour]
		if hour > 0 && !s.hasLast { // a change on the hour is the new hour's
			for i := hour - 1; i >= 0; i-- {
				if all[i].hasLast {
					s.last, s.hasLast = all[i].last, true
					break
				}
			}
		}
		s.add(f.value)
	}
}

const daysVersion = 1

func (h hours) encode() []byte {
	names := make([]string, 0, len(h))
	for n := range h {
		names = append(names, n)
	}
	slices.Sort(names)
	b := binary.AppendUvarint([]byte{daysVersion}, uint64(len(names)))
	for _, n := range names {
		all := h[n]
		b = appendText(b, n)
		var mask uint64
		for i := range all {
			if all[i].count > 0 {
				mask |= 1 << i
			}
		}
		b = binary.AppendUvarint(b, mask)
		for i := range all {
			s := &all[i]
			if s.count == 0 {
				continue
			}
			b = binary.AppendUvarint(b, uint64(s.count))
			for _, x := range []float64{s.least, s.total / float64(s.count), s.most} {
				b = binary.BigEndian.AppendUint32(b, math.Float32bits(float32(x)))
			}
			changes := uint64(s.changes) << 1
			if s.boolean {
				changes |= 1
			}
			b = binary.AppendUvarint(b, changes)
		}
	}
	return b
}

func decodeHours(b []byte) (hours, error) {
	c := cursor{b: b}
	h := hours{}
	if c.byte() != daysVersion {
		return nil, errCut
	}
	for range c.uvarint() {
		name, mask := c.text(), c.uvarint()
		if c.err != nil {
			return nil, c.err
		}
		all := new([24]sum)
		for i := range all {
			if mask&(1<<i) == 0 {
				continue
			}
			s := &all[i]
			s.count = int(c.uvarint())
			var x [3]float64
			for k := range x {
				if raw := c.take(4); raw != nil {
					x[k] = widen(math.Float32frombits(binary.BigEndian.Uint32(raw)))
				}
			}
			changes := c.uvarint()
			s.least, s.total, s.most = x[0], x[1]*float64(s.count), x[2]
			s.changes, s.boolean = int(changes>>1), changes&1 != 0
		}
		h[name] = all
	}
	return h, c.err
}

// widen makes the number that people would have written: 21.3, not 21.2999992.
func widen(f float32) float64 {
	x, err := strconv.ParseFloat(strconv.FormatFloat(float64(f), 'g', -1, 32), 64)
	if err != nil {
		return float64(f)
	}
	return x
}
