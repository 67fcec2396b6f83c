package station

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"
)

// NodeID names one installation of stationd for its whole life: a station, a
// sub-centre or a centre. It is lower-case letters, digits and hyphens, 1 to 63
// of them, so that it can stand in an MQTT topic, a path and a certificate.
type NodeID string

// Validate reports why id cannot name a node.
func (id NodeID) Validate() error {
	if len(id) == 0 || len(id) > 63 {
		return fmt.Errorf("node id %q: want 1 to 63 characters", string(id))
	}
	for _, r := range id {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' {
			return fmt.Errorf("node id %q: only a-z, 0-9 and '-' are allowed, found %q", string(id), r)
		}
	}
	return nil
}

// Epoch distinguishes the lives of one node's store. It is random and renewed
// whenever a store is created or restored from a backup, so that a sequence
// which was set back can never be taken for one that was seen before.
type Epoch string

// NewEpoch draws an epoch: 16 hexadecimal digits.
func NewEpoch() Epoch {
	var b [8]byte
	_, _ = rand.Read(b[:]) // crypto/rand.Read never fails since Go 1.24
	return Epoch(hex.EncodeToString(b[:]))
}

// Origin is the identity of an event: the node that wrote it, the life of that
// node's store, and its place in that store's journal. It stays the same on
// every hop upwards.
type Origin struct {
	Node  NodeID `json:"node"`
	Epoch Epoch  `json:"epoch"`
	Seq   uint64 `json:"seq"`
}

// String is the origin in one word, for logs.
func (o Origin) String() string { return fmt.Sprintf("%s/%s/%d", o.Node, o.Epoch, o.Seq) }

// NewID draws a UUID of version 7 (RFC 9562): unique everywhere, and ordered by
// its millisecond when compared as text.
func NewID() string { return newID(time.Now()) }

func newID(now time.Time) string {
	var b [16]byte
	_, _ = rand.Read(b[6:])
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(now.UnixMilli()))
	copy(b[:6], ms[2:])
	b[6] = b[6]&0x0f | 0x70
	b[8] = b[8]&0x3f | 0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
