package playback

import (
	"fmt"
	"strings"

	"stationd/video/record"
)

// rendition is a generation of a camera's record as it is sent: its picture, and
// its sound in a form that browsers play.
type rendition struct {
	tracks  []*track // as stored
	picture *track
	sound   *track // as sent; nil where there is none that can be played
	pcm     *pcm   // of the sound as stored, where it is repacked
	// init is the init segment, codecs what a browser is asked for with it.
	init   []byte
	codecs string
	asIs   bool // fragments can be sent as they are stored
	// asked is the rendition that this one is without its sound.
	asked *rendition
}

// quiet is the rendition without sound.
func (r *rendition) quiet() *rendition {
	if r.asked != nil {
		return r
	}
	q := *r
	q.asked, q.sound, q.pcm, q.codecs = r, nil, nil, codecName(r.picture)
	q.init = writeInit([]*track{r.picture})
	q.asIs = len(r.tracks) == 1
	return &q
}

func newRendition(segment []byte) (*rendition, error) {
	tracks, err := readInit(segment)
	if err != nil {
		return nil, err
	}
	r := &rendition{tracks: tracks, asIs: true}
	for _, t := range tracks {
		switch {
		case !t.sound && r.picture == nil:
			r.picture = t
		case t.sound && r.sound == nil && codecName(t) != "":
			r.sound = t
		case t.sound && r.sound == nil && pcmOf(t) != nil:
			r.pcm, r.asIs = pcmOf(t), false
			packed := *t
			packed.entry = flacEntry(r.pcm.rate, r.pcm.channels)
			r.sound = &packed
		default:
			r.asIs = false // left out
		}
	}
	if r.picture == nil {
		return nil, fmt.Errorf("read init segment: %w: no picture", errBox)
	}
	names := []string{codecName(r.picture)}
	sent := []*track{r.picture}
	if r.sound != nil {
		sent, names = append(sent, r.sound), append(names, codecName(r.sound))
	}
	r.codecs = strings.Join(names, ", ")
	r.init = writeInit(sent)
	return r, nil
}

// mediaType is what the rendition's segments are served as.
func (r *rendition) mediaType() string { return fmt.Sprintf("video/mp4; codecs=%q", r.codecs) }

// runs takes a stored fragment apart: the picture first, then the sound as it is
// sent. A fragment without a picture has none that can be sent.
func (r *rendition) runs(data []byte) ([]*run, error) {
	stored, err := readFragment(data, r.tracks)
	if err != nil {
		return nil, err
	}
	var out []*run
	for _, x := range stored {
		if x.track == r.picture.id {
			out = append([]*run{x}, out...)
			continue
		}
		if r.sound == nil || x.track != r.sound.id {
			continue
		}
		if r.pcm != nil {
			x = r.pack(x)
		}
		if len(x.samples) > 0 {
			out = append(out, x)
		}
	}
	if len(out) == 0 || out[0].track != r.picture.id {
		return nil, fmt.Errorf("read fragment: %w: no picture", errBox)
	}
	return out, nil
}

// pack makes FLAC of a run of PCM, however long its samples are: frames of about a
// tenth of a second.
func (r *rendition) pack(x *run) *run {
	each := r.pcm.bytes * r.pcm.channels
	var all []byte
	for _, s := range x.samples {
		all = append(all, s.data[:len(s.data)/each*each]...)
	}
	out := &run{track: x.track, base: x.base}
	size := max(int(r.pcm.rate)/10, 16) * each
	at := x.base * uint64(r.pcm.rate) / uint64(r.sound.scale)
	for len(all) > 0 {
		n := min(size, len(all))
		if len(all)-n < 16*each {
			n = len(all)
		}
		count := uint64(n / each)
		out.samples = append(out.samples, sample{
			duration: uint32(count * uint64(r.sound.scale) / uint64(r.pcm.rate)), sync: true, data: r.pcm.flac(all[:n], at),
		})
		at += count
		all = all[n:]
	}
	return out
}

// fragment is a stored fragment as it is sent.
func (r *rendition) fragment(f record.Fragment, sequence uint32) ([]byte, error) {
	if r.asIs {
		return f.Data, nil
	}
	runs, err := r.runs(f.Data)
	if err != nil {
		return nil, err
	}
	return writeFragment(sequence, runs), nil
}

// mostRenditions bounds what is remembered; each has some kilobytes.
const mostRenditions = 256

// rendition is the one that a fragment names.
func (p *Playback) rendition(id record.InitID) (*rendition, error) {
	p.mu.Lock()
	r := p.renditions[id]
	p.mu.Unlock()
	if r != nil {
		return r, nil
	}
	segment, err := p.archive.Init(id)
	if err != nil {
		return nil, err
	}
	if r, err = newRendition(segment); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.renditions) >= mostRenditions {
		clear(p.renditions)
	}
	p.renditions[id] = r
	return r, nil
}
