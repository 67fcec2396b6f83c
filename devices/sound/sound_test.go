//go:build linux

package sound_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"stationd/agent/station"
	"stationd/devices/sound"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tape is an ALSA device that writes what it hears into files.
type tape struct {
	t    *testing.T
	dir  string
	conf string
}

// newTape makes ALSA see one device, "tape", and nothing of this machine.
func newTape(t *testing.T) *tape {
	t.Helper()
	if _, err := exec.LookPath("aplay"); err != nil {
		t.Fatal("aplay is missing; .ci/deps installs it")
	}
	d := &tape{t: t, dir: t.TempDir()}
	d.conf = filepath.Join(d.dir, "asound.conf")
	t.Setenv("ALSA_CONFIG_PATH", d.conf)
	d.plug()
	return d
}

func (d *tape) plug() {
	d.t.Helper()
	text := fmt.Sprintf("pcm.tape {\n type file\n slave.pcm { type null }\n file %q\n format wav\n truncate false\n}\n", filepath.Join(d.dir, "heard.wav"))
	if err := os.WriteFile(d.conf, []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

// pull takes the device away.
func (d *tape) pull() {
	d.t.Helper()
	if err := os.WriteFile(d.conf, []byte("# nothing\n"), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

// heard are the samples of one channel, of each time something was played.
func (d *tape) heard() (all [][]float64) {
	d.t.Helper()
	files, err := filepath.Glob(filepath.Join(d.dir, "heard*.wav*"))
	if err != nil {
		d.t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil || len(b) < 44 || string(b[:4]) != "RIFF" {
			continue // being written
		}
		if r, c := binary.LittleEndian.Uint32(b[24:]), binary.LittleEndian.Uint16(b[22:]); r != 48000 || c != 2 {
			d.t.Fatalf("%d Hz, %d channels", r, c)
		}
		var samples []float64
		for at := 44; at+3 < len(b); at += 4 {
			samples = append(samples, float64(int16(binary.LittleEndian.Uint16(b[at:])))/math.MaxInt16)
		}
		all = append(all, samples)
	}
	return all
}

// power is how much of the samples' energy lies at a frequency (Goertzel), as a
// share of all of it.
func power(samples []float64, hertz float64) float64 {
	k := 2 * math.Cos(2*math.Pi*hertz/48000)
	var s0, s1, s2, energy float64
	for _, x := range samples {
		s0 = x + k*s1 - s2
		s2, s1 = s1, s0
		energy += x * x
	}
	if energy == 0 {
		return 0
	}
	return 2 * (s1*s1 + s2*s2 - k*s1*s2) / (energy * float64(len(samples)))
}

func energy(samples []float64) (sum float64) {
	for _, x := range samples {
		sum += x * x
	}
	return sum
}

func start(t *testing.T, cfg sound.Config, changed func(station.SoundState)) *sound.Sound {
	t.Helper()
	s := sound.New(cfg, sound.Deps{Log: slog.New(slog.DiscardHandler), Changed: func(_ context.Context, st station.SoundState) error {
		if changed != nil {
			changed(st)
		}
		return nil
	}})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s
}

func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !cond(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

func config() sound.Config {
	cfg := sound.DefaultConfig()
	cfg.Device, cfg.Probe = "tape", time.Second
	return cfg
}

// An alarm is heard on the output, at its two frequencies, again and again, until
// it is answered; then there is silence.
func TestAnAlarmIsHeard(t *testing.T) {
	tape := newTape(t)
	s := start(t, config(), nil)
	until(t, "the output is known", func() bool { return s.State().State == station.SoundOK })
	loud := func() (n int) {
		for _, h := range tape.heard() {
			if energy(h) > 100 {
				n++
			}
		}
		return n
	}
	if loud() != 0 {
		t.Fatal("it sounds without an alarm")
	}
	s.Sound(station.Sounding{Alarm: "a", Severity: station.SeverityCritical, Since: time.Now()})
	until(t, "it is heard twice", func() bool { return loud() >= 2 })
	if p := s.State().Playing; p == nil || p.Alarm != "a" {
		t.Errorf("%+v", p)
	}
	s.Sound(station.Sounding{})
	time.Sleep(time.Second) // what was being written is over
	before := loud()
	for _, h := range tape.heard() {
		if energy(h) <= 100 {
			continue
		}
		// Each note alone: 250 ms at 800 Hz, then 250 ms at 1000 Hz.
		const note = 12000
		for i := range min(4, len(h)/note) {
			want, other := 800.0, 1000.0
			if i%2 == 1 {
				want, other = other, want
			}
			part := h[i*note : (i+1)*note]
			if p, q := power(part, want), power(part, other); p < 0.9 || q > 0.05 {
				t.Fatalf("note %d: %.2f of its energy at %v Hz, %.2f at %v Hz", i, p, want, q, other)
			}
		}
	}
	time.Sleep(3 * time.Second) // longer than a phrase and its gap
	if n := loud(); n != before {
		t.Errorf("it sounds on after the answer: %d, %d", before, n)
	}
}

// The output is pulled: that is found and said. It is put back, and so is that.
func TestPulledOutputIsFound(t *testing.T) {
	tape := newTape(t)
	var mu sync.Mutex
	var states []string
	s := start(t, config(), func(st station.SoundState) {
		mu.Lock()
		defer mu.Unlock()
		states = append(states, st.State)
	})
	until(t, "ok", func() bool { return s.State().State == station.SoundOK })
	if !s.State().Needed {
		t.Error("an output that was named is needed")
	}
	tape.pull()
	until(t, "missing", func() bool { return s.State().State == station.SoundMissing })
	if err := s.Test(t.Context()); err == nil || !strings.Contains(err.Error(), "tape") {
		t.Errorf("tried out: %v", err)
	}
	tape.plug()
	until(t, "ok again", func() bool { return s.State().State == station.SoundOK })
	if err := s.Test(t.Context()); err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if got := strings.Join(states, " "); got != "ok missing ok" {
		t.Error(got)
	}
}

// While an alarm sounds into nothing, that is found too.
func TestPulledWhileItSounds(t *testing.T) {
	tape := newTape(t)
	s := start(t, config(), nil)
	s.Sound(station.Sounding{Alarm: "a", Severity: station.SeverityCritical, Since: time.Now().Add(-time.Hour)})
	until(t, "ok", func() bool { return s.State().State == station.SoundOK })
	tape.pull()
	until(t, "missing", func() bool { return s.State().State == station.SoundMissing })
	tape.plug()
	until(t, "ok again", func() bool { return s.State().State == station.SoundOK })
}

// A mixer that mutes is asked, and believed.
func TestMutedOutputIsFound(t *testing.T) {
	newTape(t)
	bin := t.TempDir()
	mixer := filepath.Join(bin, "mixer.txt")
	script := "#!/bin/sh\nexec cat " + mixer + "\n"
	if err := os.WriteFile(filepath.Join(bin, "amixer"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	set := func(state string) {
		t.Helper()
		text := "Simple mixer control 'Master',0\n  Capabilities: pvolume pswitch\n  Mono:\n  Front Left: Playback 40 [50%] [-23.00dB] [" + state + "]\n  Front Right: Playback 40 [50%] [-23.00dB] [" + state + "]\n"
		if err := os.WriteFile(mixer+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(mixer+".new", mixer); err != nil {
			t.Fatal(err)
		}
	}
	set("on")
	s := start(t, config(), nil)
	until(t, "ok", func() bool { return s.State().State == station.SoundOK })
	set("off")
	until(t, "muted", func() bool { st := s.State(); return st.State == station.SoundMuted && st.Muted })
	if p, _ := station.AsProblem(s.Test(t.Context())); p == nil || p.Code != "sound.muted" {
		t.Error(p)
	}
	set("on")
	until(t, "ok again", func() bool { return s.State().State == station.SoundOK })
}

// Without alsa-utils, and switched off.
func TestNoOutput(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	s := start(t, sound.DefaultConfig(), nil)
	until(t, "the reason", func() bool { return strings.Contains(s.State().Cause, "alsa-utils") })
	if st := s.State(); st.State != station.SoundMissing || st.Needed {
		t.Errorf("%+v", st)
	}
	off := sound.DefaultConfig()
	off.Off = true
	s = start(t, off, nil)
	if p, _ := station.AsProblem(s.Test(t.Context())); s.State().State != station.SoundOff || p == nil || p.Code != "sound.off" {
		t.Error(s.State(), p)
	}
}

// What waits longer insists more: louder, longer, with shorter pauses.
func TestInsistenceGrows(t *testing.T) {
	measure := func(sev station.Severity, waited time.Duration) (gain, share float64) {
		p, ok := sound.Insistence(sev, waited)
		if !ok {
			return 0, 0
		}
		return p.Gain, p.Length().Seconds() / (p.Length() + p.Gap).Seconds()
	}
	var gain, share float64
	for _, waited := range []time.Duration{0, time.Minute, 3 * time.Minute} {
		g, s := measure(station.SeverityCritical, waited)
		if g <= gain || s <= share {
			t.Errorf("after %s: gain %v after %v, sounds %v of the time after %v", waited, g, gain, s, share)
		}
		gain, share = g, s
	}
	if gain != 1 || share != 1 {
		t.Errorf("a critical alarm that nobody answers ends at gain %v, %v of the time", gain, share)
	}
	g, s := measure(station.SeverityMajor, 0)
	if later, more := measure(station.SeverityMajor, time.Hour); g == 0 || s > 0.1 || later <= g || more <= s {
		t.Errorf("major: %v %v, later %v %v", g, s, later, more)
	}
	if _, ok := sound.Insistence(station.SeverityMinor, time.Hour); ok {
		t.Error("a minor alarm sounds")
	}
	p, _ := sound.Insistence(station.SeverityCritical, time.Hour)
	full, half := p.Samples(1), p.Samples(0.5)
	if len(full) != len(half) || len(full) != int(p.Length().Seconds()*48000)*4 {
		t.Errorf("%d and %d bytes", len(full), len(half))
	}
}

func TestConfig(t *testing.T) {
	if err := sound.DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	bad := sound.Config{Device: "-evil", Mixer: "a\nb", Volume: 101, Off: true, Required: true}
	places := map[string]bool{}
	for _, err := range station.Faults(bad.Validate()) {
		p, ok := station.AsProblem(err)
		if !ok || p.Hint == "" {
			t.Errorf("%v has no remedy", err)
			continue
		}
		places[p.Place] = true
	}
	for _, want := range []string{"device", "mixer", "volume", "probe", "required"} {
		if !places[want] {
			t.Errorf("%s passes", want)
		}
	}
}
