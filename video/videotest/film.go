package videotest

import (
	"bytes"
	"embed"
	"fmt"
	"time"
)

// The films are Annex-B, H.264: constrained baseline, 640x360, 25 pictures a
// second, a key picture every two seconds, an access unit delimiter in front of
// every picture. make-films.sh makes them.
//
//go:embed films/*.h264 films/lobby.h265 films/tone.aac films/gate.jpg
var filmFiles embed.FS

// Film is a short scene that is played in a loop.
type Film struct {
	// Name is also the path of the camera that plays it.
	Name string
	// Title is what is written in the picture.
	Title string
	// H265 tells that it is of H.265, else of H.264.
	H265 bool
	// Units are the access units, NALUs without start codes. The first is a key
	// picture, with its parameter sets in front, as all key pictures. Must not
	// be changed.
	Units [][][]byte
}

// Interval is the distance of two pictures.
const Interval = time.Second / 25

// Films are the scenes that come with the program.
func Films() ([]Film, error) {
	films := []Film{
		{Name: "corridor", Title: "3号楼 12层走廊"},
		{Name: "gate", Title: "小区北门"},
		{Name: "garage", Title: "地下车库"},
		{Name: "manhole", Title: "向阳路井盖"},
	}
	for i := range films {
		data, err := filmFiles.ReadFile("films/" + films[i].Name + ".h264")
		if err != nil {
			return nil, fmt.Errorf("read film: %w", err)
		}
		films[i].Units = split(data, isDelimiter)
	}
	return films, nil
}

// Lobby is a film of H.265: 320x180, two seconds. It is not among Films, since
// not every browser can show it.
func Lobby() (Film, error) {
	data, err := filmFiles.ReadFile("films/lobby.h265")
	if err != nil {
		return Film{}, fmt.Errorf("read film: %w", err)
	}
	return Film{Name: "lobby", Title: "大厅", H265: true, Units: split(data, isDelimiter265)}, nil
}

// Porch is a film of another size: 320x180, H.264, two seconds.
func Porch() (Film, error) {
	data, err := filmFiles.ReadFile("films/porch.h264")
	if err != nil {
		return Film{}, fmt.Errorf("read film: %w", err)
	}
	return Film{Name: "porch", Title: "门廊", Units: split(data, isDelimiter)}, nil
}

func isDelimiter(n []byte) bool    { return n[0]&0x1f == 9 }
func isDelimiter265(n []byte) bool { return n[0]>>1&0x3f == 35 }

// NewFilm makes a film of an Annex-B stream; every picture must have an access unit
// delimiter in front, and the first must be a key picture.
func NewFilm(name, title string, annexB []byte) Film {
	return Film{Name: name, Title: title, Units: split(annexB, isDelimiter)}
}

// Length is how long the film is.
func (f Film) Length() time.Duration { return time.Duration(len(f.Units)) * Interval }

// split takes Annex-B apart into access units, which begin with a delimiter.
func split(data []byte, delimiter func(nalu []byte) bool) [][][]byte {
	var units [][][]byte
	for _, n := range bytes.Split(data, []byte{0, 0, 1}) {
		n = bytes.TrimRight(n, "\x00") // the first byte of a long start code
		switch {
		case len(n) == 0:
		case delimiter(n):
			units = append(units, nil)
		case len(units) > 0:
			last := len(units) - 1
			units[last] = append(units[last], n)
		}
	}
	return units
}

// Still is a picture of the gate as JPEG.
func Still() ([]byte, error) { return filmFiles.ReadFile("films/gate.jpg") }
