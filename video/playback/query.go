package playback

import (
	"net/http"
	"sort"
	"strings"
	"time"

	"stationd/agent/station"
	"stationd/video/record"
)

// What the routes are asked with. Whatever cannot be used is refused with the
// parameter's name and how to write it.

// The bounds of one question.
const (
	mostTimeline = 32 * 24 * time.Hour
	mostPlaylist = 6 * time.Hour
	mostMedia    = time.Minute
	mostKeys     = 2 * time.Hour
)

// timeOf reads a parameter that is a time; ok is false where it is not given.
func timeOf(r *http.Request, name string) (at time.Time, ok bool, err error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return time.Time{}, false, nil
	}
	// A plus that was not escaped arrives as a space.
	at, err = time.Parse(time.RFC3339Nano, strings.ReplaceAll(text, " ", "+"))
	if err != nil || at.Year() < 1970 || at.Year() > 2200 {
		return time.Time{}, false, station.Errorf(http.StatusBadRequest, "query.time", "write a time as 2026-11-03T10:20:00+08:00", "%s=%q is no time that can be used", name, short(text)).At(name)
	}
	return at, true, nil
}

func short(text string) string {
	if len(text) > 60 {
		return text[:60] + "…"
	}
	return text
}

// needTime is timeOf for what must be given.
func needTime(r *http.Request, name string) (time.Time, error) {
	at, ok, err := timeOf(r, name)
	if err == nil && !ok {
		err = station.Errorf(http.StatusBadRequest, "query.time", "write a time as 2026-11-03T10:20:00+08:00", "%s is missing", name).At(name)
	}
	return at, err
}

// spanOf reads from and to, at most so long.
func spanOf(r *http.Request, most time.Duration) (from, to time.Time, err error) {
	if from, err = needTime(r, "from"); err != nil {
		return from, to, err
	}
	if to, err = needTime(r, "to"); err != nil {
		return from, to, err
	}
	return from, to, checkSpan(from, to, most)
}

func checkSpan(from, to time.Time, most time.Duration) error {
	switch d := to.Sub(from); {
	case d <= 0:
		return station.Errorf(http.StatusBadRequest, "query.span", "give a to that is later than from", "the span ends before it begins").At("to")
	case d > most:
		return station.Errorf(http.StatusBadRequest, "query.span", "ask for at most "+most.String()+" at a time", "the span lasts %s", d.Round(time.Second)).At("to")
	}
	return nil
}

// cameraOf is the camera of the path.
func cameraOf(r *http.Request) (string, error) {
	id := r.PathValue("id")
	if id == "" || len(id) > 200 || strings.ContainsAny(id, "\x00/") {
		return "", station.Errorf(http.StatusBadRequest, "camera.id", "use the ID of a camera from /api/v1/cameras", "%q cannot be the ID of a camera", short(id)).At("id")
	}
	return id, nil
}

// gapAtLeast is what counts as a gap: the same as in the record.
const gapAtLeast = 500 * time.Millisecond

// How far before a moment a key picture is looked for: first near, then as far as
// any camera goes.
var lookBack = [...]time.Duration{5 * time.Second, time.Minute}

// playable lists what must be read to show what was at from, and goes on to to: it
// begins at the key picture before from, or at the first one after it where there
// was no picture then.
func (p *Playback) playable(camera string, from, to time.Time) []record.Entry {
	for _, back := range lookBack {
		list := p.archive.Index(camera, from.Add(-back), to)
		i, sure := begin(list, from)
		if sure || back == lookBack[len(lookBack)-1] {
			return list[i:]
		}
	}
	return nil
}

// begin is where to begin in the list. It is not sure when the key picture may lie
// before the list.
func begin(list []record.Entry, from time.Time) (at int, sure bool) {
	here := sort.Search(len(list), func(i int) bool { return list[i].Start.After(from) }) - 1
	sure = true
	if here >= 0 && list[here].End().After(from.Add(-gapAtLeast)) {
		for i := here; ; i-- {
			if list[i].Key {
				return i, true
			}
			if i == 0 {
				sure = false
				break
			}
			if list[i].Start.Sub(list[i-1].End()) >= gapAtLeast {
				break
			}
		}
	}
	for at = here + 1; at < len(list) && !list[at].Key; at++ {
	}
	return at, sure
}
