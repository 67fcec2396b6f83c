package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"time"

	"stationd/agent/store/disk"
)

// The seals of a month are tens of megabytes of JSON and stand between a start and
// the first picture that is recorded, so what this program writes is read here by a
// reader that knows nothing else. Whatever is written otherwise (by hand, by another
// version, with a name that is escaped) is left to encoding/json, and so is every
// question of what is right.

// sealReader reads the seals of volumes. It is used by one goroutine.
type sealReader struct {
	body  []byte
	names map[string]string // what repeats from seal to seal is kept once
	// What the seals hold is put into pieces of memory that several share.
	spans  []Span
	tracks []track
	files  []file
	most   int // tracks of the seal before
}

// How much is asked of the memory at a time.
const (
	spansAtOnce  = 512
	tracksAtOnce = 256
	filesAtOnce  = 128
)

func newSealReader() *sealReader {
	return &sealReader{body: make([]byte, 64<<10), names: map[string]string{}}
}

// read is readSeal for a volume.
func (r *sealReader) read(dir string) (files []file, size disk.Bytes, what about, err error) {
	body, err := r.load(filepath.Join(dir, sealName))
	if err != nil {
		return nil, 0, about{}, err
	}
	text, err := checked(body)
	if err != nil {
		return nil, 0, about{}, fmt.Errorf("read seal: %w", err)
	}
	files, what, ok := r.parse(text)
	if !ok {
		if files, what, err = parseSeal(text); err != nil {
			return nil, 0, about{}, err
		}
	}
	size = disk.Bytes(len(body))
	for _, f := range files {
		size += disk.Bytes(f.Size)
	}
	return files, size, what, nil
}

// load is os.ReadFile into the reader's own memory.
func (r *sealReader) load(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	n, err := f.Read(r.body)
	if err != nil || n == len(r.body) {
		return os.ReadFile(path) // a long one, or an empty one
	}
	if more, err := f.Read(r.body[n:]); more != 0 || !errors.Is(err, io.EOF) {
		return os.ReadFile(path)
	}
	return r.body[:n], nil
}

// parseSeal is how the text of a seal is read when it is not as this program writes it.
func parseSeal(text []byte) ([]file, about, error) {
	var s sealed
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, about{}, fmt.Errorf("read seal: %w", err)
	}
	var what about
	if err := json.Unmarshal(s.About, &what); err != nil {
		return nil, about{}, fmt.Errorf("read seal: %w", err)
	}
	return s.Files, what, nil
}

// parse is false when the text is not as this program writes it.
func (r *sealReader) parse(text []byte) (files []file, what about, ok bool) {
	p := plainJSON{text: text, r: r}
	told := false
	p.object(func(key string) {
		switch key {
		case "version":
			p.number()
		case "files":
			began := len(r.files)
			p.list(func() { r.files, began = share(r.files, began, p.file(), filesAtOnce) })
			files = r.files[began:len(r.files):len(r.files)]
		case "about":
			what, told = p.about(), true
		default:
			p.bad = true
		}
	})
	if p.bad || !told || p.at != len(text) {
		return nil, about{}, false
	}
	return files, what, true
}

func (p *plainJSON) file() (f file) {
	p.object(func(key string) {
		switch key {
		case "name":
			f.Name = p.name()
		case "size":
			f.Size = p.number()
		case "crc":
			n := p.number()
			p.bad = p.bad || n < 0 || n > math.MaxUint32
			f.CRC = uint32(n)
		default:
			p.bad = true
		}
	})
	return f
}

func (p *plainJSON) about() (a about) {
	p.object(func(key string) {
		switch key {
		case "created":
			a.Created = p.moment()
		case "tracks":
			a.Tracks = make(map[string]*track, p.r.most)
			p.object(func(camera string) {
				if _, twice := a.Tracks[camera]; twice {
					p.bad = true
				}
				a.Tracks[camera] = p.track()
			})
			p.r.most = len(a.Tracks)
		default:
			p.bad = true
		}
	})
	return a
}

func (p *plainJSON) track() *track {
	if len(p.r.tracks) == cap(p.r.tracks) {
		p.r.tracks = make([]track, 0, tracksAtOnce)
	}
	p.r.tracks = append(p.r.tracks, track{})
	t := &p.r.tracks[len(p.r.tracks)-1]
	p.object(func(key string) {
		switch key {
		case "spans":
			t.Spans = p.spans()
		case "damaged":
			t.Damaged = p.spans()
		case "gaps":
			p.list(func() {
				var g Gap
				p.object(func(key string) {
					switch key {
					case "from":
						g.From = p.moment()
					case "to":
						g.To = p.moment()
					case "reason":
						g.Reason = Reason(p.name())
					default:
						p.bad = true
					}
				})
				t.Gaps = append(t.Gaps, g)
			})
		case "steps":
			p.list(func() {
				var s Step
				p.object(func(key string) {
					switch key {
					case "at":
						s.At = p.moment()
					case "by":
						s.By = time.Duration(p.number())
					default:
						p.bad = true
					}
				})
				t.Steps = append(t.Steps, s)
			})
		case "fragments":
			t.Fragments = int(p.number())
		case "bytes":
			t.Bytes = p.number()
		default:
			p.bad = true
		}
	})
	return t
}

func (p *plainJSON) spans() []Span {
	began := len(p.r.spans)
	p.list(func() {
		var s Span
		p.object(func(key string) {
			switch key {
			case "from":
				s.From = p.moment()
			case "to":
				s.To = p.moment()
			default:
				p.bad = true
			}
		})
		p.r.spans, began = share(p.r.spans, began, s, spansAtOnce)
	})
	return p.r.spans[began:len(p.r.spans):len(p.r.spans)] // who adds to it gets memory of their own
}

// share appends to a list that begins at began of a piece of memory; a full piece is
// left to those who are in it, and the list goes on in a new one.
func share[T any](piece []T, began int, x T, atOnce int) ([]T, int) {
	if len(piece) == cap(piece) {
		list := piece[began:]
		piece = append(make([]T, 0, max(atOnce, 2*len(list)+1)), list...)
		began = 0
	}
	return append(piece, x), began
}
