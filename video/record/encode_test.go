package record_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"
)

// encode makes eight seconds of film at 25 pictures a second with a key picture
// every two, with so many B-frames.
func encode(t testing.TB, size string, bframes int) [][][]byte {
	t.Helper()
	data, err := os.ReadFile(encoded(t, size, bframes))
	if err != nil {
		t.Fatal(err)
	}
	var units [][][]byte
	for _, n := range bytes.Split(data, []byte{0, 0, 1}) {
		n = bytes.TrimRight(n, "\x00")
		switch {
		case len(n) == 0:
		case n[0]&0x1f == 9:
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

func encoded(t testing.TB, size string, bframes int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "film.h264")
	tool(t, "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s="+size+":r=25:d=8", "-pix_fmt", "yuv420p",
		"-c:v", "libx264", "-profile:v", "main", "-preset", "ultrafast", "-crf", "34",
		"-x264-params", fmt.Sprintf("keyint=50:min-keyint=50:scenecut=0:bframes=%d:b-adapt=0:b-pyramid=0:slices=1:open-gop=0:repeat-headers=1:aud=1", bframes),
		"-f", "h264", path)
	return path
}

// showing tells for every picture of a film with two B-frames, in the order of
// decoding, which it is in the order of showing.
func showing(t testing.TB) []int {
	t.Helper()
	dir := t.TempDir()
	mp4 := filepath.Join(dir, "film.mp4")
	tool(t, "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=320x240:r=25:d=8", "-pix_fmt", "yuv420p",
		"-c:v", "libx264", "-profile:v", "main", "-preset", "ultrafast", "-crf", "34",
		"-x264-params", "keyint=50:min-keyint=50:scenecut=0:bframes=2:b-adapt=0:b-pyramid=0:slices=1:open-gop=0:repeat-headers=1:aud=1", mp4)
	out := tool(t, "ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "packet=pts", "-of", "csv=p=0", mp4)
	var times []int
	for _, line := range strings.Fields(out) {
		n, err := strconv.Atoi(strings.Trim(line, ","))
		if err != nil {
			t.Fatal(err)
		}
		times = append(times, n)
	}
	sorted := append([]int(nil), times...)
	sort.Ints(sorted)
	order := make([]int, len(times))
	for i, n := range times {
		order[i] = sort.SearchInts(sorted, n)
	}
	return order
}
