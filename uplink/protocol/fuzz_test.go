package protocol_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stationd/agent/station"
	"stationd/uplink/protocol"
)

// seeds adds the input sides of the golden files.
func seeds(f *testing.F) {
	files, err := filepath.Glob("testdata/*.golden")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		in, _, _ := strings.Cut(string(b), "\n----\n")
		f.Add([]byte(in))
	}
}

// FuzzBatch: whatever is accepted keeps the promises of DecodeBatch and survives
// another round unchanged.
func FuzzBatch(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		batch, err := protocol.DecodeBatch("cunju-1", "urgent", in)
		if err != nil {
			if _, ok := station.AsProblem(err); !ok {
				t.Fatalf("an error that is no problem: %v", err)
			}
			return
		}
		for i, e := range batch {
			if e.Hop == 0 || e.Event.Seq == 0 || e.Event.Lane != "urgent" || e.Event.Origin.Node.Validate() != nil {
				t.Fatalf("accepted %+v", e)
			}
			if i > 0 && (e.Hop != batch[i-1].Hop+1 || e.Event.Seq <= batch[i-1].Event.Seq || e.Epoch != batch[0].Epoch) {
				t.Fatalf("accepted %s behind %s", e, batch[i-1])
			}
		}
		out, err := protocol.EncodeBatch("cunju-1", batch)
		if err != nil {
			t.Skip(err) // a year beyond 9999, for example
		}
		if len(out) > protocol.MaxBatchBytes {
			return
		}
		batch2, err := protocol.DecodeBatch("cunju-1", "urgent", out)
		if err != nil {
			t.Fatalf("own encoding refused: %v\n%s", err, out)
		}
		out2, err := protocol.EncodeBatch("cunju-1", batch2)
		if err != nil || !bytes.Equal(out, out2) {
			t.Fatalf("unstable:\n%s\n%s", out, out2)
		}
	})
}

// FuzzMessages feeds every decoder.
func FuzzMessages(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, kind := range []string{"hello", "welcome", "ack", "signal", "status", "order", "report"} {
			_ = transform(kind, in)
		}
		if topic, ok := protocol.ParseTopic(string(in)); ok && topic.String() != string(in) {
			t.Fatalf("%q became %q", in, topic)
		}
	})
}
