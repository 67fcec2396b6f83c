package history

import (
	"encoding/binary"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"stationd/agent/station"
	"stationd/agent/store"
)

// History is the readings of a node's sensors. See the package comment.
type History struct {
	cfg   Config
	store *store.Store
	log   *slog.Logger
	now   func() time.Time
	// advanced is when the horizon was last moved, by the monotonic clock; it
	// belongs to Run.
	advanced time.Time
}

// Config says how long readings are kept.
type Config struct {
	// KeepReadings is how long the single readings are kept.
	KeepReadings time.Duration `yaml:"keep_readings"`
	// KeepHours is how long their least, mean and greatest by the hour are kept.
	KeepHours time.Duration `yaml:"keep_hours"`
}

const day = 24 * time.Hour

// DefaultConfig is a month, and a year with a month to spare.
func DefaultConfig() Config { return Config{KeepReadings: 30 * day, KeepHours: 400 * day} }

// Validate reports every fault, each with its key.
func (c Config) Validate() error {
	var faults []error
	if c.KeepReadings < day || c.KeepReadings > 400*day {
		faults = append(faults, station.Errorf(400, "config.invalid", "use 24h to 9600h", "%s is no time to keep readings", c.KeepReadings).At("keep_readings"))
	}
	if c.KeepHours < c.KeepReadings || c.KeepHours > 4000*day {
		faults = append(faults, station.Errorf(400, "config.invalid", "use at least keep_readings, at most 96000h", "%s is no time to keep hours", c.KeepHours).At("keep_hours"))
	}
	return errors.Join(faults...)
}

// New makes the history in a store. It opens and starts nothing.
func New(cfg Config, st *store.Store, now func() time.Time, log *slog.Logger) *History {
	return &History{cfg: cfg, store: st, now: now, log: log}
}

// A reading is a loose row of the store until it is packed. The other rows' keys
// begin with what they are. Times are eight bytes big-endian, nanoseconds since
// 1970; days four bytes, since then.
const (
	blockKind = "c/"                  // c/<sensor>/<time of the first><number>: readings of one day
	dayKind   = "d/"                  // d/<sensor>/<day>: the hours of a day
	dueKind   = "t/"                  // t/<sensor>/<day>: a day that is still to be summed up
	eraseKind = "x/"                  // x/<sensor>: everything up to this time is to be deleted
	packedKey = store.Key("p/packed") // the entry up to which loose rows are packed
)

// blockKey ends with the place of the loose rows that the block was made of, so
// that no two blocks have one key.
func blockKey(sensor string, at, number int64) store.Key {
	return store.Key(binary.BigEndian.AppendUint64([]byte(timeKey(blockKind, sensor, at)), uint64(number)))
}

func timeKey(kind, sensor string, at int64) store.Key {
	b := make([]byte, 0, len(kind)+len(sensor)+17)
	b = append(append(append(b, kind...), sensor...), '/')
	return store.Key(binary.BigEndian.AppendUint64(b, uint64(max(0, at))))
}

func dayKey(kind, sensor string, d int64) store.Key {
	b := make([]byte, 0, len(kind)+len(sensor)+5)
	b = append(append(append(b, kind...), sensor...), '/')
	return store.Key(binary.BigEndian.AppendUint32(b, uint32(max(0, d))))
}

// dayOf reads the end of a key.
func dayOf(k store.Key) int64 { return int64(binary.BigEndian.Uint32([]byte(k[len(k)-4:]))) }

// escape keeps a slash in a sensor's ID from leaving its place.
func escape(sensor string) string { return url.PathEscape(sensor) }

// dayAt is the day of a time in nanoseconds.
func dayAt(ns int64) int64 { return ns / int64(day) }

// Append writes the reading of a report, in the report's transaction.
func (h *History) Append(tx *store.Tx, r station.Report) error {
	if len(r.Values) == 0 || r.Retained {
		return nil
	}
	at := r.Received
	if r.Late && !r.DeviceTime.IsZero() && r.DeviceTime.Before(at) {
		if at.Sub(r.DeviceTime) > h.cfg.KeepReadings {
			return nil // it would be deleted at once
		}
		at = r.DeviceTime
	}
	return tx.AddLoose(encodeRow(r.Sensor, at.UnixNano(), r.Late, r.Values))
}

// Erase has everything of a sensor deleted, in the transaction that removes it:
// from then on nothing of it is shown, and a sensor that gets the same ID later
// begins anew.
func (h *History) Erase(tx *store.Tx, sensor string, at time.Time) error {
	return tx.PutRow(store.Key(eraseKind+escape(sensor)), binary.BigEndian.AppendUint64(nil, uint64(at.UnixNano())))
}

// erasedUntil is the time up to which a sensor's history does not count.
func erasedUntil(tx *store.Tx, sensor string) (int64, error) {
	b, err := tx.Row(store.Key(eraseKind + sensor))
	if err != nil || len(b) != 8 {
		return -1, err
	}
	return int64(binary.BigEndian.Uint64(b)), nil
}

// each calls fn for the readings of a sensor from a time on, before another, in
// nanoseconds: those that are packed, block by block, then the others. They are in
// order but for what a backlog brought later. The fields are fn's only until it
// returns.
func each(tx *store.Tx, sensor string, from, to int64, fn func(reading) error) error {
	erased, err := erasedUntil(tx, escape(sensor))
	if err != nil {
		return err
	}
	from = max(from, erased+1)
	within := func(r reading) error {
		if r.at < from || r.at >= to {
			return nil
		}
		return fn(r)
	}
	// A block begins on the day of its last reading, so none that begins before
	// that of from has anything.
	err = eachBlock(tx, escape(sensor), dayAt(max(0, from))*int64(day), to, func(_ store.Key, b []byte) error {
		return decodeBlock(b, within)
	})
	if err != nil {
		return err
	}
	packed, err := tx.Row(packedKey)
	if err != nil {
		return err
	}
	return tx.EachLoose(store.Key(packed), func(_ store.Key, b []byte) error {
		name, rest, ok := sensorOf(b)
		if !ok || string(name) != sensor {
			return nil
		}
		r, err := decodeRow(rest)
		if err != nil {
			return err
		}
		return within(r)
	})
}

func eachBlock(tx *store.Tx, sensor string, from, to int64, fn func(store.Key, []byte) error) error {
	return tx.EachRow(timeKey(blockKind, sensor, from), timeKey(blockKind, sensor, to), fn)
}

// sensorsIn lists the sensors that have rows of a kind, as they stand in the keys.
func sensorsIn(tx *store.Tx, kind string) ([]string, error) {
	var out []string
	end := store.Key(kind[:len(kind)-1] + "0")
	for from := store.Key(kind); ; {
		found := ""
		err := tx.EachRow(from, end, func(k store.Key, _ []byte) error {
			found, _, _ = strings.Cut(string(k[len(kind):]), "/")
			return store.ErrStop
		})
		if err != nil || found == "" {
			return out, err
		}
		out = append(out, found)
		from = store.Key(kind + found + "0") // behind the slash
	}
}

func timeAt(ns int64) time.Time { return time.Unix(0, ns) }
