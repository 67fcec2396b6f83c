package playback

import (
	"bytes"
	"context"
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

func (p *Playback) servePreview(w http.ResponseWriter, r *http.Request) error {
	e, data, err := p.stillOf(r)
	if err != nil {
		return err
	}
	w.Header().Set(headerAt, e.Start.UTC().Format(time.RFC3339Nano))
	serveBytes(w, r, "video/mp4", fmt.Sprintf("%d-%d", e.Init.Volume, e.Start.UnixNano()), data)
	return nil
}

func (p *Playback) stillOf(r *http.Request) (record.Entry, []byte, error) {
	camera, err := cameraOf(r)
	if err != nil {
		return record.Entry{}, nil, err
	}
	at, err := needTime(r, "at")
	if err != nil {
		return record.Entry{}, nil, err
	}
	return p.still(camera, at)
}

// decodeWithin is how long the decoder may take for one picture.
const decodeWithin = 10 * time.Second

func (p *Playback) serveSnapshot(w http.ResponseWriter, r *http.Request) error {
	tool, err := decoder()
	if err != nil {
		return err
	}
	e, data, err := p.stillOf(r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), decodeWithin)
	defer cancel()
	select {
	case p.decode <- struct{}{}:
		defer func() { <-p.decode }()
	case <-ctx.Done():
		return station.Errorf(http.StatusServiceUnavailable, "snapshot.busy", "try again in a moment", "the decoder has too much to do")
	}
	var picture, said bytes.Buffer
	cmd := child(ctx, tool, "-hide_banner", "-loglevel", "error", "-threads", "1", "-i", "pipe:0", "-frames:v", "1", "-c:v", "mjpeg", "-q:v", "3", "-pix_fmt", "yuvj420p", "-f", "image2pipe", "pipe:1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(data), &picture, &said
	if err := runChild(cmd); err != nil || picture.Len() == 0 {
		return station.Errorf(http.StatusBadGateway, "snapshot.failed", "ask for the picture as MP4 (preview), which needs no decoder", "the decoder could not read the picture").
			Because(fmt.Errorf("ffmpeg: %w: %s", err, bytes.TrimSpace(said.Bytes())))
	}
	w.Header().Set(headerAt, e.Start.UTC().Format(time.RFC3339Nano))
	serveBytes(w, r, "image/jpeg", fmt.Sprintf("%d-%d.jpg", e.Init.Volume, e.Start.UnixNano()), picture.Bytes())
	return nil
}

// decoder is where ffmpeg is.
func decoder() (string, error) {
	path, err := exec.LookPath("ffmpeg")
	if err != nil {
		return "", station.Errorf(http.StatusNotImplemented, "decoder.missing", "install ffmpeg on the station's PC (apt-get install ffmpeg), or ask for the picture as MP4 (preview)", "this needs ffmpeg, which is not on this machine").Because(err)
	}
	return path, nil
}
