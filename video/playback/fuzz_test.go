package playback

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stationd/video/record"
)

// picture is a track as the archive's init segments have it.
func pictureTrack() *track {
	w := &boxWriter{}
	w.box("avc1", func() {
		w.zeros(78)
		w.box("avcC", func() { w.bytes([]byte{1, 0x42, 0xc0, 0x1f, 0xff, 0xe0, 0}) })
	})
	return &track{id: 1, scale: 90000, entry: w.b, width: 640 << 16, height: 360 << 16}
}

// soundTrack is PCM as mediacommon writes it.
func soundTrack() *track {
	w := &boxWriter{}
	w.box("ipcm", func() {
		w.zeros(16)
		w.u16(1)
		w.u16(16)
		w.zeros(4)
		w.u32(8000 << 16)
		w.full("pcmC", 0, 0, func() { w.bytes([]byte{0, 16}) })
	})
	return &track{id: 2, scale: 8000, sound: true, entry: w.b}
}

func seedFragment() []byte {
	return writeFragment(7, []*run{
		{track: 1, base: 1 << 40, samples: []sample{{duration: 3600, sync: true, data: []byte("key")}, {duration: 3600, shift: -5, data: []byte("p")}}},
		{track: 2, base: 1 << 36, samples: []sample{{duration: 800, sync: true, data: bytes.Repeat([]byte{0x12, 0x34}, 800)}}},
	})
}

// Whatever lay on the disk: no crash, and nothing is taken for a sample that lies
// outside.
func FuzzFragment(f *testing.F) {
	init := writeInit([]*track{pictureTrack(), soundTrack()})
	f.Add(init, seedFragment())
	f.Add(init[:40], seedFragment()[:50])
	f.Add([]byte("\x00\x00\x00\x01moov\x00\x00\x00\x00\x00\x00\x00\x08"), []byte("\x00\x00\x00\x00moof"))
	f.Fuzz(func(t *testing.T, init, data []byte) {
		r, err := newRendition(init)
		if err != nil {
			r, err = newRendition(writeInit([]*track{pictureTrack(), soundTrack()}))
			if err != nil {
				t.Fatal(err)
			}
		}
		runs, err := r.runs(data)
		if err != nil {
			return
		}
		for _, x := range runs {
			for i := range x.samples {
				if len(x.samples[i].data) > 2*len(data)+64 {
					t.Fatalf("a sample of %d bytes out of %d", len(x.samples[i].data), len(data))
				}
			}
		}
		film := newFilm(time.Unix(1<<33, 0))
		film.add(r, record.Entry{Start: time.Unix(0, 0)}, runs)
		film.end()
		if len(film.order) > 0 {
			film.head()
		}
	})
}

// A fragment that is taken apart and put together is the same.
func TestFragmentsRoundTrip(t *testing.T) {
	t.Parallel()
	tracks := []*track{pictureTrack(), soundTrack()}
	data := seedFragment()
	runs, err := readFragment(data, tracks)
	if err != nil {
		t.Fatal(err)
	}
	if again := writeFragment(7, runs); !bytes.Equal(again, data) {
		t.Errorf("%x became %x", data, again)
	}
	back, err := readInit(writeInit(tracks))
	if err != nil || len(back) != 2 || !bytes.Equal(back[1].entry, tracks[1].entry) || back[0].width != tracks[0].width || !back[1].sound {
		t.Errorf("%+v, %v", back, err)
	}
}

// PCM that was packed as FLAC is the same PCM, sample by sample: ffmpeg says so.
func TestPCMIsPackedWithoutLoss(t *testing.T) {
	t.Parallel()
	for _, little := range []bool{false, true} {
		s := soundTrack()
		if little {
			s.entry[len(s.entry)-2] = 1
		}
		r, err := newRendition(writeInit([]*track{pictureTrack(), s}))
		if err != nil || r.codecs != "avc1.42c01f, flac" {
			t.Fatalf("%v, %v", r, err)
		}
		var stored, want []byte
		for i := range 12_345 {
			v := uint16(i*i*7 + i>>3)
			want = append(want, byte(v), byte(v>>8))
			if little {
				stored = append(stored, byte(v), byte(v>>8))
			} else {
				stored = append(stored, byte(v>>8), byte(v))
			}
		}
		var samples []sample
		for at := 0; at < len(stored); at += 320 {
			n := min(320, len(stored)-at)
			samples = append(samples, sample{duration: uint32(n / 2), sync: true, data: stored[at : at+n]})
		}
		packed := r.pack(&run{track: 2, samples: samples})
		var total uint32
		for _, x := range packed.samples {
			total += x.duration
		}
		if total != 12_345 {
			t.Errorf("it lasts %d samples", total)
		}
		only := *r.sound
		film := newFilm(time.Unix(1<<33, 0))
		film.addRun(&rendition{picture: &only}, packed)
		film.end()
		file := film.head()
		for _, x := range packed.samples {
			file = append(file, x.data...)
		}
		path := filepath.Join(t.TempDir(), "sound.mp4")
		writeAll(t, path, file)
		cmd := exec.Command("ffmpeg", "-v", "warning", "-xerror", "-i", path, "-f", "s16le", "-")
		var out, said strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &said
		if err := cmd.Run(); err != nil || said.Len() > 0 {
			t.Fatalf("ffmpeg: %v: %s", err, said.String())
		}
		if out.String() != string(want) {
			t.Errorf("little endian %v: %d bytes came back, not the %d that went in", little, out.Len(), len(want))
		}
	}
}

// Every sample of G.711 is unpacked as ffmpeg unpacks it, and such sound is sent as
// FLAC.
func TestG711(t *testing.T) {
	t.Parallel()
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for name, law := range map[string]func(byte) int16{"alaw": aLaw, "mulaw": muLaw} {
		cmd := exec.Command("ffmpeg", "-v", "error", "-f", name, "-ar", "8000", "-ac", "1", "-i", "pipe:0", "-f", "s16be", "-")
		cmd.Stdin = bytes.NewReader(all)
		out, err := cmd.Output()
		if err != nil || len(out) != 512 {
			t.Fatalf("ffmpeg: %v, %d bytes", err, len(out))
		}
		for i, x := range all {
			if want := int16(uint16(out[2*i])<<8 | uint16(out[2*i+1])); law(x) != want {
				t.Errorf("%s %#x: %d, not %d", name, x, law(x), want)
			}
		}
	}
	w := &boxWriter{}
	w.box("ulaw", func() {
		w.zeros(16)
		w.u16(1)
		w.zeros(10)
	})
	r, err := newRendition(writeInit([]*track{pictureTrack(), {id: 2, scale: 8000, sound: true, entry: w.b}}))
	if err != nil || r.codecs != "avc1.42c01f, flac" {
		t.Fatalf("%+v, %v", r, err)
	}
	packed := r.pack(&run{track: 2, samples: []sample{{duration: 256, data: all}}})
	if len(packed.samples) != 1 || packed.samples[0].duration != 256 || len(packed.samples[0].data) < 512 {
		t.Errorf("%+v", packed)
	}
}

func TestFlacNumbers(t *testing.T) {
	t.Parallel()
	for n, want := range map[uint64]int{0: 1, 0x7f: 1, 0x80: 2, 0x7ff: 2, 0x800: 3, 0xffff: 3, 0x10000: 4, 0x1fffff: 4, 0x200000: 5, 0x3ffffff: 5, 0x4000000: 6, 0x7fffffff: 6, 0x80000000: 1, 1<<36 - 1: 6} {
		if got := flacNumber(n); len(got) != want {
			t.Errorf("%#x takes %d bytes, not %d", n, len(got), want)
		}
	}
}

// Where to begin: at the key picture before, without a gap in between.
func TestBegin(t *testing.T) {
	t.Parallel()
	at := func(s float64) time.Time { return time.Unix(1000, 0).Add(time.Duration(s * float64(time.Second))) }
	entry := func(s, lasts float64, key bool) record.Entry {
		return record.Entry{Start: at(s), Duration: time.Duration(lasts * float64(time.Second)), Key: key}
	}
	list := []record.Entry{entry(0, 2, true), entry(2, 2, false), entry(4, 2, true), entry(20, 2, false), entry(22, 2, true)}
	for _, c := range []struct {
		at   float64
		want int
		sure bool
	}{{-5, 0, true}, {0, 0, true}, {1, 0, true}, {3, 0, true}, {4, 2, true}, {5.9, 2, true}, {10, 4, true}, {21, 4, true}, {23, 4, true}, {30, 5, true}} {
		if got, sure := begin(list, at(c.at)); got != c.want || sure != c.sure {
			t.Errorf("at %v: %d, %v; want %d, %v", c.at, got, sure, c.want, c.sure)
		}
	}
	if got, sure := begin(list[1:], at(3)); sure || got != 1 {
		t.Errorf("a key picture before the list: %d, %v", got, sure)
	}
}

func writeAll(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
