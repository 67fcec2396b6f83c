package store

import (
	"encoding/binary"

	"stationd/agent/station"
)

// The database has six realms. The order of their first letters matters: a
// reader that runs past the end of one realm must not wander through the
// deleted rows of the next, and only the journal and the rows have those in
// masses, and the redo, whose reader is Open. The journal comes before the others, and before the rows stands a fence.
//
//	d/<number, 8 bytes big-endian>       the redo
//	j/<lane>/<seq, 8 bytes big-endian>   the journal
//	m/...                                what the store knows of itself, cursors
//	s/<key>                              records
//	x/<name>                             sealed secrets
//	y/fence                              an entry that is never deleted
//	z/<key>                              rows
//	z/~/<head, time>                     loose rows, those of one commit together
const (
	redoRealm    = "d/"
	journalRealm = "j/"
	cursorRealm  = "m/cursor/"
	stateRealm   = "s/"
	secretRealm  = "x/"
	fenceKey     = "y/fence"
	rowRealm     = "z/"

	schemaKey  = "m/schema"
	nodeKey    = "m/node"
	epochKey   = "m/epoch"
	headKey    = "m/head"
	redoKey    = "m/redo"
	sealingKey = "m/sealing"
)

func lanePrefix(lane station.Lane) string { return journalRealm + string(lane) + "/" }

func rowKey(lane station.Lane, seq uint64) string {
	p := lanePrefix(lane)
	b := make([]byte, len(p)+8)
	copy(b, p)
	binary.BigEndian.PutUint64(b[len(p):], seq)
	return string(b)
}

// rowSeq is the sequence at the end of a journal key.
func rowSeq(key []byte) uint64 { return binary.BigEndian.Uint64(key[len(key)-8:]) }

func cursorKey(target string, lane station.Lane) string {
	return cursorRealm + target + "\x00" + string(lane)
}

// laneIndex is the place of a lane in the tables of this package; -1 for a word
// that is no lane.
func laneIndex(lane station.Lane) int {
	switch lane {
	case station.LaneUrgent:
		return 0
	case station.LaneNormal:
		return 1
	case station.LaneBulk:
		return 2
	}
	return -1
}
