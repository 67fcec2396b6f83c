package playback_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/video/playback"
	"stationd/video/stream"
	"stationd/video/videotest"
)

// hevc is eight seconds of H.265, a key picture every two.
func hevc(t testing.TB) [][][]byte {
	t.Helper()
	var units [][][]byte
	data := encoded(t, "testsrc2=s=320x240:r=25:d=8", "-pix_fmt", "yuv420p", "-c:v", "libx265", "-preset", "ultrafast", "-x265-params",
		"log-level=none:keyint=50:min-keyint=50:scenecut=0:bframes=0:open-gop=0:repeat-headers=1:aud=1:info=0", "-f", "hevc")
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

// encoded is what ffmpeg makes of a source of its own.
func encoded(t testing.TB, source string, args ...string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "encoded")
	tool(t, "ffmpeg", append(append([]string{"-v", "error", "-f", "lavfi", "-i", source}, args...), path)...)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// tone is sound in frames.
type tone struct {
	*stream.Sound
	frames [][]byte
	long   time.Duration // of a frame
}

func tones(t testing.TB) map[string]tone {
	t.Helper()
	law := encoded(t, "sine=f=440:d=8", "-ar", "8000", "-ac", "1", "-f", "alaw")
	g := tone{Sound: &stream.Sound{Codec: stream.PCMA, Rate: 8000, Channels: 1}, long: 40 * time.Millisecond}
	for ; len(law) >= 320; law = law[320:] {
		g.frames = append(g.frames, law[:320])
	}
	aac := tone{Sound: &stream.Sound{Codec: stream.AAC, Rate: 16000, Channels: 1, Config: []byte{0x14, 0x08}}, long: 64 * time.Millisecond}
	for adts := encoded(t, "sine=f=440:d=8", "-ar", "16000", "-ac", "1", "-c:a", "aac", "-f", "adts"); len(adts) > 7; {
		n := int(adts[3]&3)<<11 | int(adts[4])<<3 | int(adts[5])>>5
		aac.frames, adts = append(aac.frames, adts[7:n]), adts[n:]
	}
	return map[string]tone{"flac": g, "aac": aac, "opus": {Sound: &stream.Sound{Codec: stream.Opus, Rate: 48000, Channels: 2}, frames: [][]byte{{0xfc, 0xff, 0xfe}}, long: 20 * time.Millisecond}}
}

// playWith is play with sound beside the pictures.
func (c *camera) playWith(d time.Duration, s tone) {
	c.a.t.Helper()
	end := c.pts + d
	for heard, k := time.Duration(0), 0; c.pts < end; heard, k = heard+s.long, k+1 {
		for ; c.pts <= heard && c.pts < end; c.n++ {
			c.stream.Write(c.units[c.n%len(c.units)], c.pts, c.now, false)
			c.pts, c.now = c.pts+videotest.Interval, c.now.Add(videotest.Interval)
			if c.n%50 == 49 {
				eventually(c.a.t, "the record follows", func() bool {
					spans, _ := c.a.Timeline(c.id, c.now.Add(-time.Hour), c.now.Add(time.Hour))
					return len(spans) > 0 && c.now.Sub(spans[len(spans)-1].To).Abs() < 2100*time.Millisecond || c.n < 60
				})
			}
		}
		c.stream.WriteSound(s.frames[k%len(s.frames)], heard, c.now)
	}
}

// H.264 and H.265 with AAC, Opus and G.711 go through playlists, the stream of the
// console's player and exports; ffprobe finds each codec there, and decodes it all.
// G.711, of which no player of MP4 knows, is FLAC there, sample by sample the same.
func TestCodecsArePlayed(t *testing.T) {
	t.Parallel()
	pictures := map[string][][][]byte{"h264": film(t, "gate"), "hevc": hevc(t)}
	for sound, s := range tones(t) {
		for picture, units := range pictures {
			t.Run(picture+" "+sound, func(t *testing.T) {
				a := openArchive(t)
				c := a.camera("gate", morning, units)
				c.stream.Announce(stream.Params{Codec: map[string]string{"h264": stream.H264, "hevc": stream.H265}[picture], Sound: s.Sound})
				c.playWith(20*time.Second, s)
				c.settle()
				c.stop()
				now := morning.Add(time.Hour)
				e := runExports(t, a, playback.Deps{Now: func() time.Time { return now }}, nil)
				base := e.url + "/api/v1/cameras/gate/"
				span := "?from=" + stamp(morning.Add(2*time.Second)) + "&to=" + stamp(morning.Add(14*time.Second))

				check := func(what, path string, most time.Duration) {
					t.Helper()
					out := tool(t, "ffprobe", "-v", "error", "-count_frames", "-show_entries", "stream=codec_name,codec_type,nb_read_frames", "-of", "csv=p=0", path)
					seen := map[string]int{}
					for _, line := range strings.Fields(out) {
						f := strings.Split(strings.Trim(line, ","), ",")
						if len(f) != 3 {
							continue // ffprobe tells the streams of a playlist twice
						}
						n := 0
						_, _ = fmt.Sscan(f[2], &n)
						seen[f[0]] = n
					}
					if len(seen) != 2 || seen[picture] < 12*25 || seen[sound] < int(12*time.Second/most) {
						t.Errorf("%s: %v in\n%s", what, seen, out)
					}
					if sound != "opus" { // of silence nothing is heard
						if quiet := volume(t, path); quiet < -40 {
							t.Errorf("%s: the tone comes with %v dB", what, quiet)
						}
					}
				}
				reply, body := get(t, base+"media"+span)
				if kind := reply.Header.Get("Content-Type"); !strings.Contains(kind, map[string]string{"h264": "avc1.", "hevc": "hvc1."}[picture]) || !strings.Contains(kind, map[string]string{"aac": "mp4a.40.2", "opus": "opus", "flac": "flac"}[sound]) {
					t.Errorf("the player's stream is %s", kind)
				}
				long := map[string]time.Duration{"flac": 150 * time.Millisecond, "aac": 66 * time.Millisecond, "opus": 21 * time.Millisecond}[sound]
				check("the player's stream", save(t, "media.mp4", body), long)
				check("the playlist", base+"playlist.m3u8"+span, long)
				x := e.make(station.Export{Camera: "gate", From: morning.Add(2 * time.Second), To: morning.Add(14 * time.Second)})
				if x.Status != station.ExportReady {
					t.Fatalf("%+v", x)
				}
				_, body = get(t, base+"exports/"+x.ID+"/video.mp4")
				check("the export", save(t, "export.mp4", body), long)
			})
		}
	}
}

// volume is how loud it is, in decibels below the loudest.
func volume(t testing.TB, path string) (db float64) {
	t.Helper()
	out := tool(t, "sh", "-c", `ffmpeg -hide_banner -nostats -i "$1" -vn -af volumedetect -f null - 2>&1`, "sh", path)
	at := strings.Index(out, "mean_volume: ")
	if at < 0 {
		t.Fatal(out)
	}
	_, _ = fmt.Sscan(out[at+len("mean_volume: "):], &db)
	return db
}
