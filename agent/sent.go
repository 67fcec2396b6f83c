package agent

import (
	"context"
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

const (
	// sentPlaces bounds what is remembered of one link: so many packet
	// identifiers in a row. It is the largest window whose repetitions are all
	// known; Mosquitto was seen with 1,833 messages on their way, and its default
	// is 20.
	sentPlaces = 8192
	// keepSent is how long a link that says nothing more is remembered. A device
	// that comes back later and repeats its last alarm raises it again.
	keepSent = 30 // days
	// forgetSentAtOnce bounds one round of forgetting.
	forgetSentAtOnce = 5000
)

func sentKey(link string, packet uint16) store.Key {
	return key(sentTable, link) + store.Key("/"+strconv.FormatUint(uint64(packet%sentPlaces), 16))
}

// repeated tells whether a report was committed before, and remembers it if not.
// A message that says nothing of alarms is not worth a record; but it has taken
// the place of what was in it.
func repeated(tx *store.Tx, now alarm.Now, r station.Report) (bool, error) {
	if r.Link == "" || r.Packet == 0 || r.Fingerprint == 0 {
		return false, nil // it is never sent again
	}
	k := sentKey(r.Link, r.Packet)
	last, known, err := store.Get[sent](tx, k)
	if err != nil {
		return false, err
	}
	same := known && last.Packet == r.Packet && last.Print == r.Fingerprint
	switch {
	case same && r.Part > last.Part: // a further report of the transmission that is under way
		return false, rememberSent(tx, now, k, r)
	case same && r.Duplicate:
		return true, nil
	case len(r.Signals) > 0:
		return false, rememberSent(tx, now, k, r)
	case known && !same:
		return false, tx.Delete(k)
	}
	return false, nil
}

func rememberSent(tx *store.Tx, now alarm.Now, k store.Key, r station.Report) error {
	return store.Put(tx, k, sent{Packet: r.Packet, Print: r.Fingerprint, Part: r.Part, Day: dayOf(now)})
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
		return store.EachAfter(tx, sentTable, after, func(k store.Key, s sent) error {
			if today-s.Day > keepSent {
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
			s, ok, err := store.Get[sent](tx, k)
			if err != nil {
				return err
			}
			if !ok || today-s.Day <= keepSent {
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
	}
}
