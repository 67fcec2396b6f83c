package record_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"stationd/video/record"
)

// The seals that the archive writes are read by the quick way, and as encoding/json
// reads them: with gaps, steps of the clock, several cameras, a camera's name that has
// to be escaped, and what the scrub found.
func TestSealsAreReadQuickly(t *testing.T) {
	t.Parallel()
	cfg := smallConfig(t.TempDir())
	a := open(t, cfg)
	began := time.Now().Add(-time.Hour)
	for i, id := range []string{"cam1", "门口", "a&b"} {
		c := newCamera(t, a, id, began, film(t))
		c.play(30 * time.Second)
		c.lose(time.Duration(i+2) * time.Second)
		c.play(30 * time.Second)
		c.await()
		c.stop()
	}
	a.stop()
	paths, err := filepath.Glob(filepath.Join(cfg.Dir, "volumes", "v*", "seal"))
	if err != nil || len(paths) < 3 {
		t.Fatalf("%d seals, %v", len(paths), err)
	}
	took := 0
	for _, path := range paths {
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text, err := record.CheckedText(body)
		if err != nil {
			t.Fatal(err)
		}
		quick, agree, err := record.ReadSealText(text)
		if err != nil || !agree {
			t.Errorf("%s: agree %v, %v: %s", path, agree, err, text)
		}
		if quick {
			took++
		}
	}
	if took == 0 || took == len(paths) {
		t.Errorf("the quick way took %d of %d seals", took, len(paths))
	}
}

var sealTexts = []string{
	`{"version":1,"files":[{"name":"000001.vlog","size":1073741824},{"name":"MANIFEST","size":50,"crc":4294967295}],"about":{"created":"2026-11-01T08:00:00.123456789+08:00","tracks":{"cam1":{"spans":[{"from":"2026-11-01T00:00:00Z","to":"2026-11-01T00:04:00.5Z"}],"gaps":[{"from":"2026-11-01T00:01:00-03:30","to":"2026-11-01T00:01:10-03:30","reason":"lost"}],"steps":[{"at":"2026-11-01T00:02:00Z","by":-3600000000000}],"fragments":121,"bytes":68157440,"damaged":[{"from":"2024-02-29T23:59:59Z","to":"2024-03-01T00:00:01Z"}]},"cam2":{"spans":null,"fragments":0,"bytes":0}}}}`,
	`{"version":1,"files":null,"about":{"created":"0001-01-01T00:00:00Z","tracks":{}}}`,
	`{"version":1,"files":[],"about":{"created":"2026-02-30T00:00:00Z","tracks":{}}}`,
	`{"version":1,"files":[],"about":{"created":"2026-02-28T00:00:00Z","tracks":{"a":{"spans":[],"fragments":1,"bytes":1},"a":{"spans":[],"fragments":2,"bytes":1}}}}`,
	`{"version":1,"files":[],"files":[{"name":"x","size":1}],"about":{"created":"2026-02-28T00:00:00Z","tracks":null}}`,
	`{"version":1,"files":[{"name":"\u003cx","size":01}],"about":{"tracks":{}}}`,
	`{"version":1e0,"files":[{"Name":"x","size":1.5,"crc":-1}],"about":{}}`,
	`{ "version": 1 }`, `{}`, `[]`, `null`, ``,
}

// FuzzSeal holds the quick way of reading a seal to what encoding/json makes of it.
func FuzzSeal(f *testing.F) {
	for _, text := range sealTexts {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		quick, agree, err := record.ReadSealText(text)
		if quick && err != nil {
			t.Errorf("it was read, and it is no seal: %v", err)
		} else if !agree {
			t.Error("it was read as something else")
		}
	})
}

func TestSealTexts(t *testing.T) {
	t.Parallel()
	for i, text := range sealTexts {
		quick, agree, err := record.ReadSealText([]byte(text))
		if want := i < 2; quick != want || quick && (err != nil || !agree) {
			t.Errorf("%s: quick %v, agree %v, %v", fmt.Sprintf("%.60s", text), quick, agree, err)
		}
	}
}
