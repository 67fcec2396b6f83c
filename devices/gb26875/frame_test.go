package gb26875_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"

	"stationd/devices/gb26875"
	"stationd/devices/payload"
)

var update = flag.Bool("update", false, "rewrite the expected halves of the golden files")

// golden is what a unit sends, as hexadecimal, and what must come out.
type golden struct {
	Note     string            `json:"note"`
	Source   string            `json:"source"`
	Hex      string            `json:"hex"`
	Frames   []frame           `json:"frames,omitempty"`
	Skipped  uint64            `json:"skipped,omitempty"`
	Readings []payload.Reading `json:"readings,omitempty"`
	Errors   []string          `json:"errors,omitempty"`
}

type frame struct {
	Serial              uint16
	Version             string
	Time                time.Time
	Source, Destination string
	Command             gb26875.Command
}

func TestGoldenFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/golden/*.json")
	if err != nil || len(files) < 12 {
		t.Fatalf("found %d golden files: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var g golden
			if err := json.Unmarshal(data, &g); err != nil {
				t.Fatal(err)
			}
			if g.Source == "" {
				t.Error("the golden file names no source")
			}
			want := pretty(t, g)
			in, err := hex.DecodeString(strings.ReplaceAll(g.Hex, " ", ""))
			if err != nil {
				t.Fatal(err)
			}
			g = golden{Note: g.Note, Source: g.Source, Hex: g.Hex}
			r := gb26875.NewReader(iotest.OneByteReader(bytes.NewReader(in)))
			for {
				f, err := r.Next()
				if errors.Is(err, io.EOF) {
					break
				}
				g.Frames = append(g.Frames, frame{f.Serial, hex.EncodeToString(f.Version[:]), f.Time.Instant(), f.Source.String(), f.Destination.String(), f.Command})
				if err == nil {
					var list []payload.Reading
					list, err = f.Readings()
					g.Readings = append(g.Readings, list...)
					if again := f.AppendTo(nil); !bytes.Contains(in, again) || !bytes.Equal(again, f.Raw) {
						t.Errorf("written again it is %x", again)
					}
				}
				if err != nil {
					g.Errors = append(g.Errors, err.Error())
				}
			}
			g.Skipped = r.Skipped()
			got := pretty(t, g)
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func pretty(t *testing.T, g golden) string {
	t.Helper()
	out, err := json.MarshalIndent(g, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out) + "\n"
}

func report(serial uint16, data ...byte) gb26875.Frame {
	return gb26875.Frame{Serial: serial, Version: [2]byte{1, 1}, Time: gb26875.Label{1, 2, 3, 4, 5, 26}, Source: gb26875.Address{0x79, 3}, Command: gb26875.Send, Data: data}
}

// Whatever lies between them, and however the network cuts them, no whole frame
// is lost.
func TestFramesAreFoundInGarbage(t *testing.T) {
	start := report(99, bytes.Repeat([]byte{7}, 1000)...).AppendTo(nil)
	for name, garbage := range map[string][]byte{
		"nothing": nil, "zeros": make([]byte, 3000), "starts": bytes.Repeat([]byte("@"), 2500), "ends": bytes.Repeat([]byte("#"), 2500),
		"the beginning of a long frame": start[:200], "one start": {'@'}, "a head alone": start[:27], "a tail": start[500:],
	} {
		for _, reader := range []func(io.Reader) io.Reader{iotest.OneByteReader, iotest.HalfReader, iotest.DataErrReader} {
			var in []byte
			for i := range uint16(3) {
				in = append(in, garbage...)
				in = report(i, 21, 1, 2, 1, 2, 3, 4, 5, 26).AppendTo(in)
			}
			r := gb26875.NewReader(reader(bytes.NewReader(in)))
			for i := range uint16(3) {
				f, err := r.Next()
				if err != nil || f.Serial != i {
					t.Fatalf("%s: frame %d is %d: %v", name, i, f.Serial, err)
				}
			}
			if want := uint64(3 * len(garbage)); r.Skipped() != want {
				t.Errorf("%s: %d bytes skipped, not %d", name, r.Skipped(), want)
			}
		}
	}
}

// An alarm behind the broken beginning of a long frame does not wait until that
// many bytes have come.
func TestAnAlarmDoesNotWaitBehindABrokenFrame(t *testing.T) {
	in, out := io.Pipe()
	defer in.Close()
	go func() {
		long := report(1, bytes.Repeat([]byte{7}, 1000)...).AppendTo(nil)
		_, _ = out.Write(append(long[:300:300], report(2, 21, 1, 2, 1, 2, 3, 4, 5, 26).AppendTo(nil)...)) // and then nothing
	}()
	f, err := gb26875.NewReader(in).Next()
	if err != nil || f.Serial != 2 {
		t.Fatalf("%d: %v", f.Serial, err)
	}
}

func TestTimesThatAreNone(t *testing.T) {
	for _, l := range []gb26875.Label{{}, {60, 0, 0, 1, 1, 26}, {0, 60, 0, 1, 1, 26}, {0, 0, 24, 1, 1, 26}, {0, 0, 0, 31, 4, 26}, {0, 0, 0, 1, 13, 26}, {0, 0, 0, 1, 1, 100}, {255, 255, 255, 255, 255, 255}} {
		if at := l.Instant(); !at.IsZero() {
			t.Errorf("%v is %v", l, at)
		}
	}
	now := time.Date(2026, 11, 21, 16, 30, 5, 0, time.UTC) // the 22nd in Beijing
	if l := gb26875.LabelOf(now); l != (gb26875.Label{5, 30, 0, 22, 11, 26}) || !l.Instant().Equal(now) {
		t.Errorf("%v, %v", l, l.Instant())
	}
}

// check holds for whatever comes over the line.
func check(t *testing.T, f gb26875.Frame, list []payload.Reading) {
	t.Helper()
	if len(list) > 256 {
		t.Errorf("%d readings", len(list))
	}
	for _, r := range list {
		if r.Device == "" || !strings.HasPrefix(r.Device, f.Source.String()) || len(r.Values) > payload.MaxFields {
			t.Errorf("device %q, %d fields", r.Device, len(r.Values))
		}
		for k, v := range r.Values {
			if s, ok := v.(string); ok && (len(s) > payload.MaxText || !utf8.ValidString(s)) {
				t.Errorf("field %q is %q", k, s)
			}
		}
		if len(r.Name) > payload.MaxText || !utf8.ValidString(r.Name) {
			t.Errorf("name %q", r.Name)
		}
		if _, err := json.Marshal(r); err != nil {
			t.Errorf("a reading cannot be stored: %v", err)
		}
	}
}

func FuzzFrames(f *testing.F) {
	f.Add(report(1, 2, 1, 1, 1, 40, 10, 0, 2, 0, 2, 0).AppendTo([]byte("@@x")))
	f.Add(append(report(1, 21, 1, 2, 1, 2, 3, 4, 5, 26).AppendTo(nil), report(2).AppendTo(nil)...))
	f.Add([]byte("@@@@####"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := gb26875.NewReader(bytes.NewReader(in))
		var length uint64
		for {
			f, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			length += uint64(len(f.Raw))
			if err == nil && !bytes.Equal(f.AppendTo(nil), f.Raw) {
				t.Error("a frame is not what was read")
			}
			list, _ := f.Readings()
			check(t, f, list)
		}
		if length+r.Skipped() > uint64(len(in)) {
			t.Errorf("%d bytes in frames, %d skipped, of %d", length, r.Skipped(), len(in))
		}
	})
}

func FuzzReadings(f *testing.F) {
	f.Add([]byte{1, 1, 1, 1, 2, 0, 1, 2, 3, 4, 5, 26})
	f.Add([]byte{6, 1, 1, 1, 4, 0xcf, 0xfb, 0xb7, 0xc0})
	f.Add([]byte{26, 2, 1, 65, 255})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > gb26875.MaxData {
			return
		}
		frame := report(1, data...)
		list, _ := frame.Readings()
		check(t, frame, list)
	})
}
