package sound

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// The output, by the programs of alsa-utils.

// errHangs is of an output that takes samples and never plays them.
var errHangs = errors.New("the output does not play what it is given")

// alsa is one device.
type alsa struct {
	device, mixer string
}

func newALSA(cfg Config) alsa {
	a := alsa{cfg.Device, cfg.Mixer}
	if a.device == "" {
		a.device = "default"
	}
	if a.mixer == "" {
		a.mixer = a.device
		if _, card, ok := strings.Cut(a.device, ":"); ok { // plughw:1,0 → hw:1
			card, _, _ = strings.Cut(card, ",")
			a.mixer = "hw:" + strings.TrimPrefix(card, "CARD=")
		}
	}
	return a
}

// play plays the phrase and returns when it has been heard, or at once with the
// reason. When ctx ends it falls silent.
func (a alsa) play(ctx context.Context, p Phrase, volume float64) error {
	limit, cancel := context.WithTimeout(ctx, 2*p.Length()+10*time.Second)
	defer cancel()
	_, err := run(limit, p.Samples(volume), "aplay", "-q", "-D", a.device, "-t", "raw", "-f", "S16_LE", "-r", strconv.Itoa(rate), "-c", strconv.Itoa(channels), "-")
	if err != nil && ctx.Err() == nil && limit.Err() != nil {
		return errHangs
	}
	return err
}

// muted asks the mixer. A device without one, a digital output, cannot be muted
// by it.
func (a alsa) muted(ctx context.Context) bool {
	if a.mixer == "none" {
		return false
	}
	limit, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	out, err := run(limit, nil, "amixer", "-D", a.mixer, "scontents")
	return err == nil && mutedBy(string(out))
}

// run runs a program of alsa-utils; an error is what it said.
func run(ctx context.Context, in []byte, name string, args ...string) ([]byte, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return nil, fmt.Errorf("%s is not installed (package alsa-utils)", name)
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.WaitDelay = 2 * time.Second
	cmd.Stdin = bytes.NewReader(in)
	var said, out tail
	cmd.Stderr, cmd.Stdout = &said, &out
	if err := cmd.Run(); err != nil {
		if text := strings.TrimSpace(string(said.text)); text != "" {
			return nil, errors.New(lastLine(text))
		}
		return nil, err
	}
	return out.text, nil
}

func lastLine(text string) string {
	lines := strings.Split(text, "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// tail keeps the beginning of what a program says, 64 KiB of it.
type tail struct{ text []byte }

func (t *tail) Write(b []byte) (int, error) {
	t.text = append(t.text, b[:min(len(b), 64<<10-len(t.text))]...)
	return len(b), nil
}

var (
	control = regexp.MustCompile(`^Simple mixer control '([^']*)'`)
	percent = regexp.MustCompile(`\[(\d+)%\]`)
)

// faint is the volume, in percent of the mixer's scale, up to which nobody in a
// room hears anything.
const faint = 5

// mutedBy reads what amixer says of its controls: muted is what Master or PCM
// keeps silent on every channel. Headphones and loudspeakers have controls too,
// of which one is off as a rule.
func mutedBy(text string) bool {
	name := ""
	heard, silent := map[string]bool{}, map[string]bool{}
	for line := range strings.Lines(text) {
		if m := control.FindStringSubmatch(line); m != nil {
			name = m[1]
			continue
		}
		_, rest, ok := strings.Cut(line, ": ")
		playback := strings.Contains(rest, "Playback") || !strings.Contains(rest, "Capture")
		if name != "Master" && name != "PCM" || !ok || !playback || !strings.Contains(rest, "[") {
			continue
		}
		quiet := strings.Contains(rest, "[off]")
		if m := percent.FindStringSubmatch(rest); m != nil {
			n, _ := strconv.Atoi(m[1]) // it is digits
			quiet = quiet || n <= faint
		}
		heard[name], silent[name] = heard[name] || !quiet, silent[name] || quiet
	}
	for name := range silent {
		if !heard[name] {
			return true
		}
	}
	return false
}
