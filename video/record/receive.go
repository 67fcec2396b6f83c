package record

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"stationd/agent/station"
	"stationd/agent/store/disk"
)

// Receiving is a clip that comes from another node, piece by piece. It survives
// restarts: whoever sends it asks for the Offset and goes on from there.
type Receiving struct {
	a    *Archive
	id   string
	want int64
	sum  string

	mu   sync.Mutex
	file *clipFile // nil when whole, closed or taken over
	done bool
	err  error
}

// wantName is the file that tells what a half clip is to become.
const wantName = "want"

var errTakenOver = station.Errorf(409, "clip.taken-over", "let one connection send it", "the clip is being sent over another connection")

// ReceiveClip begins to receive a clip of size bytes with the given SHA-256, or
// goes on with it. The last caller has it: an earlier Receiving of the same clip
// ends with an error, because its connection is the one that hangs.
func (a *Archive) ReceiveClip(id string, size int64, sum string) (*Receiving, error) {
	sum = strings.ToLower(sum)
	if err := checkClip(id); err != nil {
		return nil, err
	}
	if b, err := hex.DecodeString(sum); err != nil || len(b) != sha256.Size || size <= 0 {
		return nil, station.Errorf(400, "clip.announced", "announce its size and its SHA-256", "the clip's size or checksum cannot be right")
	}
	a.mu.Lock()
	old := a.receiving[id]
	a.mu.Unlock()
	if old != nil {
		old.end(errTakenOver)
	}

	r := &Receiving{a: a, id: id, want: size, sum: sum}
	a.mu.Lock()
	switch have := a.clips[id]; {
	case a.closed:
		a.mu.Unlock()
		return nil, os.ErrClosed
	case have != nil:
		a.mu.Unlock()
		if have.about.Size != size || have.about.SHA256 != sum {
			return nil, station.Errorf(409, "clip.differs", "give the new clip an ID of its own", "a different clip with this ID is here already")
		}
		r.done = true
		return r, nil
	case a.receiving[id] != nil:
		a.mu.Unlock()
		return nil, errTakenOver
	}
	a.receiving[id] = r
	r.mu.Lock() // nobody else knows r yet
	a.mu.Unlock()
	defer r.mu.Unlock()
	if err := r.open(); err != nil {
		r.release()
		return nil, fmt.Errorf("receive clip %q: %w", id, err)
	}
	return r, nil
}

// open opens the half clip, if it is a half of the same, or begins a new one.
func (r *Receiving) open() error {
	dir := r.a.clipDir(r.id) + partSuffix
	want := fmt.Sprintf("%d %s\n", r.want, r.sum)
	if b, err := os.ReadFile(filepath.Join(dir, wantName)); err != nil || string(b) != want {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	if err := r.a.makeRoom(0, volumeRoom(disk.Bytes(r.want))); err != nil {
		return err
	}
	begin := func() (*clipFile, error) {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
		if err := replaceFile(filepath.Join(dir, wantName), []byte(want)); err != nil {
			return nil, err
		}
		return r.a.createClip(r.id, r.want)
	}
	file, err := begin()
	if err != nil {
		// What cannot be opened is begun anew.
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		if file, err = begin(); err != nil {
			return err
		}
	}
	if file.size() > r.want {
		return errors.Join(errCorrupt, file.discard())
	}
	file.sync = true
	r.file = file
	return nil
}

// Offset is how many bytes are here; the next Write is of those behind them.
func (r *Receiving) Offset() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.done:
		return r.want
	case r.file == nil:
		return 0
	}
	return r.file.size()
}

// Write appends. Every full chunk of 1 MiB is on the disk when it returns; the
// rest is when Close or Finish does.
func (r *Receiving) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.err != nil:
		return 0, r.err
	case r.file == nil:
		return 0, os.ErrClosed
	case r.file.size()+int64(len(p)) > r.want:
		return 0, station.Errorf(400, "clip.too-long", "announce the size that is sent", "more is sent than was announced")
	}
	return r.file.Write(p)
}

// Finish checks that the clip is whole and what was announced, and keeps it. A
// clip with another checksum is thrown away, and has to be sent again from the
// beginning.
func (r *Receiving) Finish() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.done:
		return nil
	case r.err != nil:
		return r.err
	case r.file == nil:
		return os.ErrClosed
	case r.file.size() < r.want:
		return station.Errorf(409, "clip.incomplete", "send the rest", "%d of %d bytes are here", r.file.size(), r.want)
	}
	err := r.finish()
	r.release()
	if err != nil {
		r.err = err
	}
	return err
}

func (r *Receiving) finish() error {
	file := r.file
	if err := file.put(); err != nil {
		return fmt.Errorf("receive clip %q: %w", r.id, err)
	}
	got, err := file.checksum()
	if err != nil && !errors.Is(err, errCorrupt) {
		return errors.Join(fmt.Errorf("receive clip %q: %w", r.id, err), file.abandon())
	}
	if err != nil || got != r.sum {
		return errors.Join(
			station.Errorf(422, "clip.checksum", "send it again from the beginning", "the clip that came is not the one that was announced; it was thrown away"),
			file.discard())
	}
	about := station.Clip{ID: r.id, Status: station.ClipReady, Size: r.want, SHA256: r.sum}
	if err := os.Remove(filepath.Join(file.v.dir, wantName)); err != nil {
		return errors.Join(fmt.Errorf("receive clip %q: %w", r.id, err), file.abandon())
	}
	if err := r.a.publish(file, about); err != nil {
		return errors.Join(fmt.Errorf("receive clip %q: %w", r.id, err), file.discard())
	}
	r.done = true
	return nil
}

// checksum reads back what is stored.
func (f *clipFile) checksum() (string, error) {
	sum := sha256.New()
	for n := int64(0); n*chunkSize < f.size(); n++ {
		err := f.v.view(func(txn txn) error {
			b, err := readChunk(txn, n)
			if err == nil && int64(len(b)) != min(chunkSize, f.size()-n*chunkSize) {
				err = errCorrupt
			}
			sum.Write(b)
			return err
		})
		if err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// Close stores what came so far and keeps it for another time. After Finish it
// does nothing.
func (r *Receiving) Close() error { return r.end(os.ErrClosed) }

func (r *Receiving) end(why error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file == nil {
		return nil
	}
	err := errors.Join(r.file.put(), r.file.abandon())
	r.err = why
	r.release()
	return err
}

// release forgets the file. r.mu is held.
func (r *Receiving) release() {
	r.file = nil
	r.a.mu.Lock()
	defer r.a.mu.Unlock()
	if r.a.receiving[r.id] == r {
		delete(r.a.receiving, r.id)
	}
}
