package agent

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"math"
	"strconv"
	"time"

	"stationd/agent/alarm"
	"stationd/agent/station"
	"stationd/agent/store"
)

// A transmission that comes again is known by its place in its sender's window:
// the link and the packet identifier. A sender puts something new into a place
// only after what was in it was acknowledged, and nothing is acknowledged before
// it is stored. So the newest transmission of each place, stored in the
// transaction that it caused, is all that must be remembered; how many are on
// their way, and in which order they come, makes no difference.

// sent is the newest transmission of one place that said something.
type sent struct {
	Packet uint16 `json:"p"`
	Print  uint64 `json:"f"`
	Part   int    `json:"n,omitempty"` // the last of its reports that is stored
	Day    int64  `json:"d"`           // of the node's own line of time, for forgetting
}

// sentRow is the places of several packet identifiers in a row, sentSize bytes each
// and nothing behind the last that is taken: identifiers come in a row, and so the
// places of a commit are few records. An older version had a record of type sent
// for each place; such ones are believed until they are forgotten.
type sentRow struct {
	sent
	Places []byte `json:"b,omitempty"`
}

const (
	// sentPlaces bounds what is remembered of one link: so many packet
	// identifiers in a row. It is the largest window whose repetitions are all
	// known; Mosquitto was seen with 1,833 messages on their way, and its default
	// is 20.
	sentPlaces = 8192
	sentInRow  = 16
	sentSize   = 16 // packet 2, part 2, day 4, print 8
	// keepSent is how long a link that says nothing more is remembered. A device
	// that comes back later and repeats its last alarm raises it again.
	keepSent = 30 // days
	// forgetSentAtOnce bounds one round of forgetting.
	forgetSentAtOnce = 5000
)

// AppendJSON writes the form of today.
func (s sentRow) AppendJSON(b []byte) ([]byte, error) {
	b = append(b, `{"b":"`...)
	return append(base64.StdEncoding.AppendEncode(b, s.Places), `"}`...), nil
}

// at is what lies in a place; zero is nothing.
func (s sentRow) at(place int) (x sent) {
	if from := place * sentSize; from+sentSize <= len(s.Places) {
		b := s.Places[from:]
		x.Packet, x.Part = binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		x.Day, x.Print = int64(binary.BigEndian.Uint32(b[4:])), binary.BigEndian.Uint64(b[8:])
	}
	return x
}

// with is s with something in a place; nothing is the zero.
func (s sentRow) with(place int, x sent) sentRow {
	b := make([]byte, max(len(s.Places), (place+1)*sentSize))
	copy(b, s.Places)
	at := b[place*sentSize:]
	binary.BigEndian.PutUint16(at, x.Packet)
	binary.BigEndian.PutUint16(at[2:], uint16(min(x.Part, math.MaxUint16)))
	binary.BigEndian.PutUint32(at[4:], uint32(x.Day))
	binary.BigEndian.PutUint64(at[8:], x.Print)
	for end := len(b) - sentSize; end >= 0 && binary.BigEndian.Uint16(b[end:]) == 0; end -= sentSize {
		b = b[:end]
	}
	return sentRow{Places: b}
}

// newest is the day of the newest transmission in s.
func (s sentRow) newest() int64 {
	day := s.Day
	for place := range len(s.Places) / sentSize {
		day = max(day, s.at(place).Day)
	}
	return day
}

// sentPlace is where a transmission is remembered.
func sentPlace(link string, packet uint16) (store.Key, int) {
	place := int(packet) % sentPlaces
	return key(sentTable, link) + store.Key("/="+strconv.Itoa(place/sentInRow)), place % sentInRow
}

// oldSentKey is where an older version remembered it.
func oldSentKey(link string, packet uint16) store.Key {
	return key(sentTable, link) + store.Key("/"+strconv.FormatUint(uint64(packet%sentPlaces), 16))
}

// repeated tells whether a report was committed before, and remembers it if not.
// A message that says nothing of alarms is not worth a record; but it has taken
// the place of what was in it.
func repeated(tx *store.Tx, now alarm.Now, r station.Report) (bool, error) {
	if r.Link == "" || r.Packet == 0 || r.Fingerprint == 0 {
		return false, nil // it is never sent again
	}
	k, place := sentPlace(r.Link, r.Packet)
	row, _, err := store.Look[sentRow](tx, k)
	if err != nil {
		return false, err
	}
	last := row.at(place)
	if last.Packet == 0 && r.Duplicate {
		if last, _, err = store.Get[sent](tx, oldSentKey(r.Link, r.Packet)); err != nil {
			return false, err
		}
	}
	same := last.Packet == r.Packet && last.Print == r.Fingerprint
	this := sent{Packet: r.Packet, Print: r.Fingerprint, Part: r.Part, Day: dayOf(now)}
	switch {
	case same && r.Part > last.Part: // a further report of the transmission that is under way
		return false, rememberSent(tx, k, row.with(place, this))
	case same && r.Duplicate:
		return true, nil
	case len(r.Signals) > 0:
		return false, rememberSent(tx, k, row.with(place, this))
	case row.at(place).Packet != 0 && !same:
		return false, rememberSent(tx, k, row.with(place, sent{}))
	}
	return false, nil
}

func rememberSent(tx *store.Tx, k store.Key, row sentRow) error {
	if len(row.Places) == 0 {
		return tx.Delete(k)
	}
	_, err := store.Keep(tx, k, row)
	return err
}

func dayOf(now alarm.Now) int64 { return int64(time.Duration(now.Tick) / (24 * time.Hour)) }

// forgetSent forgets some transmissions of links that are long gone, behind the
// place where it stopped the last time, and returns where it stopped now.
func (a *Agent) forgetSent(ctx context.Context, after store.Key) (store.Key, error) {
	now, err := a.nowIn()
	if err != nil {
		return "", err
	}
	today := dayOf(now)
	var gone []store.Key
	n := 0
	next := store.Key("")
	err = a.store.View(func(tx *store.Tx) error {
		return store.EachAfter(tx, sentTable, after, func(k store.Key, s sentRow) error {
			if today-s.newest() > keepSent {
				gone = append(gone, k)
			}
			if n++; n == forgetSentAtOnce || len(gone) == forgetAtOnce {
				next = k
				return store.ErrStop
			}
			return nil
		})
	})
	if err != nil || len(gone) == 0 {
		return next, err
	}
	return next, a.store.Update(ctx, station.LaneNormal, func(tx *store.Tx) error {
		for _, k := range gone {
			// It may have been used since.
			s, ok, err := store.Get[sentRow](tx, k)
			if err != nil {
				return err
			}
			if !ok || today-s.newest() <= keepSent {
				continue
			}
			if err := tx.Delete(k); err != nil {
				return err
			}
		}
		return nil
	})
}

// runForgetSent goes round the transmissions slowly, until ctx ends.
func (a *Agent) runForgetSent(ctx context.Context) error {
	tick := time.NewTicker(trimEvery)
	defer tick.Stop()
	for after := store.Key(""); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		var err error
		if after, err = a.forgetSent(ctx, after); err != nil && ctx.Err() == nil {
			a.log.Warn("old transmissions not forgotten", "err", err)
		}
		if err := a.forgetRouted(ctx); err != nil && ctx.Err() == nil {
			a.log.Warn("old alarms from elsewhere not forgotten", "err", err)
		}
		if err := a.forgetUpDays(ctx); err != nil && ctx.Err() == nil {
			a.log.Warn("old days of the uptimes not forgotten", "err", err)
		}
	}
}
