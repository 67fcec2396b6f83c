package protocol_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"stationd/agent/station"
	"stationd/uplink/protocol"
)

// TestCompress: what is agreed upon goes smaller and comes back the same; who does
// not know it is sent the plain form; a bomb is refused before it opens.
func TestCompress(t *testing.T) {
	var batch []protocol.Envelope
	for i := range uint64(100) {
		batch = append(batch, protocol.Envelope{Epoch: "00aa", Hop: i + 1, Event: station.Event{
			Seq: i + 1, ID: "x", Type: station.EventReading, Subject: "sensor/1", Lane: station.LaneBulk, Time: time.Unix(1_700_000_000, 0).UTC(), Data: []byte(`{"temperature":21.5}`),
			Origin: station.Origin{Node: "cunju-1", Epoch: "00aa", Seq: i + 1},
		}})
	}
	plain, err := protocol.EncodeBatch("cunju-1", batch)
	if err != nil {
		t.Fatal(err)
	}
	if got := protocol.Compress("brotli", plain); !bytes.Equal(got, plain) {
		t.Error("an unknown compression was used")
	}
	small := protocol.Compress(protocol.ChooseCompression([]string{"brotli", protocol.Zstd}), plain)
	if len(small)*5 > len(plain) {
		t.Errorf("%d bytes of %d", len(small), len(plain))
	}
	got, err := protocol.DecodeBatch("cunju-1", station.LaneBulk, small)
	if err != nil || len(got) != len(batch) || got[99].Hop != 100 || string(got[99].Event.Data) != string(batch[99].Event.Data) {
		t.Errorf("decoded %d, %v", len(got), err)
	}
	small[len(small)/2] ^= 1
	if _, err := protocol.DecodeBatch("cunju-1", station.LaneBulk, small); !errors.Is(err, protocol.ErrMalformed) {
		t.Errorf("damaged: %v", err)
	}
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{protocol.MaxBatchBytes + 1, 256 << 20} {
		if _, err := protocol.DecodeBatch("cunju-1", station.LaneBulk, enc.EncodeAll(make([]byte, size), nil)); !errors.Is(err, protocol.ErrTooLarge) {
			t.Errorf("a bomb of %d: %v", size, err)
		}
	}
}
