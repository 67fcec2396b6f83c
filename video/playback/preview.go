package playback

import (
	"fmt"
	"net/http"
	"os/exec"
	"time"

	"stationd/agent/station"
	"stationd/video/record"
)

// A moment as one picture: the key picture before it, as a film of one picture, which
// needs no decoder here, or as JPEG where there is one.

const headerAt = "Record-At" // when the picture was taken

// still is the key picture that stands for a moment.
func (p *Playback) still(camera string, at time.Time) (record.Entry, []byte, error) {
	list := p.playable(camera, at, at.Add(time.Millisecond))
	if len(list) == 0 || list[0].Start.After(at) {
		return record.Entry{}, nil, errNone
	}
	e := list[0]
	r, runs, err := p.runsOf(e.Init, e.Start)
	if err != nil {
		return e, nil, gone(err)
	}
	one := *runs[0]
	one.samples = one.samples[:1:1]
	one.samples[0].shift = 0
	one.samples[0].duration = r.picture.scale / 25
	e.Duration = time.Second / 25
	f := newFilm(e.End())
	f.add(r, e, []*run{&one})
	f.end()
	return e, append(f.head(), one.samples[0].data...), nil
}

// newest is the last key picture of a camera that is being recorded.
func (p *Playback) newest(camera string) (record.Entry, []byte, error) {
	now := p.now()
	spans, _ := p.archive.Timeline(camera, now.Add(-justNow), now.Add(time.Second))
	if len(spans) == 0 {
		return record.Entry{}, nil, errNotNow
	}
	return p.still(camera, spans[len(spans)-1].To.Add(-time.Millisecond))
}

var errNotNow = station.Errorf(http.StatusNotFound, "snapshot.none", "look whether the camera is there and is recorded; name a moment with at", "there is no picture of this moment")

func (p *Playback) servePreview(w http.ResponseWriter, r *http.Request) error {
	e, data, err := p.stillOf(r, false)
	if err != nil {
		return err
	}
	w.Header().Set(headerAt, e.Start.UTC().Format(time.RFC3339Nano))
	serveBytes(w, r, "video/mp4", fmt.Sprintf("%d-%d", e.Init.Volume, e.Start.UnixNano()), data)
	return nil
}

// stillOf is the picture that a request names; without a moment it is the newest, if
// that may be.
func (p *Playback) stillOf(r *http.Request, newest bool) (record.Entry, []byte, error) {
	camera, err := cameraOf(r)
	if err != nil {
		return record.Entry{}, nil, err
	}
	if newest && !r.URL.Query().Has("at") {
		return p.newest(camera)
	}
	at, err := needTime(r, "at")
	if err != nil {
		return record.Entry{}, nil, err
	}
	return p.still(camera, at)
}

// decoder is where ffmpeg is.
func decoder() (string, error) {
	path, err := exec.LookPath("ffmpeg")
	if err != nil {
		return "", station.Errorf(http.StatusNotImplemented, "decoder.missing", "install ffmpeg on the station's PC (apt-get install ffmpeg), or ask for the picture as MP4 (preview)", "this needs ffmpeg, which is not on this machine").Because(err)
	}
	return path, nil
}
