package playback

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"stationd/agent/station"
	"stationd/video/record"
)

// What the console's own player asks for: an init segment and the fragments behind
// it as one stream of bytes, which is what a browser's media source takes.

// The headers that tell what a stream of media holds.
const (
	headerFrom = "Record-From" // the first picture
	headerTo   = "Record-To"   // ask again from here
)

// writeWithin is how long a client may take for one piece.
const writeWithin = 30 * time.Second

func (p *Playback) serveMedia(w http.ResponseWriter, r *http.Request) error {
	camera, err := cameraOf(r)
	if err != nil {
		return err
	}
	keys := r.URL.Query().Get("keys") == "1"
	most := mostMedia
	if keys {
		most = mostKeys
	}
	from, to, err := spanOf(r, most)
	if err != nil {
		return err
	}
	quiet := r.URL.Query().Get("sound") == "0"
	every := 0
	if text := r.URL.Query().Get("every"); text != "" {
		if every, err = strconv.Atoi(text); err != nil || every < 0 || every > 600_000 {
			return station.Errorf(http.StatusBadRequest, "query.every", "use milliseconds, 0 to 600000", "every=%q cannot be used", short(text)).At("every")
		}
	}
	list := p.playable(camera, from, to)
	if len(list) == 0 {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	first, err := p.rendition(list[0].Init)
	if err != nil {
		return gone(err)
	}
	if quiet {
		first = first.quiet()
	}
	list, until, err := p.alike(list, first, to)
	if err != nil {
		return gone(err)
	}
	release := p.archive.Hold(camera, list[0].Start, list[len(list)-1].End())
	defer release()
	h := w.Header()
	h.Set("Content-Type", first.mediaType())
	h.Set("Cache-Control", "private, no-store")
	h.Set(headerFrom, list[0].Start.UTC().Format(time.RFC3339Nano))
	h.Set(headerTo, until.UTC().Format(time.RFC3339Nano))
	if r.Method == http.MethodHead {
		return nil
	}
	out := &patient{http.NewResponseController(w), w}
	defer out.rest()
	if err := out.write(first.init); err != nil {
		return nil // the client is gone: nothing to tell it
	}
	if keys {
		list = keysOf(list, time.Duration(every)*time.Millisecond)
	}
	return p.stream(r.Context(), out, first, list, keys)
}

// alike cuts the list where the camera's picture changes: what comes then needs
// another init segment, and is asked for anew.
func (p *Playback) alike(list []record.Entry, first *rendition, to time.Time) ([]record.Entry, time.Time, error) {
	for i := 1; i < len(list); i++ {
		if list[i].Init == list[i-1].Init {
			continue
		}
		r, err := p.rendition(list[i].Init)
		if err != nil {
			return nil, to, err
		}
		if first.asked != nil {
			r = r.quiet()
		}
		if string(r.init) != string(first.init) {
			return list[:i], list[i].Start, nil
		}
	}
	if end := list[len(list)-1].End(); to.Sub(end) < gapAtLeast {
		return list, end, nil
	}
	return list, to, nil
}

// keysOf keeps the entries with key pictures, at least so far apart, each lasting
// until the next one, or until the record has a gap.
func keysOf(list []record.Entry, every time.Duration) []record.Entry {
	var out []record.Entry
	for i, e := range list {
		if n := len(out); n > 0 {
			last := &out[n-1]
			if i > 0 && e.Start.Sub(list[i-1].End()) < gapAtLeast {
				last.Duration = e.Start.Sub(last.Start)
				if e.Key && last.Duration < every {
					last.Duration = e.End().Sub(last.Start)
					continue
				}
			}
			if !e.Key {
				last.Duration = e.End().Sub(last.Start)
			}
		}
		if e.Key {
			out = append(out, e)
		}
	}
	return out
}

// stream sends what is listed. What is damaged is left out, with what builds on it.
func (p *Playback) stream(ctx context.Context, out *patient, first *rendition, list []record.Entry, keys bool) error {
	broken := false
	for i, e := range list {
		if ctx.Err() != nil {
			return nil
		}
		if broken && !e.Key {
			continue
		}
		f, err := p.archive.Fragment(e.Init, e.Start)
		if err != nil {
			broken = true
			continue
		}
		var piece []byte
		if keys {
			piece, err = first.key(f, uint32(i+1), e.Duration)
		} else {
			piece, err = first.fragment(f, uint32(i+1))
		}
		if broken = err != nil; broken {
			p.log.Warn("a piece of the record cannot be played", "camera", f.Camera, "at", f.Start, "err", err)
			continue
		}
		if out.write(piece) != nil {
			return nil // the client is gone: nothing to tell it
		}
	}
	return nil
}

// key is the fragment's key picture alone, shown for so long.
func (r *rendition) key(f record.Fragment, sequence uint32, lasts time.Duration) ([]byte, error) {
	runs, err := r.runs(f.Data)
	if err != nil {
		return nil, err
	}
	one := *runs[0]
	one.samples = one.samples[:1:1]
	one.samples[0].duration = uint32(max(lasts.Microseconds()*int64(r.picture.scale)/1e6, 1))
	one.samples[0].shift = 0
	return writeFragment(sequence, []*run{&one}), nil
}

// patient writes to a client that must take each piece within a time: while it
// reads, volumes are kept from being dropped.
type patient struct {
	control *http.ResponseController
	w       http.ResponseWriter
}

func (p *patient) write(b []byte) error {
	if err := p.control.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	_, err := p.w.Write(b)
	return err
}

// rest gives the connection back as it was, for the next request on it.
func (p *patient) rest() {
	_ = p.control.SetWriteDeadline(time.Time{}) // not supported: then none was set
}

// gone turns what the archive says of a volume that was dropped meanwhile into a
// problem for people.
func gone(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := station.AsProblem(err); ok {
		return err
	}
	return errVanished.Because(err)
}

var errVanished = station.Errorf(http.StatusGone, "record.vanished", "choose a newer time; what must stay is to be held as evidence", "this part of the record is gone or cannot be read")
