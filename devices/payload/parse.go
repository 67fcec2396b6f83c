package payload

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// JSON of strangers is read within bounds: its size, its depth, and with numbers
// kept as they were written, so that an identifier of nineteen digits stays one.

// What a payload may be at most.
const (
	// MaxPayload is in bytes; the longest that is meant is a bridge's list of its
	// devices.
	MaxPayload = 4 << 20
	// MaxDepth is how deep objects and arrays may lie in each other.
	MaxDepth = 64
	// MaxReadings is how many readings one message gives; what is beyond is left
	// out.
	MaxReadings = 512
	// maxTopic is in bytes; a device's name may be made of it.
	maxTopic = 2 * MaxText
)

var (
	errTooLong = fmt.Errorf("the payload is longer than %d MiB", MaxPayload>>20)
	errTooDeep = fmt.Errorf("the payload is nested deeper than %d", MaxDepth)
)

// usable tells whether a topic can name a device.
func usable(topic string) error {
	if len(topic) > maxTopic || !utf8.ValidString(topic) {
		return fmt.Errorf("the topic is no text of at most %d bytes: %q", maxTopic, clip(topic))
	}
	return nil
}

// parse reads a JSON payload into maps, slices, json.Numbers, strings and bools.
func parse(payload []byte) (any, error) {
	var root any
	err := parseInto(payload, &root)
	return root, err
}

// parseInto reads a JSON payload into v.
func parseInto(payload []byte, v any) error {
	if err := bounded(payload); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(payload))
	d.UseNumber()
	if err := d.Decode(v); err != nil {
		return err
	}
	if d.More() {
		return errors.New("there is more behind the JSON value")
	}
	return nil
}

// bounded refuses what would take too much room, before any is taken.
func bounded(payload []byte) error {
	if len(payload) > MaxPayload {
		return errTooLong
	}
	depth, quoted := 0, false
	for i := 0; i < len(payload); i++ {
		switch c := payload[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > MaxDepth {
				return errTooDeep
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
}
