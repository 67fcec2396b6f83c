package broker

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"iter"

	"github.com/mochi-mqtt/server/v2/packets"
)

// A snapshot is what was retained at one moment: snapshotHead, then for each
// message the length of what follows and its CRC-32C, both as four bytes with the
// greatest first, and the message as JSON; at the end a length of zero and the
// number of messages. Each message is whole or recognised as damaged by itself.
const snapshotHead = "stationd retained messages 1\n"

// keptMessage is a retained message in a snapshot. It only gains fields.
type keptMessage struct {
	Topic         string                 `json:"topic"` // as mochi names it
	Payload       []byte                 `json:"payload"`
	QoS           byte                   `json:"qos,omitempty"`
	Origin        string                 `json:"origin,omitempty"`  // the client's id
	Version       byte                   `json:"version,omitempty"` // of the client's MQTT
	Created       int64                  `json:"created"`           // seconds since 1970
	Expiry        int64                  `json:"expiry,omitempty"`  // likewise; zero is never
	PayloadFormat *byte                  `json:"format,omitempty"`
	ContentType   string                 `json:"contentType,omitempty"`
	ResponseTopic string                 `json:"responseTopic,omitempty"`
	Correlation   []byte                 `json:"correlation,omitempty"`
	User          []packets.UserProperty `json:"user,omitempty"`
	Lasts         uint32                 `json:"lasts,omitempty"` // the expiry as the client named it, in seconds
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// writeSnapshot writes messages.
func writeSnapshot(to io.Writer, messages iter.Seq[packets.Packet]) error {
	w := bufio.NewWriterSize(to, 64<<10)
	if _, err := w.WriteString(snapshotHead); err != nil {
		return err
	}
	var head [8]byte
	count := uint32(0)
	for pk := range messages {
		body, err := json.Marshal(keep(pk))
		if err != nil {
			return fmt.Errorf("write the message of %q: %w", pk.TopicName, err)
		}
		binary.BigEndian.PutUint32(head[:4], uint32(len(body)))
		binary.BigEndian.PutUint32(head[4:], crc32.Checksum(body, castagnoli))
		_, _ = w.Write(head[:]) // its error is the next one's
		if _, err := w.Write(body); err != nil {
			return err
		}
		count++
	}
	binary.BigEndian.PutUint32(head[:4], 0)
	binary.BigEndian.PutUint32(head[4:], count)
	_, _ = w.Write(head[:])
	return w.Flush()
}

// readSnapshot calls take for each message until there is damage, which is the
// error. No message is larger than about most bytes.
func readSnapshot(from io.Reader, most int, take func(packets.Packet)) error {
	r := bufio.NewReaderSize(from, 64<<10)
	title := make([]byte, len(snapshotHead))
	if _, err := io.ReadFull(r, title); err != nil || string(title) != snapshotHead {
		return errors.Join(errors.New("it does not begin like a snapshot"), err)
	}
	var head [8]byte
	var body bytes.Buffer
	for count := uint32(0); ; count++ {
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return fmt.Errorf("it breaks off after %d messages: %w", count, err)
		}
		length, sum := binary.BigEndian.Uint32(head[:4]), binary.BigEndian.Uint32(head[4:])
		if length == 0 {
			if sum != count {
				return fmt.Errorf("it has %d messages and should have %d", count, sum)
			}
			return nil
		}
		if int64(length) > 2*int64(most)+4096 { // text in JSON is longer than it is
			return fmt.Errorf("message %d is said to have %d bytes", count, length)
		}
		body.Reset() // grows by what there is to read, not by what is promised
		if _, err := io.CopyN(&body, r, int64(length)); err != nil {
			return fmt.Errorf("it breaks off within message %d: %w", count, err)
		}
		var m keptMessage
		if crc32.Checksum(body.Bytes(), castagnoli) != sum {
			return fmt.Errorf("message %d does not have its checksum", count)
		}
		if err := json.Unmarshal(body.Bytes(), &m); err != nil {
			return fmt.Errorf("message %d: %w", count, err)
		}
		if !ValidTopic(m.Topic) || len(m.Payload) == 0 || m.QoS > 2 {
			return fmt.Errorf("message %d, to %q, cannot be retained", count, m.Topic)
		}
		take(m.packet())
	}
}

func keep(pk packets.Packet) keptMessage {
	p := pk.Properties
	m := keptMessage{
		Topic: pk.TopicName, Payload: pk.Payload, QoS: pk.FixedHeader.Qos, Origin: pk.Origin, Version: pk.ProtocolVersion, Created: pk.Created, Expiry: pk.Expiry,
		ContentType: p.ContentType, ResponseTopic: p.ResponseTopic, Correlation: p.CorrelationData, User: p.User, Lasts: p.MessageExpiryInterval,
	}
	if p.PayloadFormatFlag {
		m.PayloadFormat = &p.PayloadFormat
	}
	return m
}

func (m keptMessage) packet() packets.Packet {
	pk := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Retain: true, Qos: m.QoS},
		TopicName:   m.Topic, Payload: m.Payload, Origin: m.Origin, ProtocolVersion: m.Version, Created: m.Created, Expiry: m.Expiry,
		Properties: packets.Properties{
			ContentType: m.ContentType, ResponseTopic: m.ResponseTopic, CorrelationData: m.Correlation, User: m.User, MessageExpiryInterval: m.Lasts,
		},
	}
	if m.PayloadFormat != nil {
		pk.Properties.PayloadFormat, pk.Properties.PayloadFormatFlag = *m.PayloadFormat, true
	}
	return pk
}
