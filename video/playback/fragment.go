package playback

import "fmt"

// sample is a picture, or a frame of sound.
type sample struct {
	duration uint32 // ticks
	shift    int32  // from decoding to showing, ticks
	sync     bool   // decoding can start here
	data     []byte
}

// run is what a fragment holds of one track.
type run struct {
	track   uint32
	base    uint64 // decode time of the first sample, ticks
	samples []sample
}

// mostSamples bounds a fragment: two seconds of sound in the shortest frames that
// there are have some hundreds.
const mostSamples = 10_000

// notSync is the sample flag that says that a sample is no sync sample.
const notSync = 1 << 16

// readFragment takes a stored fragment apart. The samples' data is part of it.
func readFragment(data []byte, tracks []*track) ([]*run, error) {
	var runs []*run
	for rest := data; len(rest) > 0; {
		b, behind, err := nextBox(rest)
		if err != nil {
			return nil, fmt.Errorf("read fragment: %w", err)
		}
		if b.kind == "moof" {
			err := eachBox(b.body, func(x box) error {
				if x.kind != "traf" {
					return nil
				}
				r, err := readRun(x.body, rest, tracks)
				if r != nil {
					runs = append(runs, r)
				}
				return err
			})
			if err != nil {
				return nil, fmt.Errorf("read fragment: %w", err)
			}
		}
		rest = behind
	}
	if len(runs) == 0 {
		return nil, fmt.Errorf("read fragment: %w: no samples", errBox)
	}
	return runs, nil
}

// readRun reads a traf; offsets count from the beginning of moof.
func readRun(traf, moof []byte, tracks []*track) (*run, error) {
	head, ok := findBox(traf, "tfhd")
	f := fields{b: head}
	_, flags := f.full()
	r := &run{track: f.u32()}
	var t *track
	for _, x := range tracks {
		if x.id == r.track {
			t = x
		}
	}
	if !ok || f.short || t == nil {
		return nil, fmt.Errorf("%w: samples of no known track", errBox)
	}
	if flags&0x1 != 0 {
		return nil, fmt.Errorf("%w: it counts from the beginning of a file", errBox)
	}
	if flags&0x2 != 0 {
		f.skip(4)
	}
	duration, size, sampleFlags := t.duration, t.size, t.flags
	if flags&0x8 != 0 {
		duration = f.u32()
	}
	if flags&0x10 != 0 {
		size = f.u32()
	}
	if flags&0x20 != 0 {
		sampleFlags = f.u32()
	}
	if head, ok := findBox(traf, "tfdt"); ok {
		f := fields{b: head}
		if v, _ := f.full(); v == 1 {
			r.base = f.u64()
		} else {
			r.base = uint64(f.u32())
		}
	}
	at := 0
	err := eachBox(traf, func(x box) error {
		if x.kind != "trun" {
			return nil
		}
		f := fields{b: x.body}
		_, flags := f.full()
		count := f.u32()
		if count == 0 || count > mostSamples || len(r.samples)+int(count) > mostSamples {
			return fmt.Errorf("%w: %d samples in one fragment", errBox, count)
		}
		if flags&0x1 != 0 {
			at = int(int32(f.u32()))
		}
		first, hasFirst := sampleFlags, flags&0x4 != 0
		if hasFirst {
			first = f.u32()
		}
		for i := range count {
			s := sample{duration: duration}
			n, sf := size, sampleFlags
			if flags&0x100 != 0 {
				s.duration = f.u32()
			}
			if flags&0x200 != 0 {
				n = f.u32()
			}
			if flags&0x400 != 0 {
				sf = f.u32()
			} else if i == 0 && hasFirst {
				sf = first
			}
			if flags&0x800 != 0 {
				s.shift = int32(f.u32())
			}
			if f.short || at < 0 || at > len(moof) || uint64(n) > uint64(len(moof)-at) {
				return fmt.Errorf("%w: a sample lies outside", errBox)
			}
			s.sync = sf&notSync == 0
			s.data = moof[at : at+int(n)]
			at += int(n)
			r.samples = append(r.samples, s)
		}
		return nil
	})
	if err == nil && len(r.samples) == 0 {
		return nil, nil // a track that is silent in this fragment
	}
	return r, err
}

// writeFragment makes a fragment.
func writeFragment(sequence uint32, runs []*run) []byte {
	size := 0
	for _, r := range runs {
		for i := range r.samples {
			size += len(r.samples[i].data) + 16
		}
	}
	w := &boxWriter{b: make([]byte, 0, size+256)}
	var places []int // of the data offsets
	w.box("moof", func() {
		w.full("mfhd", 0, 0, func() { w.u32(sequence) })
		for _, r := range runs {
			w.box("traf", func() {
				w.full("tfhd", 0, 0x20000, func() { w.u32(r.track) }) // offsets count from moof
				w.full("tfdt", 1, 0, func() { w.u64(r.base) })
				w.full("trun", 1, 0xf01, func() {
					w.u32(uint32(len(r.samples)))
					places = append(places, len(w.b))
					w.u32(0)
					for _, s := range r.samples {
						w.u32(s.duration)
						w.u32(uint32(len(s.data)))
						if s.sync {
							w.u32(2 << 24)
						} else {
							w.u32(1<<24 | notSync)
						}
						w.u32(uint32(s.shift))
					}
				})
			})
		}
	})
	w.box("mdat", func() {
		for i, r := range runs {
			at := &boxWriter{}
			at.u32(uint32(len(w.b)))
			copy(w.b[places[i]:], at.b)
			for _, s := range r.samples {
				w.bytes(s.data)
			}
		}
	})
	return w.b
}
