//go:build linux

package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"stationd/video/peer/peertest"
)

// Looking at pictures: live ones as a browser gets them, and films; both are
// given to ffmpeg, which is not ours and complains about everything.

const ffmpegPackages = "apt-get install -y --no-install-recommends ffmpeg"

// screen is a browser that shows one camera.
type screen struct {
	viewer *peertest.Viewer

	mu     sync.Mutex
	whole  int       // pictures without a hole
	broken int       // pictures with one
	first  time.Time // arrival of the first
	stream []byte    // what came, from the first key picture on
	at     []time.Time
}

// watch shows a camera over WHEP until the test ends.
func (d *desk) watch(camera string) *screen {
	d.t.Helper()
	s := &screen{}
	var err error
	s.viewer, err = peertest.New(peertest.Config{Repair: true, Loopback: true, OnPicture: s.show})
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(s.viewer.Close)
	ctx, cancel := context.WithTimeout(d.t.Context(), 20*time.Second)
	defer cancel()
	if err := s.viewer.Watch(ctx, d.http, d.base+"/api/v1/cameras/"+camera+"/whep"); err != nil {
		d.t.Fatalf("watch %s at %s: %v", camera, d.base, err)
	}
	return s
}

func (s *screen) show(p peertest.Picture) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.whole+s.broken == 0 {
		s.first = p.At
	}
	if !p.Whole {
		s.broken++
		return
	}
	s.whole++
	if len(s.stream) == 0 && !p.Key {
		return
	}
	for _, nalu := range p.NALUs {
		s.stream = append(append(s.stream, 0, 0, 0, 1), nalu...)
	}
	s.at = append(s.at, p.At)
}

// pictures is how many have come, whole ones and others.
func (s *screen) pictures() (whole, broken int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.whole, s.broken
}

// awaitPictures waits for so many more.
func (s *screen) awaitPictures(t *testing.T, what string, more int) {
	t.Helper()
	before, _ := s.pictures()
	eventually(t, 20*time.Second, what, func() error {
		if whole, broken := s.pictures(); whole < before+more {
			return fmt.Errorf("%d pictures more, %d broken", whole-before, broken)
		}
		return nil
	})
}

// hangUp closes the page and returns what it showed, as H.264, with the times at
// which the pictures came.
func (s *screen) hangUp() (stream []byte, at []time.Time) {
	s.viewer.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stream, s.at
}

// decode lets ffmpeg decode each picture of a film and returns what it makes of
// them; it fails at the first thing that ffmpeg does not like.
func decode(t *testing.T, stream []byte, input []string, output ...string) []byte {
	t.Helper()
	args := append([]string{"-v", "warning", "-xerror", "-err_detect", "explode"}, input...)
	// No picture is left out or shown twice for the sake of an even rate.
	args = append(args, "-map", "0:v", "-fps_mode", "passthrough", "-enc_time_base", "-1")
	cmd := exec.Command("ffmpeg", append(append(args, output...), "-")...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stream), &out, &errs
	if err := cmd.Run(); err != nil || errs.Len() > 0 {
		t.Fatalf("%s: %v\n%s(if it is missing: %s)", cmd, err, errs.Bytes(), ffmpegPackages)
	}
	return out.Bytes()
}

// decodedPictures is how many pictures ffmpeg makes of a film.
func decodedPictures(t *testing.T, stream []byte, input ...string) int {
	t.Helper()
	out := decode(t, stream, input, "-f", "framecrc") // a line of text for each picture
	n := 0
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, "#") {
			n++
		}
	}
	return n
}

// film is what ffprobe says of a file.
type film struct {
	duration time.Duration
	pictures []time.Duration // when each is shown
	longest  time.Duration   // from one picture to the next
}

func probe(t *testing.T, file string) film {
	t.Helper()
	cmd := exec.Command("ffprobe", "-v", "warning", "-select_streams", "v:0", "-show_entries", "format=duration:packet=pts_time", "-of", "json", file)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil || errs.Len() > 0 {
		t.Fatalf("%s: %v\n%s(if it is missing: %s)", cmd, err, errs.Bytes(), ffmpegPackages)
	}
	var found struct {
		Format  struct{ Duration string }
		Packets []struct {
			PTS string `json:"pts_time"`
		}
	}
	if err := json.Unmarshal(out.Bytes(), &found); err != nil {
		t.Fatal(err)
	}
	f := film{duration: seconds(t, found.Format.Duration)}
	for i, p := range found.Packets {
		f.pictures = append(f.pictures, seconds(t, p.PTS))
		if i > 0 {
			f.longest = max(f.longest, f.pictures[i]-f.pictures[i-1])
		}
	}
	if n := decodedPictures(t, nil, "-i", file); n != len(f.pictures) || n == 0 {
		t.Errorf("%s has %d pictures, %d can be decoded", file, len(f.pictures), n)
	}
	return f
}

func seconds(t *testing.T, text string) time.Duration {
	t.Helper()
	s, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatalf("%q is no number of seconds", text)
	}
	return time.Duration(s * float64(time.Second))
}
