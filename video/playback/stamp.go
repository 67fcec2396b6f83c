package playback

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"stationd/agent/station"
)

// The station's time in the pictures of an export. It stands in the pixels, so that it
// is there in any player and on any print; for that the pictures must be decoded and
// encoded again, by ffmpeg.

// stamp makes the file anew with the time in its pictures. Where the machine has no
// font the file stays as it is, and says so.
func (p *Playback) stamp(ctx context.Context, x *station.Export, part, sum string, told func(float64)) (string, error) {
	tool, err := decoder()
	if err != nil {
		return "", err
	}
	info, err := os.Stat(part)
	if err != nil {
		return "", err
	}
	if err := p.room(2 * info.Size()); err != nil {
		return "", err
	}
	name := filepath.Base(part)
	text, stamped := name+".txt", name+".mp4"
	defer func() {
		for _, rest := range []string{text, stamped} {
			_ = os.Remove(filepath.Join(p.cfg.Dir, rest)) // tidy would find it
		}
	}()
	// In a file, so that only ffmpeg's own expansion has to be thought of.
	what := fmt.Sprintf(`%%{pts:localtime:%d.%06d:%%Y-%%m-%%d %%H\:%%M\:%%S}`, x.Start.Unix(), x.Start.Nanosecond()/1000)
	if err := os.WriteFile(filepath.Join(p.cfg.Dir, text), []byte(what), 0o600); err != nil {
		return "", fmt.Errorf("write export: %w", full(err))
	}
	var said bytes.Buffer
	cmd := child(ctx, tool, "-hide_banner", "-loglevel", "error", "-nostdin", "-y", "-progress", "pipe:1", "-threads", "1", "-i", name,
		"-vf", "drawtext=textfile="+text+":x=w*0.02:y=h-th-h*0.03:fontsize=h/22:fontcolor=white:box=1:boxcolor=black@0.55:boxborderw=6",
		"-c:v", "libx264", "-preset", "veryfast", "-crf", "21", "-threads", "1", "-fps_mode", "passthrough", "-enc_time_base", "1:90000", "-c:a", "copy", "-movflags", "+faststart", stamped)
	cmd.Dir = p.cfg.Dir
	cmd.Stderr = &said
	cmd.Stdout = &progress{told: told, length: x.End.Sub(x.Start)}
	err = runChild(cmd)
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		if strings.Contains(strings.ToLower(said.String()), "font") {
			p.log.Warn("an export is without the time in its pictures: this machine has no font", "export", x.ID)
			x.Cause = strings.TrimPrefix(x.Cause+"; the time is not in the pictures, because this machine has no font (apt-get install fonts-dejavu-core)", "; ")
			return sum, nil
		}
		cause := fmt.Errorf("ffmpeg: %w: %s", err, bytes.TrimSpace(said.Bytes()[:min(said.Len(), 2000)]))
		if strings.Contains(said.String(), "No space left") {
			return "", station.ErrNoSpace.Because(cause)
		}
		return "", station.Errorf(500, "export.stamp", "export it without the time in the pictures", "ffmpeg could not write the time into the pictures").Because(cause)
	}
	sum, err = sumFile(filepath.Join(p.cfg.Dir, stamped))
	if err != nil {
		return "", err
	}
	x.Stamped = true
	return sum, os.Rename(filepath.Join(p.cfg.Dir, stamped), part)
}

// sumFile forces a file to the disk and sums it up.
func sumFile(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	_, err = io.Copy(sum, f)
	return sumOf(sum), errors.Join(err, f.Sync(), f.Close())
}

// progress reads what ffmpeg tells of how far it is.
type progress struct {
	told   func(float64)
	length time.Duration
	line   []byte
}

func (p *progress) Write(b []byte) (int, error) {
	for _, c := range b {
		if c != '\n' {
			if len(p.line) < 200 {
				p.line = append(p.line, c)
			}
			continue
		}
		if text, ok := strings.CutPrefix(string(p.line), "out_time_us="); ok {
			if us, err := strconv.ParseInt(text, 10, 64); err == nil && p.length > 0 {
				p.told(min(max(float64(us)/float64(p.length.Microseconds()), 0), 1))
			}
		}
		p.line = p.line[:0]
	}
	return len(b), nil
}
