package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"

	"stationd/agent/station"
	"stationd/agent/store/disk"
)

// A clip that came from another node, or was made by an earlier version, is a file
// of chunks in a Badger database of its own. One directory a clip means that removing one gives its space back at once, that a bad sector
// costs one clip, and that the bytes of a clip are never moved again.

// chunkSize is the size of every chunk of a clip but its last.
const chunkSize = int64(disk.MiB)

// partSuffix marks the directory of a clip that is not whole yet.
const partSuffix = ".part"

// clip is a whole clip: a file of chunks, or where volume is nil a film.
type clip struct {
	volume *volume
	about  station.Clip
}

var clipID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,119}$`)

func checkClip(id string) error {
	if !clipID.MatchString(id) || strings.HasSuffix(id, partSuffix) || strings.HasSuffix(id, badSuffix) {
		return station.Errorf(400, "clip.id", "use letters, digits, '.', '_' and '-'", "%q cannot name a clip", id)
	}
	return nil
}

func (a *Archive) clipDir(id string) string { return filepath.Join(a.cfg.Dir, clipsDir, id) }

// findClips reads the seals of the clips.
func (a *Archive) findClips() error {
	root := filepath.Join(a.cfg.Dir, clipsDir)
	entries, err := os.ReadDir(root)
	if err != nil {
		return err
	}
	for _, e := range entries {
		dir := filepath.Join(root, e.Name())
		if strings.HasSuffix(e.Name(), badSuffix) {
			a.aside[dir] = sizeOf(dir)
			continue
		}
		if strings.HasSuffix(e.Name(), partSuffix) {
			if stale(dir) {
				if err := os.RemoveAll(dir); err != nil {
					a.log.Warn("removing a half clip failed", "dir", dir, "err", err)
				}
			}
			continue
		}
		if checkClip(e.Name()) != nil {
			continue
		}
		v := &volume{dir: dir, log: a.log}
		v.sealed.Store(true)
		c := &clip{volume: v}
		if v.files, v.bytes, err = readSeal(dir, &c.about); err != nil || c.about.ID != e.Name() {
			a.setAside(v, errors.Join(err, errCorrupt))
			continue
		}
		a.clips[e.Name()] = c
	}
	return nil
}

// keepHalf is how long a half clip waits for its sender.
const keepHalf = 30 * 24 * time.Hour

// stale tells that a half clip is of no use any more: nobody has sent more of it
// for long, or it was being made here and will be made anew.
func stale(dir string) bool {
	fi, err := os.Stat(filepath.Join(dir, wantName))
	return err != nil || time.Since(fi.ModTime()) > keepHalf
}

func chunkKey(n int64) []byte { return binary.BigEndian.AppendUint64([]byte{'c'}, uint64(n)) }

// chunkValue puts the chunk's CRC-32C in front.
func chunkValue(key, data []byte) []byte {
	b := make([]byte, 4, 4+len(data))
	binary.BigEndian.PutUint32(b, crc32.Update(crc32.Checksum(key, crcTable()), crcTable(), data))
	return append(b, data...)
}

func readChunk(txn txn, n int64) ([]byte, error) {
	key := chunkKey(n)
	item, err := txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	b, err := item.ValueCopy(nil)
	if err != nil {
		return nil, err
	}
	if len(b) < 4 || binary.BigEndian.Uint32(b) != crc32.Update(crc32.Checksum(key, crcTable()), crcTable(), b[4:]) {
		return nil, errCorrupt
	}
	return b[4:], nil
}

// clipFile is a clip that is being written. It is not safe for concurrent use.
type clipFile struct {
	v    *volume
	full int64  // chunks stored
	tail []byte // behind them
	sync bool   // force every chunk to the disk
}

// createClip begins a clip of at most size bytes, or goes on with what is there
// of it.
func (a *Archive) createClip(id string, size int64) (*clipFile, error) {
	dir := a.clipDir(id) + partSuffix
	// Chunks have their CRCs and entries their frames; the last chunk is written
	// again whenever a transfer breaks off.
	room := disk.Bytes(size + size/1000 + 8*chunkSize)
	if room > maxClip {
		return nil, station.Errorf(413, "clip.too-large", "ask for a shorter clip", "the clip would be larger than %s", maxClip)
	}
	db, err := create(dir, room, a.log)
	if err != nil {
		return nil, err
	}
	f := &clipFile{v: &volume{dir: dir, log: a.log, db: db, writes: true}}
	err = f.v.view(func(txn txn) error {
		for n := int64(0); ; n++ {
			b, err := readChunk(txn, n)
			if err != nil && !errors.Is(err, errCorrupt) {
				return err
			}
			if int64(len(b)) < chunkSize {
				f.full, f.tail = n, b
				return nil
			}
		}
	})
	if err != nil {
		return nil, errors.Join(err, f.abandon())
	}
	return f, nil
}

// maxClip is the largest clip: what one value log holds.
const maxClip = 1900 * disk.MiB

func (f *clipFile) size() int64 { return f.full*chunkSize + int64(len(f.tail)) }

func (f *clipFile) Write(p []byte) (int, error) {
	n := 0
	for len(p) > 0 {
		k := min(int(chunkSize)-len(f.tail), len(p))
		f.tail = append(f.tail, p[:k]...)
		p = p[k:]
		n += k
		if int64(len(f.tail)) < chunkSize {
			break
		}
		if err := f.put(); err != nil {
			return n - k, err
		}
		f.full++
		f.tail = f.tail[:0]
	}
	return n, nil
}

// put stores the tail as it is.
func (f *clipFile) put() error {
	if len(f.tail) == 0 {
		return nil
	}
	key := chunkKey(f.full)
	value := chunkValue(key, f.tail)
	return faults(func() error {
		err := f.v.db.Update(func(txn *badger.Txn) error { return txn.Set(key, value) })
		if err == nil && f.sync {
			err = f.v.db.Sync()
		}
		return err
	})
}

// abandon closes the file and leaves it for another time.
func (f *clipFile) abandon() error {
	f.v.mu.Lock()
	defer f.v.mu.Unlock()
	db := f.v.db
	f.v.db = nil
	if db == nil {
		return nil
	}
	return faults(db.Close)
}

// discard closes the file and removes it.
func (f *clipFile) discard() error { return f.v.remove() }

// publish seals the clip and gives it its name; after that it is durable.
func (a *Archive) publish(f *clipFile, c station.Clip) error {
	if err := f.put(); err != nil {
		return err
	}
	size, err := f.v.seal(c)
	if err != nil {
		return err
	}
	dir := a.clipDir(c.ID)
	if err := os.Rename(f.v.dir, dir); err != nil {
		return err
	}
	if err := syncDir(filepath.Dir(dir)); err != nil {
		return err
	}
	v := &volume{dir: dir, log: a.log, files: f.v.files, bytes: size}
	v.sealed.Store(true)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.clips[c.ID] = &clip{volume: v, about: c}
	return nil
}

// makeRoom sees to it that a clip can be written: that more bytes are within the
// clips' quota, and that room is on the disk, for which the rolling record gives
// way.
func (a *Archive) makeRoom(more, room disk.Bytes) error {
	a.mu.Lock()
	a.clipsFull = a.clipsUsed()+more > a.cfg.ClipsMaxBytes
	full := a.clipsFull
	a.mu.Unlock()
	if full {
		return errClipsFull
	}
	need := room + a.cfg.ClipsMinFree + tableRoom
	for a.space.Spare() < need {
		a.mu.Lock()
		oldest := a.oldest(Continuous, false)
		a.mu.Unlock()
		if oldest == nil {
			return station.ErrNoSpace
		}
		a.mu.Lock()
		a.stats.Dropped++
		a.mu.Unlock()
		a.drop(oldest)
	}
	return nil
}

var errClipsFull = station.Errorf(507, "clips.full", "remove clips that are no longer needed, or raise clips_max_bytes", "the clips have taken all the space that they may")

// clipsUsed is what the whole clips take, and those that are being received. The
// lock is held.
func (a *Archive) clipsUsed() disk.Bytes {
	var sum disk.Bytes
	for _, c := range a.clips {
		if c.volume != nil {
			sum += c.volume.bytes
		}
	}
	for _, r := range a.receiving {
		sum += disk.Bytes(r.want)
	}
	return sum
}

// ClipReader reads a clip's MP4 file.
type ClipReader interface {
	io.ReadSeekCloser
	// Size is the file's, in bytes.
	Size() int64
	// Clip is the clip as it was stored.
	Clip() station.Clip
}

// OpenClip opens a whole clip. Close it, so that it can be removed.
func (a *Archive) OpenClip(id string) (ClipReader, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.clips[id]
	if c == nil {
		return nil, station.ErrNotFound
	}
	if c.volume == nil {
		return a.openFilm(id)
	}
	pin([]*volume{c.volume})
	return &clipReader{a: a, v: c.volume, about: c.about, have: -1}, nil
}

// HasClip tells whether a clip is here, whole.
func (a *Archive) HasClip(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.clips[id] != nil
}

// RemoveClip removes a clip for good. What no other clip or mark wants of it goes
// with the volume that it lies in.
func (a *Archive) RemoveClip(id string) error {
	a.mu.Lock()
	c := a.clips[id]
	delete(a.clips, id)
	a.mu.Unlock()
	if c == nil {
		return station.ErrNotFound
	}
	if c.volume != nil {
		a.drop(c.volume)
		return nil
	}
	a.mu.Lock()
	a.clipsFull = false
	a.mu.Unlock()
	if err := os.Remove(a.filmPath(id)); err != nil {
		return fmt.Errorf("remove clip %q: %w", id, err)
	}
	a.sweep()
	return nil
}

// clipReader keeps the chunk that was read last.
type clipReader struct {
	a      *Archive
	v      *volume
	about  station.Clip
	at     int64
	have   int64
	chunk  []byte
	closed bool
}

func (r *clipReader) Size() int64        { return r.about.Size }
func (r *clipReader) Clip() station.Clip { return r.about }

func (r *clipReader) Read(p []byte) (int, error) {
	if r.closed {
		return 0, os.ErrClosed
	}
	if r.at >= r.about.Size {
		return 0, io.EOF
	}
	n := r.at / chunkSize
	if n != r.have {
		var chunk []byte
		err := r.a.read(r.v, func(v view) (err error) {
			chunk, err = readChunk(v.txn, n)
			return err
		})
		if err == nil && int64(len(chunk)) < min(chunkSize, r.about.Size-n*chunkSize) {
			err = errCorrupt
		}
		if err != nil {
			return 0, fmt.Errorf("read clip %q: %w", r.about.ID, err)
		}
		r.have, r.chunk = n, chunk
	}
	// The last chunk may have been stored longer than it was announced.
	end := min(int64(len(r.chunk)), r.about.Size-n*chunkSize)
	k := copy(p, r.chunk[r.at-n*chunkSize:end])
	r.at += int64(k)
	return k, nil
}

func (r *clipReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.about.Size
	}
	if offset < 0 {
		return 0, errors.New("seek before the beginning of a clip")
	}
	r.at = offset
	return offset, nil
}

func (r *clipReader) Close() error {
	if !r.closed {
		r.closed = true
		r.a.unpin([]*volume{r.v})
	}
	return nil
}
