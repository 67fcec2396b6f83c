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

// The rows' keys begin with what they are. Times are eight bytes big-endian,
// nanoseconds since 1970; days four bytes, since then.
const (
	rowKind   = "r/" // r/<sensor>/<time>: one reading
	blockKind = "c/" // c/<sensor>/<time of the first>: readings of one day
	dayKind   = "d/" // d/<sensor>/<day>: the hours of a day
	dueKind   = "t/" // t/<sensor>/<day>: a day that is still to be summed up
	eraseKind = "x/" // x/<sensor>: everything up to this time is to be deleted
)

func timeKey(kind, sensor string, at int64) store.Key {
	b := make([]byte, 0, len(kind)+len(sensor)+9)
	b = append(append(append(b, kind...), sensor...), '/')
	return store.Key(binary.BigEndian.AppendUint64(b, uint64(max(0, at))))
}

func dayKey(kind, sensor string, d int64) store.Key {
	b := make([]byte, 0, len(kind)+len(sensor)+5)
	b = append(append(append(b, kind...), sensor...), '/')
	return store.Key(binary.BigEndian.AppendUint32(b, uint32(max(0, d))))
}

// timeOf and dayOf read the ends of the keys.
func timeOf(k store.Key) int64 { return int64(binary.BigEndian.Uint64([]byte(k[len(k)-8:]))) }
func dayOf(k store.Key) int64  { return int64(binary.BigEndian.Uint32([]byte(k[len(k)-4:]))) }

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
	return tx.PutRow(timeKey(rowKind, escape(r.Sensor), at.UnixNano()), encodeRow(r.Late, r.Values))
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
// nanoseconds: block by block, and in order within each. A backlog may come late.
// The fields are fn's only until it returns.
func each(tx *store.Tx, sensor string, from, to int64, fn func(reading) error) error {
	erased, err := erasedUntil(tx, sensor)
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
	err = tx.EachRow(timeKey(blockKind, sensor, dayAt(max(0, from))*int64(day)), timeKey(blockKind, sensor, to), func(_ store.Key, b []byte) error {
		return decodeBlock(b, within)
	})
	if err != nil {
		return err
	}
	return tx.EachRow(timeKey(rowKind, sensor, from), timeKey(rowKind, sensor, to), func(k store.Key, b []byte) error {
		r, err := decodeRow(timeOf(k), b)
		if err != nil {
			return err
		}
		return fn(r)
	})
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
