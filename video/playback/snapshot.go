package playback

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"

	"stationd/agent/station"
	"stationd/video/record"
)

// A still picture comes from whoever has the best: of this moment the camera itself,
// where it gives one; else the record's key picture, as JPEG where the machine has a
// decoder, and as a film of one picture where it has none.

// headerFromWhom tells whose picture it is: fromCamera, fromDecoder or fromRecord.
const headerFromWhom = "Picture-Source"

const (
	fromCamera  = "camera"
	fromDecoder = "ffmpeg"
	fromRecord  = "record" // MP4 of one picture
)

const (
	// cameraWithin is how long a camera may take for its own picture: behind it
	// somebody waits, and the record has one.
	cameraWithin = 4 * time.Second
	// decodeWithin is how long the decoder may take for one picture.
	decodeWithin = 10 * time.Second
	// justNow is how old the newest key picture of the record may be to stand for
	// this moment.
	justNow = 15 * time.Second
)

// serveSnapshot answers with the best picture that there is.
func (p *Playback) serveSnapshot(w http.ResponseWriter, r *http.Request) error {
	if p.serveCameraPicture(w, r) {
		return nil
	}
	e, data, err := p.stillOf(r, true)
	if err != nil {
		return err
	}
	if _, err := decoder(); err != nil {
		return servePicture(w, r, e, fromRecord, "video/mp4", data)
	}
	picture, err := p.decodePicture(r.Context(), data)
	if err != nil {
		p.log.Warn("a picture could not be decoded; it is given as a film", "camera", e.Init.Camera, "err", err)
		return servePicture(w, r, e, fromRecord, "video/mp4", data)
	}
	return servePicture(w, r, e, fromDecoder, "image/jpeg", picture)
}

// serveJPEG answers with a JPEG or not at all.
func (p *Playback) serveJPEG(w http.ResponseWriter, r *http.Request) error {
	if p.serveCameraPicture(w, r) {
		return nil
	}
	if _, err := decoder(); err != nil {
		return err
	}
	e, data, err := p.stillOf(r, true)
	if err != nil {
		return err
	}
	picture, err := p.decodePicture(r.Context(), data)
	if err != nil {
		return err
	}
	return servePicture(w, r, e, fromDecoder, "image/jpeg", picture)
}

// serveCameraPicture answers with the camera's own picture, if it is of this moment
// that one is asked for and the camera gives one.
func (p *Playback) serveCameraPicture(w http.ResponseWriter, r *http.Request) bool {
	if r.URL.Query().Has("at") || p.snapshot == nil {
		return false
	}
	camera, err := cameraOf(r)
	if err != nil {
		return false // told by the other way
	}
	ctx, cancel := context.WithTimeout(r.Context(), cameraWithin)
	defer cancel()
	select {
	case p.fetch <- struct{}{}:
		defer func() { <-p.fetch }()
	case <-ctx.Done():
		return false
	}
	picture, kind, err := p.snapshot(ctx, camera)
	if err != nil || kind != "image/jpeg" {
		p.log.Debug("the camera gives no picture of its own", "camera", camera, "kind", kind, "err", err)
		return false
	}
	h := w.Header()
	h.Set(headerFromWhom, fromCamera)
	h.Set(headerAt, p.now().UTC().Format(time.RFC3339Nano))
	h.Set("Content-Type", kind)
	h.Set("Cache-Control", "private, no-store")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(picture))
	return true
}

func servePicture(w http.ResponseWriter, r *http.Request, e record.Entry, whose, kind string, data []byte) error {
	w.Header().Set(headerFromWhom, whose)
	w.Header().Set(headerAt, e.Start.UTC().Format(time.RFC3339Nano))
	serveBytes(w, r, kind, fmt.Sprintf("%d-%d-%s", e.Init.Volume, e.Start.UnixNano(), whose), data)
	return nil
}

// decodePicture makes a JPEG of a film of one picture.
func (p *Playback) decodePicture(ctx context.Context, film []byte) ([]byte, error) {
	tool, err := decoder()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, decodeWithin)
	defer cancel()
	select {
	case p.decode <- struct{}{}:
		defer func() { <-p.decode }()
	case <-ctx.Done():
		return nil, station.Errorf(http.StatusServiceUnavailable, "snapshot.busy", "try again in a moment", "the decoder has too much to do")
	}
	var picture, said bytes.Buffer
	cmd := child(ctx, tool, "-hide_banner", "-loglevel", "error", "-threads", "1", "-i", "pipe:0", "-frames:v", "1", "-c:v", "mjpeg", "-q:v", "3", "-pix_fmt", "yuvj420p", "-f", "image2pipe", "pipe:1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(film), &picture, &said
	if err := runChild(cmd); err != nil || picture.Len() == 0 {
		return nil, station.Errorf(http.StatusBadGateway, "snapshot.failed", "ask for the picture as MP4 (preview), which needs no decoder", "the decoder could not read the picture").
			Because(fmt.Errorf("ffmpeg: %w: %s", err, bytes.TrimSpace(said.Bytes())))
	}
	return picture.Bytes(), nil
}
