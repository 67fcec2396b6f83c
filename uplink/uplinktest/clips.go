package uplinktest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"sync"
	"time"

	"stationd/agent/station"
	"stationd/uplink"
	"stationd/uplink/centre"
)

// Clips are a station's pending clips in memory, most pressing first.
type Clips struct {
	mu      sync.Mutex
	pending []station.Clip
	data    map[string][]byte
	done    []string
	lost    []string
	changed chan struct{}
}

// NewClips makes an empty list.
func NewClips() *Clips { return &Clips{data: map[string][]byte{}, changed: make(chan struct{})} }

// Add appends a clip, or puts it first.
func (c *Clips) Add(id string, data []byte, first bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	sum := sha256.Sum256(data)
	clip := station.Clip{ID: id, Status: station.ClipReady, Size: int64(len(data)), SHA256: hex.EncodeToString(sum[:])}
	c.data[id] = data
	if first {
		c.pending = slices.Insert(c.pending, 0, clip)
	} else {
		c.pending = append(c.pending, clip)
	}
	c.wake()
}

func (c *Clips) wake() {
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *Clips) PendingClips(context.Context) ([]station.Clip, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.pending), nil
}

func (c *Clips) OpenClip(id string) (uplink.ClipReader, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	data, ok := c.data[id]
	if !ok {
		return nil, station.ErrNotFound
	}
	return clipReader{bytes.NewReader(data)}, nil
}

type clipReader struct{ *bytes.Reader }

func (clipReader) Close() error { return nil }

func (c *Clips) ClipUploaded(_ context.Context, id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending = slices.DeleteFunc(c.pending, func(x station.Clip) bool { return x.ID == id })
	c.done = append(c.done, id)
	c.wake()
	return nil
}

func (c *Clips) ClipLost(_ context.Context, id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending = slices.DeleteFunc(c.pending, func(x station.Clip) bool { return x.ID == id })
	c.lost = append(c.lost, id)
	c.wake()
	return nil
}

// Lose removes the film of a clip that ended at to, and leaves the clip pending.
func (c *Clips) Lose(id string, to time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.data, id)
	for i := range c.pending {
		if c.pending[i].ID == id {
			c.pending[i].To = to
		}
	}
}

// Lost lists what was given up, in order.
func (c *Clips) Lost() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.lost)
}

func (c *Clips) ClipsChanged() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

// Done lists what was reported as uploaded, in order.
func (c *Clips) Done() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.done)
}

// ClipStore is a centre's store of clips in memory.
type ClipStore struct {
	// Written, when set, is called after each piece; its error fails the piece
	// after it was stored, as a crash would.
	Written func(id string, offset int64) error
	// Refuse, when set, is asked before a clip is begun or resumed.
	Refuse func(id string) error

	mu    sync.Mutex
	clips map[string]*stored
}

type stored struct {
	node   station.NodeID
	size   int64
	sha256 string
	data   []byte
	whole  bool
}

// NewClipStore makes an empty store.
func NewClipStore() *ClipStore { return &ClipStore{clips: map[string]*stored{}} }

func (s *ClipStore) Receive(_ context.Context, node station.NodeID, id string, size int64, sum string) (centre.Receiving, error) {
	if s.Refuse != nil {
		if err := s.Refuse(id); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clips[id]
	if c == nil {
		c = &stored{node: node, size: size, sha256: sum}
		s.clips[id] = c
	}
	if c.node != node {
		return nil, station.Errorf(403, "clip.foreign", "", "this clip is another station's")
	}
	return &receiving{s, id, c}, nil
}

// Clip gives a clip that is whole.
func (s *ClipStore) Clip(id string) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.clips[id]; c != nil && c.whole {
		return bytes.Clone(c.data), true
	}
	return nil, false
}

// Damage flips a bit of what has come of a clip, as a bad disk would.
func (s *ClipStore) Damage(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clips[id].data[0] ^= 1
}

type receiving struct {
	s  *ClipStore
	id string
	c  *stored
}

func (r *receiving) Offset() int64 {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return int64(len(r.c.data))
}

func (r *receiving) Write(b []byte) (int, error) {
	r.s.mu.Lock()
	r.c.data = append(r.c.data, b...)
	n := int64(len(r.c.data))
	r.s.mu.Unlock()
	if r.s.Written != nil {
		if err := r.s.Written(r.id, n); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

func (r *receiving) Finish() error {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	if sum := sha256.Sum256(r.c.data); hex.EncodeToString(sum[:]) != r.c.sha256 {
		delete(r.s.clips, r.id)
		return station.Errorf(422, "clip.corrupt", "it is sent again from the start", "the clip is not what it should be")
	}
	r.c.whole = true
	return nil
}

func (r *receiving) Close() error { return nil }

var (
	_ uplink.Clips     = (*Clips)(nil)
	_ centre.ClipStore = (*ClipStore)(nil)
)
