package record

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"stationd/agent/station"
)

// A film is what a clip of this node is on the disk: a small file that says which
// pieces of which fragments make up the MP4 file, and what stands before them. The
// fragments themselves are in the volumes of events or of evidence.
const filmsDir = "films"

// filmed is the file of a film.
type filmed struct {
	Version int          `json:"version"`
	Clip    station.Clip `json:"clip"`
	// Head is what stands before the first piece.
	Head      []byte         `json:"head"`
	Fragments []fragmentName `json:"fragments"`
	// Pieces are three 32-bit numbers each, big endian: the fragment's place in
	// the list, the offset in it, the length.
	Pieces []byte `json:"pieces"`
}

// fragmentName is a fragment of the clip's camera, wherever it lies: CRC is that
// of its MP4 data, which is the same in each copy.
type fragmentName struct {
	Start int64  `json:"start"`
	CRC   uint32 `json:"crc"`
}

const pieceSize = 12

func (a *Archive) filmPath(id string) string { return filepath.Join(a.cfg.Dir, filmsDir, id) }

// filmed describes the film for the disk.
func (f *film) filmed(c station.Clip, head []byte) filmed {
	d := filmed{Version: 1, Clip: c, Head: head, Pieces: make([]byte, 0, pieceSize*len(f.pieces))}
	for _, s := range f.sources {
		d.Fragments = append(d.Fragments, fragmentName{s.start, s.crc})
	}
	for _, p := range f.pieces {
		d.Pieces = binary.BigEndian.AppendUint32(d.Pieces, p.source)
		d.Pieces = binary.BigEndian.AppendUint32(d.Pieces, p.offset)
		d.Pieces = binary.BigEndian.AppendUint32(d.Pieces, p.length)
	}
	return d
}

// writeChecked writes v as JSON behind its checksum, so that after a power cut the
// old file is there or the new one, and a damaged one is known.
func writeChecked(path string, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return replaceFile(path, fmt.Appendf(nil, "%08x\n%s\n", crc32.Checksum(body, crcTable()), body))
}

func readChecked(path string, v any) error {
	body, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text, err := checked(body)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, v)
}

// findFilms takes in the films that are there.
func (a *Archive) findFilms() error {
	entries, err := os.ReadDir(filepath.Join(a.cfg.Dir, filmsDir))
	if err != nil {
		return err
	}
	for _, e := range entries {
		id, gone := strings.CutSuffix(e.Name(), goneSuffix)
		switch {
		case gone:
			a.gone[id] = true
			continue
		case checkClip(id) != nil || strings.HasSuffix(id, ".new"):
			continue
		}
		var d filmed
		if err := readChecked(a.filmPath(id), &d); err != nil || d.Clip.ID != id {
			a.setFilmAside(id, errors.Join(err, errCorrupt))
			continue
		}
		a.clips[id] = &clip{about: d.Clip}
	}
	return nil
}

func (a *Archive) setFilmAside(id string, cause error) {
	path := a.filmPath(id)
	a.stats.SetAside++
	a.log.Error("a film cannot be read and is set aside", "clip", id, "err", cause)
	if err := os.Rename(path, path+badSuffix); err != nil {
		a.log.Error("setting it aside failed", "clip", id, "err", err)
	}
}

// filmReader reads a film as the MP4 file that it is.
type filmReader struct {
	a      *Archive
	d      filmed
	ends   []int64 // where each piece ends, in the file
	at     int64
	have   int // the fragment in data, -1 for none
	data   []byte
	closed bool
}

func (a *Archive) openFilm(id string) (*filmReader, error) {
	r := &filmReader{a: a, have: -1}
	if err := readChecked(a.filmPath(id), &r.d); err != nil {
		return nil, fmt.Errorf("open clip %q: %w", id, err)
	}
	end := int64(len(r.d.Head))
	for n := range len(r.d.Pieces) / pieceSize {
		p := r.piece(n)
		if int(p.source) >= len(r.d.Fragments) {
			return nil, fmt.Errorf("open clip %q: %w", id, errCorrupt)
		}
		end += int64(p.length)
		r.ends = append(r.ends, end)
	}
	if end != r.d.Clip.Size {
		return nil, fmt.Errorf("open clip %q: %w", id, errCorrupt)
	}
	return r, nil
}

func (r *filmReader) piece(n int) piece {
	b := r.d.Pieces[n*pieceSize:]
	return piece{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])}
}

func (r *filmReader) Size() int64        { return r.d.Clip.Size }
func (r *filmReader) Clip() station.Clip { return r.d.Clip }

func (r *filmReader) Read(p []byte) (int, error) {
	switch {
	case r.closed:
		return 0, os.ErrClosed
	case r.at >= r.d.Clip.Size:
		return 0, io.EOF
	case r.at < int64(len(r.d.Head)):
		n := copy(p, r.d.Head[r.at:])
		r.at += int64(n)
		return n, nil
	}
	n := sort.Search(len(r.ends), func(i int) bool { return r.ends[i] > r.at })
	q := r.piece(n)
	if int(q.source) != r.have {
		name := r.d.Fragments[q.source]
		data, err := r.a.fetch(r.d.Clip.Camera, name)
		if err != nil {
			return 0, fmt.Errorf("read clip %q: %w", r.d.Clip.ID, err)
		}
		r.have, r.data = int(q.source), data
	}
	if int64(q.offset)+int64(q.length) > int64(len(r.data)) {
		return 0, fmt.Errorf("read clip %q: %w", r.d.Clip.ID, errCorrupt)
	}
	left := r.ends[n] - r.at
	k := copy(p, r.data[int64(q.offset)+int64(q.length)-left:int64(q.offset)+int64(q.length)])
	r.at += int64(k)
	return k, nil
}

func (r *filmReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.d.Clip.Size
	}
	if offset < 0 {
		return 0, errors.New("seek before the beginning of a clip")
	}
	r.at = offset
	return offset, nil
}

func (r *filmReader) Close() error {
	r.closed, r.data = true, nil
	return nil
}

// fetch reads a fragment from wherever there is a copy of it.
func (a *Archive) fetch(camera string, name fragmentName) ([]byte, error) {
	a.mu.Lock()
	var volumes []*volume
	for _, v := range a.volumes {
		if t := v.tracks[camera]; t != nil && t.holds(name.Start) {
			volumes = append(volumes, v)
		}
	}
	// Those that are kept longest first: nobody is about to drop them.
	for i, j := 0, len(volumes)-1; i < j; i, j = i+1, j-1 {
		volumes[i], volumes[j] = volumes[j], volumes[i]
	}
	pin(volumes)
	a.mu.Unlock()
	defer a.unpin(volumes)
	err := error(errGone)
	for _, v := range volumes {
		var data []byte
		e := a.read(v, func(r view) (err error) {
			_, data, err = r.fragment(camera, name.Start)
			return err
		})
		if e == nil && sumOf(data) == name.CRC {
			return data, nil
		}
		if e != nil {
			err = e
		}
	}
	return nil, err
}

// sumOf is the CRC-32C of a fragment's MP4 data.
func sumOf(data []byte) uint32 { return crc32.Checksum(data, crcTable()) }

// goneSuffix marks a film whose pictures were dropped and which the core has not
// been told of yet; see Gone.
const goneSuffix = ".gone"
