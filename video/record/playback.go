package record

import (
	"errors"
	"iter"
	"slices"
	"time"
)

// Fragment is a piece of a camera's record as it is played.
type Fragment struct {
	Camera   string
	Start    time.Time
	Duration time.Duration
	// Key tells that decoding can start here. A fragment without it goes on where
	// the one before ended.
	Key bool
	// Damaged tells that a picture in it came damaged from the camera.
	Damaged bool
	// Gap is how much is missing before it, since the fragment before.
	Gap time.Duration
	// Init names the init segment that a player needs before it.
	Init InitID
	// Data is moof and mdat; its decode time is Start in ticks of 90 kHz.
	Data []byte
}

// InitID names an init segment. It is valid as long as the fragments are kept.
type InitID struct {
	Volume     uint64 `json:"volume"`
	Camera     string `json:"camera"`
	Generation uint32 `json:"generation"`
}

// ref is a fragment that was found but not read.
type ref struct {
	v *volume
	place
}

// find lists the fragments of a camera between from and to, in order of time,
// and pins their volumes; unpin them when done. Where the clock was set back and
// an hour is there twice, the later telling is listed. Volumes in also are looked
// into even when they have been dropped; the caller has pinned them.
func (a *Archive) find(camera string, from, to time.Time, also ...*volume) ([]ref, []*volume) {
	a.mu.Lock()
	all := slices.Clone(a.volumes)
	for _, v := range also {
		if v.dropped {
			all = append(all, v)
		}
	}
	slices.SortFunc(all, bySeq)
	var volumes []*volume
	for _, v := range all {
		if t := v.tracks[camera]; t != nil && t.overlaps(from, to) {
			volumes = append(volumes, v)
		}
	}
	pin(volumes)
	a.mu.Unlock()

	var refs []ref
	for _, v := range volumes {
		var places []place
		err := a.read(v, func(r view) error {
			places = r.places(camera, from.UnixNano(), to.UnixNano())
			return nil
		})
		if err != nil {
			if !errors.Is(err, errGone) {
				a.log.Warn("a volume could not be read", "volume", v.seq, "err", err)
			}
			continue
		}
		if len(places) == 0 {
			continue
		}
		// A little overlap is the camera's clock being followed.
		first := places[0].start
		refs = slices.DeleteFunc(refs, func(r ref) bool { return r.start >= first })
		for _, p := range places {
			refs = append(refs, ref{v, p})
		}
	}
	return refs, volumes
}

// load reads and checks the fragment.
func (a *Archive) load(camera string, r ref) (h header, data []byte, err error) {
	err = a.read(r.v, func(v view) error {
		h, data, err = v.fragment(camera, r.start)
		return err
	})
	if errors.Is(err, errCorrupt) {
		a.mu.Lock()
		a.stats.Damaged++
		a.mu.Unlock()
		a.log.Warn("a piece of the record is damaged and left out", "camera", camera, "at", fromIndex(r.start))
	}
	return h, data, err
}

// Fragments yields the camera's record between from and to. It begins with the
// fragment that from lies in, which need not be a key one: a player begins at
// the first that is, a caller who wants it sooner asks from a little earlier.
// What is damaged is left out, and what cannot be decoded without it; the gap is
// in the next fragment. Volumes are kept from being dropped while it runs.
func (a *Archive) Fragments(camera string, from, to time.Time) iter.Seq2[Fragment, error] {
	return func(yield func(Fragment, error) bool) {
		refs, volumes := a.find(camera, from, to)
		defer a.unpin(volumes)
		broken := false
		var end int64
		for _, r := range refs {
			if r.head.duration < 0 || broken && !r.head.key() {
				broken = true
				continue
			}
			h, data, err := a.load(camera, r)
			if err != nil {
				broken = true
				if errors.Is(err, errCorrupt) || errors.Is(err, errGone) {
					continue
				}
				if !yield(Fragment{}, err) {
					return
				}
				continue
			}
			broken = false
			f := Fragment{
				Camera: camera, Start: fromIndex(r.start), Duration: h.duration,
				Key: h.key(), Damaged: h.flags&flagDamaged != 0,
				Init: InitID{Volume: r.v.seq, Camera: camera, Generation: h.gen}, Data: data,
			}
			if d := r.start - end; end > 0 && d >= int64(gapAtLeast) {
				f.Gap = time.Duration(d)
			}
			end = r.end()
			if !yield(f, nil) {
				return
			}
		}
	}
}

// Init is the init segment that a fragment names.
func (a *Archive) Init(id InitID) ([]byte, error) {
	v := a.volume(id.Volume)
	if v == nil {
		return nil, errDropped
	}
	defer a.unpin([]*volume{v})
	var segment []byte
	err := a.read(v, func(r view) (err error) {
		segment, err = r.init(id.Camera, id.Generation)
		return err
	})
	return segment, err
}

// Timeline is what is recorded of a camera between from and to: the spans, and
// the gaps with their reasons, in order of time. It reads nothing from the disk.
func (a *Archive) Timeline(camera string, from, to time.Time) ([]Span, []Gap) {
	var spans []Span
	var gaps []Gap
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, v := range a.volumes {
		t := v.tracks[camera]
		if t == nil {
			continue
		}
		for _, s := range t.Spans {
			if !s.To.After(from) || !s.From.Before(to) {
				continue
			}
			if n := len(spans); n > 0 {
				if d := s.From.Sub(spans[n-1].To); d.Abs() < gapAtLeast {
					spans[n-1].To = s.To
					continue
				}
			}
			spans = append(spans, s)
		}
		for _, g := range t.Gaps {
			if g.To.After(from) && g.From.Before(to) {
				gaps = append(gaps, g)
			}
		}
	}
	return spans, gaps
}

// Cameras lists the cameras that have a record.
func (a *Archive) Cameras() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var ids []string
	for id := range a.cameras {
		for _, v := range a.volumes {
			if v.tracks[id] != nil {
				ids = append(ids, id)
				break
			}
		}
	}
	slices.Sort(ids)
	return ids
}
