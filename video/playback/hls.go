package playback

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"stationd/agent/station"
	"stationd/video/record"
)

// HLS (RFC 8216) for every other player. A segment is a fragment of the record; its
// name says where it lies, so that nothing has to be remembered between requests.

const (
	playlistType = "application/vnd.apple.mpegurl"
	// liveBehind is how far behind the newest picture a live playlist begins.
	liveBehind = 20 * time.Second
	// liveWait is how long a playlist waits for a camera that is silent before it
	// ends.
	liveWait = time.Minute
	// indexStep is how much of the index is read between two looks at whether the
	// client is still there.
	indexStep = 15 * time.Minute
)

func (p *Playback) servePlaylist(w http.ResponseWriter, r *http.Request) error {
	camera, err := cameraOf(r)
	if err != nil {
		return err
	}
	from, given, err := timeOf(r, "from")
	if err != nil {
		return err
	}
	now := p.now()
	if !given {
		// A playlist that grows must keep its beginning: it is fixed in the address.
		from := now.Add(-liveBehind).UTC().Truncate(time.Second)
		w.Header().Set("Cache-Control", "no-store")
		http.Redirect(w, r, "playlist.m3u8?from="+url.QueryEscape(from.Format(time.RFC3339)), http.StatusTemporaryRedirect)
		return nil
	}
	to, ends, err := timeOf(r, "to")
	if err != nil {
		return err
	}
	if !ends {
		to = from.Add(mostPlaylist)
	}
	if err := checkSpan(from, to, mostPlaylist); err != nil {
		return err
	}
	list, err := p.listed(r.Context(), camera, from, to)
	if err != nil {
		return err
	}
	grows := to.After(now) && from.Before(now.Add(liveWait))
	if n := len(list); grows && n > 0 && now.Sub(list[n-1].End()) > liveWait || grows && n == 0 && now.Sub(from) > liveWait {
		grows = false
	}
	if len(list) == 0 && !grows {
		return errNone
	}
	text, err := p.playlist(list, grows)
	if err != nil {
		return gone(err)
	}
	w.Header().Set("Content-Type", playlistType)
	w.Header().Set("Cache-Control", "private, no-store")
	_, _ = w.Write(text) // the client is gone: nothing to tell it
	return nil
}

var errNone = station.Errorf(http.StatusNotFound, "record.none", "look at the camera's timeline for what there is", "the camera has no picture there")

// listed reads the index in steps, so that a client that leaves is noticed.
func (p *Playback) listed(ctx context.Context, camera string, from, to time.Time) ([]record.Entry, error) {
	end := earlier(from.Add(indexStep), to)
	list := p.playable(camera, from, end)
	for at := end; at.Before(to); at = end {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		end = earlier(at.Add(indexStep), to)
		for _, e := range p.archive.Index(camera, at, end) {
			if e.Start.Before(at) || len(list) == 0 && !e.Key {
				continue // listed already, or nothing to begin with
			}
			list = append(list, e)
		}
	}
	return list, nil
}

func (p *Playback) playlist(list []record.Entry, grows bool) ([]byte, error) {
	var body bytes.Buffer
	longest, independent := 1.0, true
	var current *rendition
	for i, e := range list {
		r := current
		if i == 0 || e.Init != list[i-1].Init {
			var err error
			if r, err = p.rendition(e.Init); err != nil {
				return nil, err
			}
		}
		other := current == nil || r != current && !bytes.Equal(r.init, current.init)
		gap := i > 0 && e.Start.Sub(list[i-1].End()).Abs() >= gapAtLeast
		if i > 0 && (gap || other) {
			body.WriteString("#EXT-X-DISCONTINUITY\n")
		}
		if other {
			fmt.Fprintf(&body, "#EXT-X-MAP:URI=\"init/%d-%d.mp4\"\n", e.Init.Volume, e.Init.Generation)
			current = r
		}
		if i == 0 || gap || other {
			fmt.Fprintf(&body, "#EXT-X-PROGRAM-DATE-TIME:%s\n", e.Start.UTC().Format("2006-01-02T15:04:05.000Z"))
		}
		// Until the next one begins: what is between two fragments that follow each
		// other must not add up.
		lasts := e.Duration
		if i+1 < len(list) {
			if d := list[i+1].Start.Sub(e.Start); d > 0 && (d-e.Duration).Abs() < gapAtLeast {
				lasts = d
			}
		}
		independent = independent && e.Key
		longest = max(longest, lasts.Seconds())
		fmt.Fprintf(&body, "#EXTINF:%.5f,\nsegment/%d-%d-%d.m4s\n", lasts.Seconds(), e.Init.Volume, e.Init.Generation, e.Start.UnixNano())
	}
	var head bytes.Buffer
	fmt.Fprintf(&head, "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:%d\n", int(math.Ceil(longest)))
	if grows {
		head.WriteString("#EXT-X-PLAYLIST-TYPE:EVENT\n")
	} else {
		head.WriteString("#EXT-X-PLAYLIST-TYPE:VOD\n")
		body.WriteString("#EXT-X-ENDLIST\n")
	}
	if independent {
		head.WriteString("#EXT-X-INDEPENDENT-SEGMENTS\n")
	}
	head.WriteString("#EXT-X-MEDIA-SEQUENCE:0\n")
	return append(head.Bytes(), body.Bytes()...), nil
}

// numbersOf takes "12-1-1764577.m4s" apart: so many numbers and the ending.
func numbersOf(name, ending string, most int) ([]int64, error) {
	text, ok := strings.CutSuffix(name, ending)
	parts := strings.Split(text, "-")
	if !ok || len(parts) != most {
		return nil, station.ErrNotFound.At(short(name))
	}
	out := make([]int64, most)
	for i, x := range parts {
		n, err := strconv.ParseInt(x, 10, 64)
		if err != nil || n < 0 || strconv.FormatInt(n, 10) != x {
			return nil, station.ErrNotFound.At(short(name))
		}
		out[i] = n
	}
	return out, nil
}

func (p *Playback) initOf(r *http.Request, ending string, numbers int) (record.InitID, []int64, error) {
	camera, err := cameraOf(r)
	if err != nil {
		return record.InitID{}, nil, err
	}
	n, err := numbersOf(r.PathValue("name"), ending, numbers)
	if err != nil || n[1] > math.MaxUint32 {
		return record.InitID{}, nil, station.ErrNotFound.At(short(r.PathValue("name")))
	}
	return record.InitID{Volume: uint64(n[0]), Camera: camera, Generation: uint32(n[1])}, n, nil
}

func (p *Playback) serveInit(w http.ResponseWriter, r *http.Request) error {
	id, _, err := p.initOf(r, ".mp4", 2)
	if err != nil {
		return err
	}
	one, err := p.rendition(id)
	if err != nil {
		return gone(err)
	}
	serveBytes(w, r, one.mediaType(), r.PathValue("name"), one.init)
	return nil
}

func (p *Playback) serveSegment(w http.ResponseWriter, r *http.Request) error {
	id, n, err := p.initOf(r, ".m4s", 3)
	if err != nil {
		return err
	}
	one, err := p.rendition(id)
	if err != nil {
		return gone(err)
	}
	f, err := p.archive.Fragment(id, time.Unix(0, n[2]))
	if err != nil {
		return gone(err)
	}
	if f.Init != id {
		return station.ErrNotFound.At(short(r.PathValue("name")))
	}
	data, err := one.fragment(f, 1)
	if err != nil {
		return gone(err)
	}
	serveBytes(w, r, "video/mp4", r.PathValue("name"), data)
	return nil
}

// serveBytes answers with what never changes. Who may see it does, so that whoever
// keeps it asks again.
func serveBytes(w http.ResponseWriter, r *http.Request, kind, tag string, data []byte) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("ETag", strconv.Quote(tag))
	h.Set("Cache-Control", "private, no-cache")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}
