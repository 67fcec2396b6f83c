package record

import (
	"fmt"
	"time"

	"stationd/agent/station"
)

// Entry is a fragment as the index knows it, without having read it.
type Entry struct {
	Start    time.Time
	Duration time.Duration
	// Key tells that decoding can start here.
	Key bool
	// Init names the init segment that a player needs before it, and with it the
	// volume that the fragment lies in.
	Init InitID
}

// End is when it ends.
func (e Entry) End() time.Time { return e.Start.Add(e.Duration) }

// Index lists the fragments that Fragments would read, the damaged ones among
// them: that they are shows when they are read.
func (a *Archive) Index(camera string, from, to time.Time) []Entry {
	refs, volumes := a.find(camera, from, to)
	defer a.unpin(volumes)
	list := make([]Entry, 0, len(refs))
	for _, r := range refs {
		if r.head.duration < 0 {
			continue // it did not reach the disk
		}
		list = append(list, Entry{
			Start: fromIndex(r.start), Duration: r.head.duration, Key: r.head.key(),
			Init: InitID{Volume: r.v.seq, Camera: camera, Generation: r.head.gen},
		})
	}
	return list
}

// Fragment reads the one fragment that begins at start, in the volume and of the
// generation that id names.
func (a *Archive) Fragment(id InitID, start time.Time) (Fragment, error) {
	v := a.volume(id.Volume)
	if v == nil {
		return Fragment{}, errDropped
	}
	defer a.unpin([]*volume{v})
	there := false
	err := a.read(v, func(r view) error {
		b, err := r.get(timeKey(kindFragment, id.Camera, start.UnixNano()))
		there = b != nil
		return err
	})
	if err == nil && !there {
		err = station.ErrNotFound.At("fragment")
	}
	if err != nil {
		return Fragment{}, fmt.Errorf("find a piece of the record of camera %q: %w", id.Camera, err)
	}
	h, data, err := a.load(id.Camera, ref{v: v, place: place{start: start.UnixNano()}})
	if err != nil {
		return Fragment{}, fmt.Errorf("read a piece of the record of camera %q: %w", id.Camera, err)
	}
	return Fragment{
		Camera: id.Camera, Start: start, Duration: h.duration, Key: h.key(), Damaged: h.flags&flagDamaged != 0,
		Init: InitID{Volume: id.Volume, Camera: id.Camera, Generation: h.gen}, Data: data,
	}, nil
}

// Hold keeps what is recorded of a camera between from and to from being dropped
// until release is called.
func (a *Archive) Hold(camera string, from, to time.Time) (release func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var held []*volume
	for _, v := range a.volumes {
		if t := v.tracks[camera]; t != nil && t.overlaps(from, to) {
			held = append(held, v)
		}
	}
	pin(held)
	return func() { a.unpin(held) }
}

// volume finds a volume by its number and pins it; nil when it is gone. One that was
// dropped is there for as long as somebody holds it.
func (a *Archive) volume(seq uint64) *volume {
	a.mu.Lock()
	defer a.mu.Unlock()
	if v := a.leaving[seq]; v != nil {
		pin([]*volume{v})
		return v
	}
	for _, v := range a.volumes {
		if v.seq == seq {
			pin([]*volume{v})
			return v
		}
	}
	return nil
}

// errDropped is for what was there once and has made room since.
var errDropped = station.Errorf(410, "record.dropped", "ask for a newer time", "this piece of the record has made room for newer ones")
