package playback

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"stationd/video/record"
)

// film is one MP4 file of a span, index in front. It is put together in two
// readings: the first learns what each picture takes, so that the index can be
// written; the second writes the pictures.
type film struct {
	to      time.Time
	tracks  map[uint32]*filmTrack
	order   []*filmTrack // the picture first
	pieces  []piece
	size    int64 // of the pictures and the sound
	first   time.Time
	last    time.Time
	gaps    time.Duration
	damaged int // fragments that could not be read
}

// piece is what was taken of one fragment.
type piece struct {
	id    record.InitID
	start time.Time
	runs  []taken
}

// taken is which samples of a run.
type taken struct{ skip, count int }

// filmTrack is one track of the file, its tables as runs of equal values.
type filmTrack struct {
	track   *track
	entries [][]byte
	start   uint64 // decode time of the first sample
	at      uint64 // of the last one
	rest    uint32 // its duration as it was stored
	total   uint64
	sizes   []uint32
	times   []pair // count, duration
	shifts  []pair // count, shift
	shifted bool
	syncs   []uint32
	chunks  []chunk
	shift   int32 // of the first sample
}

type pair struct{ count, value uint32 }

type chunk struct {
	offset int64
	count  uint32
	entry  uint32
}

func newFilm(to time.Time) *film { return &film{to: to, tracks: map[uint32]*filmTrack{}} }

// ticksOf is a moment on a track's clock.
func ticksOf(at time.Time, scale uint32) uint64 {
	ns := at.UnixNano()
	return uint64(ns/1e9)*uint64(scale) + uint64(ns%1e9)*uint64(scale)/1e9
}

// add takes the samples of a fragment that begin before the film's end.
func (f *film) add(r *rendition, e record.Entry, runs []*run) {
	p := piece{id: e.Init, start: e.Start}
	for _, x := range runs {
		p.runs = append(p.runs, f.addRun(r, x))
	}
	f.pieces = append(f.pieces, p)
	switch {
	case f.first.IsZero():
		f.first = e.Start
	case e.Start.Sub(f.last) >= gapAtLeast:
		f.gaps += e.Start.Sub(f.last)
	}
	f.last = earlier(e.End(), f.to)
}

func (f *film) addRun(r *rendition, x *run) taken {
	src := r.picture
	if x.track != src.id {
		src = r.sound
	}
	t := f.tracks[x.track]
	at := x.base
	take := taken{}
	if t == nil && src.sound && len(f.order) > 0 {
		// Sound from before the first picture is left out.
		for from := ticksOf(f.firstPicture(), src.scale); take.skip < len(x.samples) && at < from; take.skip++ {
			at += uint64(x.samples[take.skip].duration)
		}
	}
	samples := x.samples[take.skip:]
	to := ticksOf(f.to, src.scale)
	for i := range samples {
		if at >= to {
			break
		}
		if t == nil {
			t = &filmTrack{track: src, start: at}
			f.tracks[x.track], f.order = t, append(f.order, t)
		}
		t.put(at, &samples[i])
		f.size += int64(len(samples[i].data))
		at += uint64(samples[i].duration)
		take.count++
	}
	if take.count > 0 {
		size := int64(0)
		for i := range take.count {
			size += int64(len(samples[i].data))
		}
		t.chunks = append(t.chunks, chunk{offset: f.size - size, count: uint32(take.count), entry: t.entry(src.entry)})
	}
	return take
}

// firstPicture is when the picture begins.
func (f *film) firstPicture() time.Time {
	if len(f.order) == 0 {
		return time.Time{}
	}
	t := f.order[0]
	s := uint64(t.track.scale)
	return time.Unix(int64(t.start/s), int64(t.start%s*1e9/s))
}

// entry is the number of a sample entry in the file, from 1.
func (t *filmTrack) entry(entry []byte) uint32 {
	for i, e := range t.entries {
		if string(e) == string(entry) {
			return uint32(i + 1)
		}
	}
	t.entries = append(t.entries, entry)
	return uint32(len(t.entries))
}

// put adds a sample. Its place is where it was on the wall: the one before it lasts
// until then.
func (t *filmTrack) put(at uint64, s *sample) {
	if n := len(t.sizes); n > 0 {
		at = max(at, t.at+1)
		t.lasts(at - t.at)
	} else {
		t.shift = s.shift
	}
	t.at, t.rest = at, s.duration
	t.sizes = append(t.sizes, uint32(len(s.data)))
	t.shifts = count(t.shifts, uint32(s.shift))
	t.shifted = t.shifted || s.shift != 0
	if s.sync {
		t.syncs = append(t.syncs, uint32(len(t.sizes)))
	}
}

func (t *filmTrack) lasts(d uint64) {
	d = min(d, math.MaxUint32)
	t.times = count(t.times, uint32(d))
	t.total += d
}

func count(list []pair, value uint32) []pair {
	if n := len(list); n > 0 && list[n-1].value == value {
		list[n-1].count++
		return list
	}
	return append(list, pair{1, value})
}

// end settles how long the last samples last.
func (f *film) end() {
	for _, t := range f.order {
		t.lasts(max(uint64(t.rest), 1))
	}
}

// head is everything in front of the pictures.
func (f *film) head() []byte {
	large := f.size > math.MaxUint32-(1<<26)
	head := f.index(0, large)
	return f.index(int64(len(head)), large)
}

// index writes the head for pictures that begin at an offset of the file.
func (f *film) index(offset int64, large bool) []byte {
	w := &boxWriter{}
	w.box("ftyp", func() {
		w.bytes([]byte("isom"))
		w.u32(512)
		w.bytes([]byte("isomiso2mp41"))
	})
	lasts := func(t *filmTrack) uint64 { return t.total * movieScale / uint64(t.track.scale) }
	longest := uint64(0)
	for _, t := range f.order {
		longest = max(longest, lasts(t))
	}
	w.box("moov", func() {
		w.movieHeader(longest, uint32(len(f.order)+1))
		for i, t := range f.order {
			own := *t.track
			own.id = uint32(i + 1)
			w.box("trak", func() {
				w.trackHeader(&own, lasts(t))
				f.edits(w, t, lasts(t))
				w.box("mdia", func() { w.media(&own, t.total, t.entries, func() { t.table(w, offset, large) }) })
			})
		}
	})
	if large {
		w.u32(1)
		w.bytes([]byte("mdat"))
		w.u64(uint64(f.size) + 16)
	} else {
		w.u32(uint32(f.size) + 8)
		w.bytes([]byte("mdat"))
	}
	return w.b
}

// edits says when a track begins to be shown: with B-frames the first picture is
// shown later than it is decoded, and the sound begins when it began.
func (f *film) edits(w *boxWriter, t *filmTrack, lasts uint64) {
	picture := f.order[0]
	zero := float64(int64(picture.start)+int64(picture.shift)) / float64(picture.track.scale)
	delay := float64(int64(t.start)+int64(t.shift))/float64(t.track.scale) - zero
	begin := int64(t.shift)
	empty := uint64(0)
	if delay > 0.0005 {
		empty = uint64(math.Round(delay * movieScale))
	} else if delay < -0.0005 {
		begin += int64(math.Round(-delay * float64(t.track.scale)))
	}
	if empty == 0 && begin == 0 {
		return
	}
	w.box("edts", func() {
		w.full("elst", 1, 0, func() {
			entries := uint32(1)
			if empty > 0 {
				entries = 2
			}
			w.u32(entries)
			if empty > 0 {
				w.u64(empty)
				w.u64(math.MaxUint64) // nothing
				w.u32(1 << 16)
			}
			w.u64(lasts)
			w.u64(uint64(begin))
			w.u32(1 << 16)
		})
	})
}

func (t *filmTrack) table(w *boxWriter, offset int64, large bool) {
	pairs := func(list []pair) {
		w.u32(uint32(len(list)))
		for _, p := range list {
			w.u32(p.count)
			w.u32(p.value)
		}
	}
	w.full("stts", 0, 0, func() { pairs(t.times) })
	if t.shifted {
		w.full("ctts", 1, 0, func() { pairs(t.shifts) })
	}
	if !t.track.sound && len(t.syncs) < len(t.sizes) {
		w.full("stss", 0, 0, func() {
			w.u32(uint32(len(t.syncs)))
			for _, n := range t.syncs {
				w.u32(n)
			}
		})
	}
	w.full("stsc", 0, 0, func() {
		at := len(w.b)
		w.u32(0)
		n := uint32(0)
		for i, c := range t.chunks {
			if i > 0 && c.count == t.chunks[i-1].count && c.entry == t.chunks[i-1].entry {
				continue
			}
			n++
			w.u32(uint32(i + 1))
			w.u32(c.count)
			w.u32(c.entry)
		}
		number := &boxWriter{}
		number.u32(n)
		copy(w.b[at:], number.b)
	})
	w.full("stsz", 0, 0, func() {
		w.u32(0)
		w.u32(uint32(len(t.sizes)))
		for _, n := range t.sizes {
			w.u32(n)
		}
	})
	kind := "stco"
	if large {
		kind = "co64"
	}
	w.full(kind, 0, 0, func() {
		w.u32(uint32(len(t.chunks)))
		for _, c := range t.chunks {
			if large {
				w.u64(uint64(c.offset + offset))
			} else {
				w.u32(uint32(c.offset + offset))
			}
		}
	})
}

// assemble reads a span for the first time.
func (p *Playback) assemble(ctx context.Context, list []record.Entry, to time.Time, told func(done float64)) (*film, error) {
	f := newFilm(to)
	broken := false
	for i, e := range list {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		told(float64(i) / float64(len(list)))
		if broken && !e.Key {
			continue
		}
		r, runs, err := p.runsOf(e.Init, e.Start)
		if broken = err != nil; broken {
			f.damaged++
			continue
		}
		f.add(r, e, runs)
	}
	if len(f.order) == 0 {
		return nil, errNone
	}
	f.end()
	return f, nil
}

func (p *Playback) runsOf(id record.InitID, start time.Time) (*rendition, []*run, error) {
	r, err := p.rendition(id)
	if err != nil {
		return nil, nil, err
	}
	stored, err := p.archive.Fragment(id, start)
	if err != nil {
		return nil, nil, err
	}
	runs, err := r.runs(stored.Data)
	return r, runs, err
}

// write reads it for the second time and writes the file.
func (p *Playback) writeFilm(ctx context.Context, f *film, w io.Writer, told func(done float64)) error {
	if _, err := w.Write(f.head()); err != nil {
		return fmt.Errorf("write film: %w", err)
	}
	for i, x := range f.pieces {
		if err := ctx.Err(); err != nil {
			return err
		}
		told(float64(i) / float64(len(f.pieces)))
		_, runs, err := p.runsOf(x.id, x.start)
		if err != nil || len(runs) != len(x.runs) {
			return errVanished.Because(errors.Join(err, errBox))
		}
		for k, r := range runs {
			for _, s := range r.samples[x.runs[k].skip : x.runs[k].skip+x.runs[k].count] {
				if _, err := w.Write(s.data); err != nil {
					return fmt.Errorf("write film: %w", err)
				}
			}
		}
	}
	return nil
}
