package record

import (
	"errors"
	"slices"
	"time"

	"stationd/agent/station"
)

// What an alarm, a movement or a person asks for is copied out of the rolling
// record and the pre-roll into volumes of its own, fragment by fragment, each
// once: whoever asks for the same minute again shares it.

// keepIdle is how long a volume of events or evidence stays open for more. Sealed,
// it takes no more of the disk than is in it.
const keepIdle = 10 * time.Minute

// keepBatch is how many fragments are copied before others have their turn.
const keepBatch = 32

// keep copies pieces of a camera's record into a class, those that it does not
// have, and returns when they are on the disk. The refs' volumes are pinned by the
// caller. What cannot be read is left out.
func (a *Archive) keep(class Class, camera string, refs []ref) error {
	for batch := range slices.Chunk(refs, keepBatch) {
		if err := a.keepSome(class, camera, batch); err != nil {
			return err
		}
	}
	a.keepMu.Lock()
	defer a.keepMu.Unlock()
	return a.keepers[class].sync()
}

func (a *Archive) keepSome(class Class, camera string, refs []ref) error {
	a.keepMu.Lock()
	defer a.keepMu.Unlock()
	if a.keepEnded {
		return errKeepEnded
	}
	have := a.startsIn(class, camera, refs)
	w := a.keepers[class]
	segments := map[InitID][]byte{}
	for _, r := range refs {
		if r.v.class == class || r.head.duration < 0 || have[r.start] {
			continue
		}
		head, data, err := a.load(camera, r)
		if errors.Is(err, errCorrupt) || errors.Is(err, errGone) {
			continue
		}
		if err != nil {
			return err
		}
		id := InitID{Volume: r.v.seq, Camera: camera, Generation: head.gen}
		if segments[id] == nil {
			if segments[id], err = a.segment(camera, r.v, head.gen); err != nil {
				continue // without it the fragment is of no use
			}
		}
		f := &fragment{camera: camera, start: r.start, head: head, segment: segments[id]}
		f.payload = append(make([]byte, headerSize, headerSize+len(data)), data...)
		if err := w.write(f); err != nil {
			return a.notKept(class, err)
		}
		have[r.start] = true
	}
	return nil
}

var errKeepEnded = errors.New("the archive is being closed")

// notKept says why there was no room.
func (a *Archive) notKept(class Class, err error) error {
	if !errors.Is(err, errNoRoom) {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if class == Evidence || a.used(class)+volumeRoom(a.cfg.volumeSize(class)) <= a.cfg.most(class) {
		return station.ErrNoSpace
	}
	a.clipsFull = true
	return errClipsFull
}

var errEvidenceFull = station.Errorf(507, "evidence.full", "release evidence that is no longer needed, or raise evidence_max_bytes", "the evidence has taken all the space that it may")

// startsIn tells which of the fragments a class has already.
func (a *Archive) startsIn(class Class, camera string, refs []ref) map[int64]bool {
	have := map[int64]bool{}
	if len(refs) == 0 {
		return have
	}
	from, to := refs[0].start, refs[len(refs)-1].start+1
	a.mu.Lock()
	var volumes []*volume
	for _, v := range a.volumes {
		if t := v.tracks[camera]; v.class == class && t != nil && t.overlaps(fromIndex(from), fromIndex(to)) {
			volumes = append(volumes, v)
		}
	}
	pin(volumes)
	a.mu.Unlock()
	defer a.unpin(volumes)
	for _, v := range volumes {
		err := a.read(v, func(r view) error {
			for _, p := range r.places(camera, from, to) {
				if p.head.duration >= 0 {
					have[p.start] = true
				}
			}
			return nil
		})
		if err != nil {
			a.log.Warn("a volume could not be read", "volume", v.dir, "err", err)
		}
	}
	return have
}

// segment reads the init segment of a generation.
func (a *Archive) segment(camera string, v *volume, gen uint32) (segment []byte, err error) {
	err = a.read(v, func(r view) error {
		segment, err = r.init(camera, gen)
		return err
	})
	return segment, err
}

// tendKept keeps events and evidence within their bounds, and seals what has not
// been added to for long.
func (a *Archive) tendKept() {
	if !a.keepMu.TryLock() {
		return // somebody is copying; the next time will do
	}
	defer a.keepMu.Unlock()
	for _, w := range a.keepers {
		if err := w.sync(); err != nil {
			a.log.Error("forcing events to the disk failed", "err", err)
			w.close()
		}
		if w.v != nil && time.Since(w.wrote) > keepIdle {
			w.close()
		}
	}
	a.retain(Event, 0)
}

// endKept is finishKept, and nothing is copied after it.
func (a *Archive) endKept() error {
	err := a.finishKept()
	a.keepMu.Lock()
	defer a.keepMu.Unlock()
	a.keepEnded = true
	return errors.Join(err, a.keepers[Event].finish(), a.keepers[Evidence].finish())
}

// finishKept seals the volumes of events and evidence.
func (a *Archive) finishKept() error {
	a.keepMu.Lock()
	defer a.keepMu.Unlock()
	var errs []error
	for _, w := range a.keepers {
		errs = append(errs, w.finish())
	}
	return errors.Join(errs...)
}
