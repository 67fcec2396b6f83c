package devices

import (
	"context"

	"stationd/devices/payload"
)

// Take hands in what was heard otherwise than by MQTT, by one of Deps.Feeds, whose
// name stands in the sensors' sources for both broker and family. It returns nil
// once all of it is stored; on an error the sender must be asked to send it again,
// and what was stored already is recognised by its Serial. The readings of one
// sender must come one call after the other.
func (s *Set) Take(ctx context.Context, feed, sender string, readings ...payload.Reading) error {
	s.counts.messages.Add(1)
	m := &message{broker: feed, client: sender, topic: feed + "/" + sender}
	h := &heard{asked: true, families: []string{feed}}
	for _, r := range readings {
		h.readings = append(h.readings, saying{Reading: r, family: feed})
	}
	t := &telling{set: s, message: m, heard: h, registry: s.registry.Load(), refused: func(err error) error { return err }}
	err := t.tell(ctx)
	s.bench.note(m, t, s.now())
	return err
}

// Odd keeps what a feed could not understand.
func (s *Set) Odd(feed, sender string, raw []byte, err error) {
	m := &message{broker: feed, client: sender, topic: feed + "/" + sender, payload: raw}
	s.unread(m, err)
	s.bench.note(m, &telling{set: s, message: m, heard: &heard{asked: true}, odd: err}, s.now())
}
