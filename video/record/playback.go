package record

import (
	"cmp"
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
	// Sound tells that there is sound in it, as a second track; how it is coded
	// stands in the init segment.
	Sound bool
	// Init names the init segment that a player needs before it.
	Init InitID
	// Data is moof and mdat; its decode time is Start in ticks of 90 kHz, and that
	// of the sound about the same in ticks of its rate.
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
// an hour is there twice, the later telling is listed. What several classes have
// is listed once. Volumes in also are looked into even when they have been
// dropped; the caller has pinned them.
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

	found := map[Class][]ref{}
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
		refs := found[v.class]
		if v.class.live() {
			// A little overlap is the camera's clock being followed.
			first := places[0].start
			refs = slices.DeleteFunc(refs, func(r ref) bool { return r.start >= first })
		}
		for _, p := range places {
			refs = append(refs, ref{v, p})
		}
		found[v.class] = refs
	}
	for _, c := range []Class{Event, Evidence} {
		// They were copied in the order in which they were asked for.
		slices.SortStableFunc(found[c], func(x, y ref) int { return cmp.Compare(x.start, y.start) })
	}
	var refs []ref
	for _, c := range classes() {
		refs = fillIn(refs, found[c])
	}
	return refs, volumes
}

// fillIn puts into refs what more has of the time that is missing there. Both are
// in order of time.
func fillIn(refs, more []ref) []ref {
	if len(refs) == 0 && len(more) == 0 {
		return nil
	}
	const little = int64(200 * time.Millisecond)
	out := make([]ref, 0, len(refs)+len(more))
	i := 0
	for _, r := range more {
		for i < len(refs) && refs[i].start < r.start {
			out = append(out, refs[i])
			i++
		}
		if i < len(refs) && refs[i].start == r.start && refs[i].head.duration < 0 {
			i++ // the copy is whole
		}
		if n := len(out); n > 0 && (out[n-1].start == r.start || out[n-1].end() > r.start+little) {
			continue
		}
		if i < len(refs) && (refs[i].start == r.start || refs[i].start < r.end()-little) {
			continue
		}
		out = append(out, r)
	}
	return append(out, refs[i:]...)
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
				Key: h.key(), Damaged: h.flags&flagDamaged != 0, Sound: h.flags&flagSound != 0,
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
// Where the clock was set back, an hour may lie in two spans.
func (a *Archive) Timeline(camera string, from, to time.Time) ([]Span, []Gap) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.timeline(camera, from, to)
}

// timeline is Timeline with the lock held.
func (a *Archive) timeline(camera string, from, to time.Time) ([]Span, []Gap) {
	var spans, copies []Span
	var gaps []Gap
	for _, v := range a.volumes {
		t := v.tracks[camera]
		if t == nil {
			continue
		}
		whole := t.Spans
		if len(t.Damaged) > 0 {
			whole = without(slices.Clone(t.Spans), t.Damaged)
			for _, s := range t.Damaged {
				if s.To.After(from) && s.From.Before(to) {
					gaps = append(gaps, Gap{s.From, s.To, GapDamaged})
				}
			}
		}
		for _, s := range whole {
			switch {
			case !s.To.After(from) || !s.From.Before(to):
			case v.class == Continuous:
				spans = extend(spans, s)
			default:
				copies = append(copies, s)
			}
		}
		for _, g := range t.Gaps {
			if g.To.After(from) && g.From.Before(to) {
				gaps = append(gaps, g)
			}
		}
	}
	slices.SortStableFunc(gaps, func(x, y Gap) int { return x.From.Compare(y.From) })
	if len(copies) == 0 {
		return spans, gaps
	}
	// What is kept elsewhere counts where the rolling record has nothing.
	spans = append(spans, without(union(copies), spans)...)
	slices.SortStableFunc(spans, func(x, y Span) int { return x.From.Compare(y.From) })
	var all []Span
	for _, s := range spans {
		all = extend(all, s)
	}
	var left []Gap
	for _, g := range gaps {
		if !slices.ContainsFunc(all, func(s Span) bool { return s.To.After(g.From) && s.From.Before(g.To) }) {
			left = append(left, g)
			continue
		}
		for _, s := range without([]Span{{g.From, g.To}}, all) {
			if s.To.Sub(s.From) >= gapAtLeast {
				left = append(left, Gap{From: s.From, To: s.To, Reason: g.Reason})
			}
		}
	}
	slices.SortStableFunc(left, func(x, y Gap) int { return x.From.Compare(y.From) })
	return all, slices.Compact(left)
}

// extend puts a span behind others, or makes the last one longer.
func extend(spans []Span, s Span) []Span {
	if n := len(spans); n > 0 {
		if d := s.From.Sub(spans[n-1].To); d.Abs() < gapAtLeast {
			spans[n-1].To = s.To
			return spans
		}
	}
	return append(spans, s)
}

// union puts spans in order and those that touch into one.
func union(spans []Span) []Span {
	slices.SortFunc(spans, func(x, y Span) int { return x.From.Compare(y.From) })
	var out []Span
	for _, s := range spans {
		if n := len(out); n > 0 && s.From.Sub(out[n-1].To) < gapAtLeast {
			out[n-1].To = later(out[n-1].To, s.To)
			continue
		}
		out = append(out, s)
	}
	return out
}

// without is what of spans does not lie in others.
func without(spans, others []Span) []Span {
	for _, o := range others {
		var left []Span
		for _, s := range spans {
			if !o.To.After(s.From) || !o.From.Before(s.To) {
				left = append(left, s)
				continue
			}
			if o.From.After(s.From) {
				left = append(left, Span{s.From, o.From})
			}
			if o.To.Before(s.To) {
				left = append(left, Span{o.To, s.To})
			}
		}
		spans = left
	}
	return slices.DeleteFunc(spans, func(s Span) bool { return s.To.Sub(s.From) < gapAtLeast })
}

// Held is what is kept of a camera as events or as evidence between from and to, in
// order of time. It reads nothing from the disk.
func (a *Archive) Held(class Class, camera string, from, to time.Time) []Span {
	a.mu.Lock()
	defer a.mu.Unlock()
	var spans []Span
	for _, v := range a.volumes {
		if t := v.tracks[camera]; t != nil && v.class == class {
			for _, s := range t.Spans {
				if s.To.After(from) && s.From.Before(to) {
					spans = append(spans, s)
				}
			}
		}
	}
	return union(spans)
}

// Steps lists the settings of the clock while a camera was recorded, by the new
// time that they led to.
func (a *Archive) Steps(camera string, from, to time.Time) []Step {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []Step
	for _, v := range a.volumes {
		if t := v.tracks[camera]; t != nil && v.class.live() {
			for _, s := range t.Steps {
				if !s.At.Before(from) && s.At.Before(to) {
					out = append(out, s)
				}
			}
		}
	}
	return out
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
