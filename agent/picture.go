package agent

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	_ "image/jpeg" // what a plan may be drawn in
	_ "image/png"  // as above
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	_ "golang.org/x/image/webp" // as above

	"stationd/agent/station"
	"stationd/agent/store"
)

// The picture of a plan is a file named by its content, in a folder of its own: a
// file is there whole or not at all, the record names it afterwards, and what no
// record names is taken away. A picture is decoded once before it is kept, so that
// no browser meets what is none; SVG is refused, for it can carry a program.

const (
	maxPictureBytes  = 8 << 20
	maxPictureSide   = 12_000     // pixels
	maxPicturePixels = 36_000_000 // decoded it takes four bytes each
	pictureMode      = 0o600
)

// pictureTypes are the media types by the decoder's name.
func pictureTypes() map[string]string {
	return map[string]string{"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}
}

var pictureName = regexp.MustCompile(`^[0-9a-f]{64}$`)

// examine tells what a picture is, or why it cannot be one.
func examine(b []byte) (station.Picture, error) {
	refuse := func(hint, format string, args ...any) error {
		return station.Errorf(http.StatusUnprocessableEntity, "picture.invalid", hint, format, args...).At("picture")
	}
	cfg, format, err := image.DecodeConfig(bytes.NewReader(b))
	media := pictureTypes()[format]
	if err != nil || media == "" {
		if head := strings.ToLower(string(b[:min(len(b), 512)])); strings.Contains(head, "<svg") {
			return station.Picture{}, refuse("export the drawing as PNG", "SVG drawings are not taken")
		}
		return station.Picture{}, refuse("use a PNG, JPEG or WebP picture", "this is no picture that can be read")
	}
	if cfg.Width < 16 || cfg.Height < 16 || cfg.Width > maxPictureSide || cfg.Height > maxPictureSide || cfg.Width*cfg.Height > maxPicturePixels {
		return station.Picture{}, refuse("use 16 to 12000 pixels a side, and at most 36 million in all", "the picture has %d × %d pixels", cfg.Width, cfg.Height)
	}
	if _, _, err := image.Decode(bytes.NewReader(b)); err != nil {
		return station.Picture{}, refuse("save it anew in a drawing program", "the picture is damaged")
	}
	sum := sha256.Sum256(b)
	return station.Picture{Digest: hex.EncodeToString(sum[:]), Type: media, Bytes: int64(len(b)), Width: cfg.Width, Height: cfg.Height}, nil
}

// putPicture takes a picture in: read, decoded, on the disk, and then in the record.
func (a *Agent) putPicture(w http.ResponseWriter, r *http.Request) error {
	if _, err := a.plan(r.PathValue("id")); err != nil {
		return err
	}
	if err := a.store.Guard().Check(station.LaneNormal); err != nil {
		return err
	}
	// One at a time: a large one takes much memory, and none is swept away between
	// the file and the record that names it.
	a.pictures.Lock()
	defer a.pictures.Unlock()
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPictureBytes))
	if large := new(http.MaxBytesError); errors.As(err, &large) {
		return station.Errorf(http.StatusRequestEntityTooLarge, "picture.too-large", "make it smaller than 8 MiB", "the picture has more than %d bytes", large.Limit).At("picture")
	} else if err != nil {
		return station.Errorf(http.StatusBadRequest, "body.invalid", "send it again", "the picture did not come whole").Because(err)
	}
	kept, err := a.setPicture(b, func(pic station.Picture, kept *station.Plan) error {
		return a.command(r, station.CommandPutPicture, r.PathValue("id"), pic, kept)
	})
	if err != nil {
		return err
	}
	return station.WriteJSON(w, http.StatusOK, kept)
}

// SetPicture gives a plan its picture, PNG, JPEG or WebP, in somebody's name. It
// returns when both file and record are durable.
func (a *Agent) SetPicture(ctx context.Context, actor station.Actor, plan string, b []byte) (station.Plan, error) {
	a.pictures.Lock()
	defer a.pictures.Unlock()
	return a.setPicture(b, func(pic station.Picture, kept *station.Plan) error {
		body, err := json.Marshal(pic)
		if err != nil {
			return err
		}
		receipt := a.Handle(ctx, station.Command{ID: station.NewID(), Type: station.CommandPutPicture, Subject: plan, Actor: actor, Issued: a.now(), Body: body})
		if receipt.Problem != nil {
			return receipt.Problem
		}
		return json.Unmarshal(receipt.Result, kept)
	})
}

// setPicture keeps the file and has order name it in the record. a.pictures is held.
func (a *Agent) setPicture(b []byte, order func(station.Picture, *station.Plan) error) (kept station.Plan, err error) {
	pic, err := examine(b)
	if err != nil {
		return kept, err
	}
	if err := a.keepPicture(pic.Digest, b); err != nil {
		return kept, err
	}
	if err := order(pic, &kept); err != nil {
		return kept, errors.Join(err, a.sweepPictures())
	}
	if err := a.sweepPictures(); err != nil {
		a.log.Warn("pictures that no plan has were not removed", "err", err)
	}
	return kept, nil
}

// keepPicture writes the file so that after a loss of power there is the whole of
// it or nothing.
func (a *Agent) keepPicture(name string, b []byte) error {
	if a.cfg.Plans == "" {
		return station.Errorf(http.StatusServiceUnavailable, "picture.nowhere", "report it: it is a fault of the program", "there is no folder for pictures")
	}
	if err := os.MkdirAll(a.cfg.Plans, 0o700); err != nil {
		return fmt.Errorf("make the folder of the plans: %w", err)
	}
	root, err := os.OpenRoot(a.cfg.Plans)
	if err != nil {
		return fmt.Errorf("open the folder of the plans: %w", err)
	}
	defer root.Close()
	part := name + ".part"
	f, err := root.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, pictureMode)
	if err != nil {
		return fmt.Errorf("keep a picture: %w", err)
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = root.Rename(part, name)
	}
	if err != nil {
		return fmt.Errorf("keep a picture: %w", errors.Join(err, root.Remove(part)))
	}
	return syncFolder(a.cfg.Plans)
}

// syncFolder makes a rename last. Where folders cannot be synced, on Windows, the
// file system's journal has to do.
func syncFolder(path string) error {
	if filepath.Separator == '\\' {
		return nil
	}
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// hasPicture tells that the bytes of a picture are on the disk.
func (a *Agent) hasPicture(pic station.Picture) error {
	gone := station.Errorf(http.StatusConflict, "picture.gone", "send the picture to the plan's own address", "there is no such picture")
	if !pictureName.MatchString(pic.Digest) || a.cfg.Plans == "" {
		return gone
	}
	f, err := a.openPicture(pic.Digest)
	if err != nil {
		return gone.Because(err)
	}
	return f.Close()
}

func (a *Agent) openPicture(digest string) (*os.File, error) {
	root, err := os.OpenRoot(a.cfg.Plans)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.Open(digest)
}

func (a *Agent) getPicture(w http.ResponseWriter, r *http.Request) error {
	p, err := a.plan(r.PathValue("id"))
	if err != nil {
		return err
	}
	if p.Picture == nil || a.cfg.Plans == "" {
		return station.ErrNotFound.At("plan/" + p.ID + "/picture")
	}
	f, err := a.openPicture(p.Picture.Digest)
	if errors.Is(err, fs.ErrNotExist) {
		return station.Errorf(http.StatusNotFound, "picture.lost", "give the plan its picture again", "the picture of %q is no longer on the disk", p.Name)
	} else if err != nil {
		return err
	}
	defer f.Close()
	h := w.Header()
	h.Set("Content-Type", p.Picture.Type)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Content-Disposition", "inline")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("ETag", `"`+p.Picture.Digest+`"`)
	h.Set("Cache-Control", "private, no-cache")
	if r.URL.Query().Get("v") == p.Picture.Digest {
		h.Set("Cache-Control", "private, max-age=31536000, immutable")
	}
	http.ServeContent(w, r, "", time.Time{}, f)
	return nil
}

// tidyPictures takes away the pictures that no plan has.
func (a *Agent) tidyPictures() error {
	a.pictures.Lock()
	defer a.pictures.Unlock()
	return a.sweepPictures()
}

// sweepPictures is tidyPictures with pictures locked.
func (a *Agent) sweepPictures() error {
	if a.cfg.Plans == "" {
		return nil
	}
	used := map[string]bool{}
	err := a.store.View(func(tx *store.Tx) error {
		return store.Each(tx, planTable, func(_ store.Key, p station.Plan) error {
			if p.Picture != nil {
				used[p.Picture.Digest] = true
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(a.cfg.Plans)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	defer root.Close()
	entries, err := fs.ReadDir(root.FS(), ".")
	for _, e := range entries {
		name := strings.TrimSuffix(e.Name(), ".part")
		if pictureName.MatchString(name) && (name != e.Name() || !used[name]) {
			err = errors.Join(err, root.Remove(e.Name()))
		}
	}
	return err
}
