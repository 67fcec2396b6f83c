package store

import (
	"encoding/json"
	"strings"
	"time"

	"stationd/agent/station"
)

// Cursor is how far a target has a lane of the journal: Seq is the last row that
// it acknowledged, Hop the number that row had on the way there.
type Cursor struct {
	Target string        `json:"target"`
	Lane   station.Lane  `json:"lane"`
	Epoch  station.Epoch `json:"epoch"`
	Seq    uint64        `json:"seq"`
	Hop    uint64        `json:"hop"`
	At     time.Time     `json:"at"`
}

// Cursor reads the cursor of a target and lane; one that was never put stands at
// the beginning of this epoch.
func (tx *Tx) Cursor(target string, lane station.Lane) (Cursor, error) {
	c := Cursor{Target: target, Lane: lane, Epoch: tx.s.epoch}
	_, err := tx.getJSON(cursorKey(target, lane), &c)
	return c, err
}

// PutCursor moves a cursor. A target that puts one, be it at 0, holds the
// journal back from being trimmed.
func (tx *Tx) PutCursor(c Cursor) error {
	if c.Target == "" || strings.Contains(c.Target, "\x00") || laneIndex(c.Lane) < 0 {
		return station.Errorf(400, "cursor.invalid", "name a target and one of the lanes", "a cursor needs a target and a lane")
	}
	if c.At.IsZero() {
		c.At = time.Now()
	}
	return tx.putJSON(cursorKey(c.Target, c.Lane), c)
}

// DeleteCursor forgets a target's lane that is no longer served.
func (tx *Tx) DeleteCursor(target string, lane station.Lane) error {
	return tx.put(cursorKey(target, lane), nil)
}

// Cursors are those of all targets and lanes.
func (tx *Tx) Cursors() (all []Cursor, err error) {
	err = tx.scan(cursorRealm, "", false, func(_ string, b []byte) error {
		var c Cursor
		if err := decodeCursor(b, &c); err != nil {
			return err
		}
		all = append(all, c)
		return nil
	})
	return all, err
}

func decodeCursor(b []byte, c *Cursor) error { return json.Unmarshal(b, c) }
