package devices

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash/fnv"
	"time"

	"stationd/devices/payload"
)

// message is what any broker delivered.
type message struct {
	broker, client, topic string
	payload               []byte
	retained, duplicate   bool
	will                  bool
	waited                time.Duration // at the broker, perhaps; as in mqtt.Message
	packetID              uint16
	account               string // of the built-in broker
	flood                 bool   // its client sends more than it may
}

// link is the connection's own name: whoever sends a message again does so under
// the same one.
func (m *message) link() string {
	if len(m.client) <= maxLinkName {
		return m.broker + "/" + m.client
	}
	sum := sha256.Sum256([]byte(m.client)) // a device may call itself what it likes
	return m.broker + "/" + hex.EncodeToString(sum[:16])
}

const maxLinkName = 64

// fingerprint names the transmission. What has no packet identifier is never
// sent again, so it has none.
func (m *message) fingerprint() uint64 {
	if m.packetID == 0 {
		return 0
	}
	h := fnv.New64a()
	for _, part := range []string{m.broker, m.client, m.topic} {
		_, _ = h.Write([]byte(part))
		_, _ = h.Write([]byte{0})
	}
	var id [2]byte
	binary.BigEndian.PutUint16(id[:], m.packetID)
	_, _ = h.Write(id[:])
	_, _ = h.Write(m.payload)
	return h.Sum64()
}

// content names what the message says, and where.
func (m *message) content() uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(m.topic))
	_, _ = h.Write([]byte{0})
	_, _ = h.Write(m.payload)
	return h.Sum64()
}

// age is how old the news is: by the sender's clock alone, where it tells what that
// shows.
func age(r payload.Reading, now time.Time) time.Duration {
	if !r.SentAt.IsZero() && !r.SentAt.Before(r.DeviceTime) {
		return r.SentAt.Sub(r.DeviceTime)
	}
	return now.Sub(r.DeviceTime)
}

// writable is a device's time in a form that can be stored, zero where there is
// none: a zone of a whole day and the year 10000 can be read and not be written,
// and a message that cannot be stored would come again for ever.
func writable(at time.Time) time.Time {
	at = at.UTC()
	if at.Year() < 1 || at.Year() > 9998 {
		return time.Time{}
	}
	return at
}
