package record_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

	"stationd/agent/station"
	"stationd/video/record"
	"stationd/video/stream"
	"stationd/video/videotest"
)

// hevc is eight seconds of H.265, a key picture every two.
func hevc(t testing.TB) [][][]byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "film.h265")
	tool(t, "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=320x240:r=25:d=8", "-pix_fmt", "yuv420p",
		"-c:v", "libx265", "-preset", "ultrafast", "-x265-params",
		"log-level=none:keyint=50:min-keyint=50:scenecut=0:bframes=0:open-gop=0:repeat-headers=1:aud=1:info=0", "-f", "hevc", path)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var units [][][]byte
	for _, n := range bytes.Split(data, []byte{0, 0, 1}) {
		n = bytes.TrimRight(n, "\x00")
		switch {
		case len(n) < 2:
		case n[0]>>1&0x3f == 35:
			units = append(units, nil)
		case len(units) > 0:
			units[len(units)-1] = append(units[len(units)-1], n)
		}
	}
	if len(units) != 200 {
		t.Fatalf("%d units", len(units))
	}
	return units
}

// tone is eight seconds of sound in frames.
type tone struct {
	sound  *stream.Sound
	frames [][]byte
	long   time.Duration // of a frame
}

func sounds(t testing.TB, args ...string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sound")
	tool(t, "ffmpeg", append(append([]string{"-v", "error", "-f", "lavfi", "-i", "sine=f=440:d=8"}, args...), path)...)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func tones(t testing.TB) map[string]tone {
	t.Helper()
	out := map[string]tone{}
	for codec, name := range map[string]string{stream.PCMA: "alaw", stream.PCMU: "mulaw"} {
		data := sounds(t, "-ar", "8000", "-ac", "1", "-f", name)
		g := tone{sound: &stream.Sound{Codec: codec, Rate: 8000, Channels: 1}, long: 20 * time.Millisecond}
		for len(data) >= 160 {
			g.frames, data = append(g.frames, data[:160]), data[160:]
		}
		out[codec] = g
	}
	var adts mpeg4audio.ADTSPackets
	if err := adts.Unmarshal(sounds(t, "-ar", "16000", "-ac", "1", "-c:a", "aac", "-f", "adts")); err != nil {
		t.Fatal(err)
	}
	config, err := mpeg4audio.AudioSpecificConfig{Type: adts[0].Type, SampleRate: adts[0].SampleRate, ChannelCount: adts[0].ChannelCount}.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	aac := tone{sound: &stream.Sound{Codec: stream.AAC, Rate: 16000, Channels: 1, Config: config}, long: 64 * time.Millisecond}
	for _, p := range adts {
		aac.frames = append(aac.frames, p.AU)
	}
	out[stream.AAC] = aac
	out[stream.Opus] = tone{sound: &stream.Sound{Codec: stream.Opus, Rate: 48000, Channels: 1}, long: 20 * time.Millisecond, frames: opusFrames(t)}
	return out
}

// opusFrames takes the packets out of an Ogg file.
func opusFrames(t testing.TB) [][]byte {
	t.Helper()
	data := sounds(t, "-ar", "48000", "-ac", "1", "-c:a", "libopus", "-b:a", "24k", "-frame_duration", "20", "-f", "ogg")
	var packets [][]byte
	var packet []byte
	for len(data) > 27 && string(data[:4]) == "OggS" {
		table := data[27 : 27+int(data[26])]
		body := data[27+len(table):]
		for _, n := range table {
			packet = append(packet, body[:n]...)
			body = body[n:]
			if n < 255 {
				packets = append(packets, packet)
				packet = nil
			}
		}
		data = body
	}
	if len(packets) < 300 {
		t.Fatalf("%d packets", len(packets))
	}
	return packets[2:] // behind head and tags
}

// playWith plays pictures and sound for so long, and waits until the recorder has
// taken it. A tone without frames is silence.
func (c *camera) playWith(d time.Duration, s tone) {
	c.t.Helper()
	n := 0
	for end := c.now.Add(d); c.now.Before(end); {
		for k := 0; k < 50 && c.now.Before(end); k++ {
			c.stream.Write(c.units[c.n%len(c.units)], c.pts, c.now, false)
			for len(s.frames) > 0 && c.heard < c.pts+videotest.Interval {
				c.stream.WriteSound(s.frames[n%len(s.frames)], c.heard, c.now)
				c.heard += s.long
				n++
			}
			c.n++
			c.pts += videotest.Interval
			c.now = c.now.Add(videotest.Interval)
		}
		sent := c.now
		waitFor(c.t, "the recorder to follow", func() bool { return c.a.Behind(c.id, sent) < 100*time.Millisecond })
	}
	c.heard = max(c.heard, c.pts)
}

// played joins the init segment and the fragments of a span, as a player would.
func played(t testing.TB, a *running, camera string, from, to time.Time) (path string, inits int, sound bool) {
	t.Helper()
	var film bytes.Buffer
	var last record.InitID
	for f, err := range a.Fragments(camera, from, to) {
		if err != nil {
			t.Fatal(err)
		}
		if f.Init != last {
			last = f.Init
			inits++
			segment, err := a.Init(f.Init)
			if err != nil {
				t.Fatal(err)
			}
			film.Write(segment)
		}
		sound = sound || f.Sound
		film.Write(f.Data)
	}
	path = filepath.Join(t.TempDir(), "played.mp4")
	if err := os.WriteFile(path, film.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, inits, sound
}

func codecs(t testing.TB, path string) string {
	t.Helper()
	return strings.Join(strings.Fields(tool(t, "ffprobe", "-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0", path)), " ")
}

func soundSeconds(t testing.TB, path string) time.Duration {
	t.Helper()
	out := filepath.Join(t.TempDir(), "heard.raw")
	tool(t, "ffmpeg", "-v", "error", "-xerror", "-i", path, "-map", "0:a", "-f", "s16le", "-ac", "1", "-ar", "8000", out)
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	loud := 0
	for i := 0; i+1 < len(data); i += 2 {
		if v := int16(binary.LittleEndian.Uint16(data[i:])); v > 500 || v < -500 {
			loud++
		}
	}
	if loud < len(data)/2/2 {
		t.Errorf("of %d samples %d are loud", len(data)/2, loud)
	}
	return time.Duration(len(data)/2) * time.Second / 8000
}

// Every codec of pictures and of sound is recorded, played and cut by ffmpeg's
// standards.
func TestCodecs(t *testing.T) {
	t.Parallel()
	all := tones(t)
	names := map[string]string{stream.AAC: "aac", stream.Opus: "opus", stream.PCMA: "pcm_alaw", stream.PCMU: "pcm_mulaw"}
	films := map[string][][][]byte{stream.H264: film(t), stream.H265: hevc(t)}
	for picture, units := range films {
		for sound, s := range all {
			t.Run(picture+" "+sound, func(t *testing.T) {
				a := open(t, smallConfig(t.TempDir()))
				start := time.Now().Add(-time.Minute).Round(0)
				c := newCamera(t, a, "cam1", start, units)
				c.stream.Announce(stream.Params{Codec: picture, Sound: s.sound})
				c.playWith(20*time.Second, s)
				c.await()
				want := map[string]string{stream.H264: "h264", stream.H265: "hevc"}[picture] + " " + names[sound]

				path, inits, heard := played(t, a, "cam1", start, c.now)
				if got := codecs(t, path); got != want || inits != 1 || !heard {
					t.Errorf("played: %s, %d init segments, sound %v", got, inits, heard)
				}
				if n, _ := probe(t, path); n < 490 {
					t.Errorf("played: %d pictures", n)
				}
				clip, err := a.Clip(t.Context(), clipOf("c", start.Add(4*time.Second), start.Add(14*time.Second)))
				if err != nil || clip.Status != station.ClipReady || clip.Cause != "" {
					t.Fatalf("clip %+v, %v", clip, err)
				}
				path = export(t, a, "c")
				if got := codecs(t, path); got != want {
					t.Errorf("clip: %s", got)
				}
				if n, d := probe(t, path); n != 250 || !near(d, 10*time.Second, 100*time.Millisecond) {
					t.Errorf("clip: %d pictures in %v", n, d)
				}
				if d := soundSeconds(t, path); !near(d, 10*time.Second, 150*time.Millisecond) {
					t.Errorf("clip: %v of sound", d)
				}
			})
		}
	}
}

// Sound that begins later, changes, is damaged or stops never harms the pictures.
func TestSoundThatChanges(t *testing.T) {
	t.Parallel()
	all := tones(t)
	a := open(t, smallConfig(t.TempDir()))
	start := time.Now().Add(-2 * time.Minute).Round(0)
	c := newCamera(t, a, "cam1", start, film(t))
	announce := func(s *stream.Sound) { c.stream.Announce(stream.Params{Codec: stream.H264, Sound: s}) }
	c.playWith(10*time.Second, tone{})
	announce(all[stream.PCMA].sound)
	c.playWith(10*time.Second, all[stream.PCMA])
	announce(all[stream.AAC].sound)
	c.playWith(10*time.Second, all[stream.AAC])
	c.playWith(10*time.Second, tone{}) // announced, and not a frame
	announce(&stream.Sound{Codec: stream.AAC, Rate: 16000, Channels: 1, Config: []byte{0xff}})
	c.playWith(10*time.Second, tone{frames: [][]byte{{1, 2, 3}, nil, make([]byte, 100<<10)}, long: 20 * time.Millisecond})
	c.await()
	if spans, gaps := a.Timeline("cam1", start, c.now); len(spans) != 1 || len(gaps) != 0 || c.now.Sub(spans[0].To) > 100*time.Millisecond {
		t.Errorf("spans %v, gaps %v", spans, gaps)
	}
	_, inits, _ := played(t, a, "cam1", start, c.now)
	if inits < 4 || inits > 6 {
		t.Errorf("%d init segments", inits)
	}
	count := 0
	for f, err := range a.Fragments("cam1", start, c.now) {
		if err != nil || f.Damaged || f.Gap != 0 {
			t.Fatalf("fragment %+v, %v", f.Init, err)
		}
		count++
	}
	if count != 25 {
		t.Errorf("%d fragments", count)
	}
	// One film of all of it, with the sound that it has most of.
	clip, err := a.Clip(t.Context(), clipOf("all", start.Add(8*time.Second), start.Add(48*time.Second)))
	if err != nil || clip.Status != station.ClipReady || clip.Cause != "" {
		t.Fatalf("clip %+v, %v", clip, err)
	}
	if n, d := probe(t, export(t, a, "all")); n != 1000 || !near(d, 40*time.Second, 100*time.Millisecond) {
		t.Errorf("%d pictures in %v", n, d)
	}
}

// A camera may change from H.264 to H.265 and back.
func TestCodecThatChanges(t *testing.T) {
	t.Parallel()
	a := open(t, smallConfig(t.TempDir()))
	start := time.Now().Add(-2 * time.Minute).Round(0)
	c := newCamera(t, a, "cam1", start, film(t))
	c.play(10 * time.Second)
	c.units, c.n = hevc(t), 0
	c.stream.Announce(stream.Params{Codec: stream.H265})
	c.play(20 * time.Second)
	c.units, c.n = film(t), 0
	c.stream.Announce(stream.Params{Codec: stream.H264})
	c.play(6 * time.Second)
	c.await()
	if spans, _ := a.Timeline("cam1", start, c.now); len(spans) != 1 {
		t.Errorf("spans %v", spans)
	}
	clip, err := a.Clip(t.Context(), clipOf("c", start.Add(3*time.Second), start.Add(33*time.Second)))
	if err != nil || clip.Status != station.ClipReady || !strings.Contains(clip.Cause, "format") {
		t.Fatalf("clip %+v, %v", clip, err)
	}
	path := export(t, a, "c")
	if n, _ := probe(t, path); n != 500 || codecs(t, path) != "hevc" {
		t.Errorf("%d pictures of %s", n, codecs(t, path))
	}
}
