package protocol

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"stationd/agent/station"
)

// Limits of a batch. A parent may be fed by strangers; nothing larger is read.
const (
	MaxBatchBytes = 1 << 20
	MaxBatch      = 1024
	// MaxEventBytes is the largest encoded event. One that is larger travels
	// without its data and says so (Omitted), so that it cannot block its lane.
	MaxEventBytes = 512 << 10

	maxName = 512 // type, subject, id, actor
)

// Envelope is one event on its way, with the numbers of this hop.
type Envelope struct {
	// Epoch is the life of the sender's store, and Event.Seq the place in the
	// sender's journal. Event.Origin is the identity, which for an event that
	// came from below, or from an earlier life of the store, is another one.
	Epoch station.Epoch
	// Hop counts densely within target, lane and epoch, from 1.
	Hop   uint64
	Event station.Event
	// Omitted is the size of the data that was too large to travel; else zero.
	Omitted uint64
}

// event is the CloudEvents 1.0 JSON form. Extension attributes are lower-case
// alphanumeric, as the specification demands.
type event struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Source          string          `json:"source"`
	Type            string          `json:"type"`
	Subject         string          `json:"subject,omitempty"`
	Time            time.Time       `json:"time"`
	DataContentType string          `json:"datacontenttype,omitempty"`
	Lane            station.Lane    `json:"lane"`
	Epoch           station.Epoch   `json:"epoch"`
	Seq             Decimal         `json:"seq"`
	Hop             Decimal         `json:"hop"`
	ONode           station.NodeID  `json:"onode,omitempty"`
	OEpoch          station.Epoch   `json:"oepoch,omitempty"`
	OSeq            *Decimal        `json:"oseq,omitempty"`
	Actor           string          `json:"actor,omitempty"`
	Omitted         *Decimal        `json:"omitted,omitempty"`
	Data            json.RawMessage `json:"data,omitempty"`
}

const sourcePrefix = "/nodes/"

// AppendEvent appends one encoded event, as an element of a batch, to b. An
// event above MaxEventBytes loses its data and gains the attribute omitted.
func AppendEvent(b []byte, sender station.NodeID, e Envelope) ([]byte, error) {
	ev := e.Event
	w := event{
		SpecVersion: "1.0", ID: ev.ID, Source: sourcePrefix + string(sender), Type: ev.Type, Subject: ev.Subject,
		Time: ev.Time, Lane: ev.Lane, Epoch: e.Epoch, Seq: Decimal(ev.Seq), Hop: Decimal(e.Hop), Actor: ev.Actor,
	}
	if o := ev.Origin; o != (station.Origin{Node: sender, Epoch: e.Epoch, Seq: ev.Seq}) && o != (station.Origin{}) {
		seq := Decimal(o.Seq)
		w.Source = sourcePrefix + string(o.Node)
		w.ONode, w.OEpoch, w.OSeq = o.Node, o.Epoch, &seq
	}
	switch {
	case e.Omitted > 0:
		n := Decimal(e.Omitted)
		w.Omitted = &n
	case len(ev.Data) > MaxEventBytes-8*maxName:
		n := Decimal(len(ev.Data))
		w.Omitted = &n
	case len(ev.Data) > 0:
		w.Data, w.DataContentType = ev.Data, "application/json"
	}
	enc, err := json.Marshal(w)
	if err != nil {
		return b, fmt.Errorf("encode event %s: %w", ev.Origin, err)
	}
	return append(b, enc...), nil
}

// EncodeBatch encodes a batch. The caller keeps to MaxBatchBytes.
func EncodeBatch(sender station.NodeID, batch []Envelope) ([]byte, error) {
	b := []byte{'['}
	for i, e := range batch {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = AppendEvent(b, sender, e); err != nil {
			return nil, err
		}
	}
	return append(b, ']'), nil
}

// DecodeBatch decodes what sender sent on a lane's topic and checks all that
// can be checked without memory: one lane, one epoch, sequence numbers that
// rise, and hop numbers without a gap inside the batch.
func DecodeBatch(sender station.NodeID, lane station.Lane, payload []byte) ([]Envelope, error) {
	if len(payload) > MaxBatchBytes {
		return nil, ErrTooLarge
	}
	payload, err := expand(payload)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(payload))
	if t, err := dec.Token(); err != nil || t != json.Delim('[') {
		return nil, malformed(fmt.Errorf("a batch is a JSON array"))
	}
	var batch []Envelope
	for dec.More() {
		if len(batch) == MaxBatch {
			return nil, ErrTooLarge
		}
		var w event
		if err := dec.Decode(&w); err != nil {
			return nil, malformed(err)
		}
		e, err := w.open(sender)
		if err != nil {
			return nil, err
		}
		if e.Event.Lane != lane {
			return nil, malformed(fmt.Errorf("event of lane %.20q on the topic of lane %q", string(e.Event.Lane), string(lane)))
		}
		if n := len(batch); n > 0 {
			last := batch[n-1]
			if e.Epoch != last.Epoch || e.Hop != last.Hop+1 || e.Event.Seq <= last.Event.Seq {
				return nil, malformed(fmt.Errorf("hop %d seq %d cannot follow hop %d seq %d", e.Hop, e.Event.Seq, last.Hop, last.Event.Seq))
			}
		}
		batch = append(batch, e)
	}
	if _, err := dec.Token(); err != nil {
		return nil, malformed(err)
	}
	if len(bytes.TrimSpace(payload[dec.InputOffset():])) > 0 {
		return nil, malformed(fmt.Errorf("something follows the batch"))
	}
	if len(batch) == 0 {
		return nil, malformed(fmt.Errorf("the batch is empty"))
	}
	return batch, nil
}

// open judges one event and gives it back in our words.
func (w *event) open(sender station.NodeID) (Envelope, error) {
	if w.SpecVersion != "1.0" {
		return Envelope{}, ErrVersion.Because(fmt.Errorf("CloudEvents %.20q, want 1.0", w.SpecVersion))
	}
	source, ok := strings.CutPrefix(w.Source, sourcePrefix)
	switch {
	case !ok || station.NodeID(source).Validate() != nil:
		return Envelope{}, malformed(fmt.Errorf("source %.80q is no node", w.Source))
	case w.ID == "" || w.Type == "" || len(w.ID) > maxName || len(w.Type) > maxName || len(w.Subject) > maxName || len(w.Actor) > maxName:
		return Envelope{}, malformed(fmt.Errorf("id, type, subject or actor is missing or too long"))
	case !knownLane(w.Lane):
		return Envelope{}, malformed(fmt.Errorf("unknown lane %.20q", string(w.Lane)))
	case !validEpoch(w.Epoch) || w.Seq == 0 || w.Hop == 0:
		return Envelope{}, malformed(fmt.Errorf("epoch, seq or hop is missing"))
	case w.Time.IsZero():
		return Envelope{}, malformed(fmt.Errorf("time is missing"))
	}
	e := Envelope{Epoch: w.Epoch, Hop: uint64(w.Hop), Event: station.Event{
		Seq: uint64(w.Seq), ID: w.ID, Type: w.Type, Subject: w.Subject, Lane: w.Lane, Time: w.Time, Actor: w.Actor,
		Origin: station.Origin{Node: sender, Epoch: w.Epoch, Seq: uint64(w.Seq)},
	}}
	if w.ONode != "" || w.OEpoch != "" || w.OSeq != nil {
		if w.OSeq == nil || *w.OSeq == 0 || !validEpoch(w.OEpoch) || string(w.ONode) != source {
			return Envelope{}, malformed(fmt.Errorf("the origin is incomplete or is not the source"))
		}
		e.Event.Origin = station.Origin{Node: w.ONode, Epoch: w.OEpoch, Seq: uint64(*w.OSeq)}
	} else if station.NodeID(source) != sender {
		return Envelope{}, malformed(fmt.Errorf("source %q is not the sender and no origin is named", source))
	}
	if w.Omitted != nil {
		e.Omitted = uint64(*w.Omitted)
	}
	if len(w.Data) > 0 && string(w.Data) != "null" {
		e.Event.Data = w.Data
	}
	return e, nil
}

func validEpoch(e station.Epoch) bool {
	if len(e) == 0 || len(e) > 64 {
		return false
	}
	for _, r := range e {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' {
			return false
		}
	}
	return true
}

func malformed(err error) error { return ErrMalformed.Because(err) }

// String is the envelope in one word, for logs and failures of tests.
func (e Envelope) String() string {
	return string(e.Event.Lane) + "#" + strconv.FormatUint(e.Hop, 10) + "=" + e.Event.Origin.String()
}
