package store

import (
	"time"

	"stationd/agent/station"
)

// OpenReport tells what Open found and did, so that people can be told.
type OpenReport struct {
	// Fresh: there was no store, one was made.
	Fresh bool
	// Quarantined is the directory that a damaged database was moved to, and
	// Cause what was wrong with it.
	Quarantined string
	Cause       string
	// Restored is the backup that took its place, made at RestoredTo. What came
	// after it is only in the quarantine.
	Restored   string
	RestoredTo time.Time
	// Repaired says what was put right without loss.
	Repaired string
	// ReserveReleased: the disk was so full that the reserve was given back
	// before anything was opened.
	ReserveReleased bool
	// Newer: a newer version of the program has written here.
	Newer bool
	// Sealing says why secrets cannot be read: the key is missing or another
	// one. Everything else works.
	Sealing *station.Problem
}

// Problems of opening.
var (
	// ErrInUse is returned when another process has the data directory.
	ErrInUse = station.Errorf(409, "store.in-use", "stop the other one, or give this one its own --data directory", "another stationd is using this data directory")
	// ErrNewer is returned for a store that a newer version has made unreadable
	// for this one.
	ErrNewer = station.Errorf(409, "store.newer", "install that version again", "the data directory was written by a newer version of stationd that this one cannot read")
	// ErrOtherNode is returned when a store has another name than asked for.
	ErrOtherNode = station.Errorf(409, "store.other-node", "give the node its old id, or use another --data directory", "the data directory belongs to another node")
)
