package protocol_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stationd/agent/station"
	"stationd/uplink/protocol"
)

var update = flag.Bool("update", false, "write the output side of the golden files anew")

// TestGolden decodes the input side of each file in testdata and compares what
// this program makes of it, encoded again, with the output side. The name before
// the first dot is the message. A file is never changed: another form is another
// version, with files of its own.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.golden")
	if err != nil || len(files) < 15 {
		t.Fatalf("%d golden files, %v", len(files), err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".golden"), func(t *testing.T) {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			in, want, ok := strings.Cut(string(b), "\n----\n")
			if !ok {
				t.Fatal("there is no line of four hyphens between input and output")
			}
			kind, _, _ := strings.Cut(filepath.Base(name), ".")
			got := transform(kind, []byte(in))
			if *update {
				if err := os.WriteFile(name, []byte(in+"\n----\n"+got+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != strings.TrimSuffix(want, "\n") {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// transform is decode and encode; an error is shown as people would see it.
func transform(kind string, in []byte) string {
	var out []byte
	var err error
	switch kind {
	case "batch":
		var batch []protocol.Envelope
		if batch, err = protocol.DecodeBatch("cunju-1", "urgent", in); err == nil {
			out, err = protocol.EncodeBatch("cunju-1", batch)
		}
	case "hello":
		out, err = again[protocol.Hello](in)
	case "welcome":
		out, err = again[protocol.Welcome](in)
	case "ack":
		out, err = again[protocol.Ack](in)
	case "signal":
		out, err = again[protocol.Signal](in)
	case "status":
		out, err = again[protocol.Status](in)
	case "order":
		out, err = again[protocol.Order](in)
	case "report":
		out, err = again[protocol.Report](in)
	default:
		return "no such message: " + kind
	}
	if err != nil {
		p, _ := station.AsProblem(err)
		return fmt.Sprintf("refused: %s: %v", p.Code, err)
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, out, "", "  "); err != nil {
		return err.Error()
	}
	return pretty.String()
}

func again[M protocol.Message](in []byte) ([]byte, error) {
	m, err := protocol.Decode[M](in)
	if err != nil {
		return nil, err
	}
	return protocol.Encode(m)
}

func TestLimits(t *testing.T) {
	big := []byte(`{"versions":[1],"node":"` + strings.Repeat("x", protocol.MaxMessageBytes) + `"}`)
	if _, err := protocol.Decode[protocol.Hello](big); !errors.Is(err, protocol.ErrTooLarge) {
		t.Errorf("large hello: %v", err)
	}
	if _, err := protocol.DecodeBatch("a", "urgent", make([]byte, protocol.MaxBatchBytes+1)); !errors.Is(err, protocol.ErrTooLarge) {
		t.Errorf("large batch: %v", err)
	}
}

func TestTopics(t *testing.T) {
	for _, s := range []string{
		"cityops/v1/a/hello", "cityops/v1/a/welcome", "cityops/v1/a/events/urgent", "cityops/v1/a/events/bulk", "cityops/v1/a/acks",
		"cityops/v1/a/commands", "cityops/v1/a/receipts", "cityops/v1/a/signal/up", "cityops/v1/a/signal/down", "cityops/v1/a/status",
	} {
		topic, ok := protocol.ParseTopic(s)
		if !ok || topic.String() != s {
			t.Errorf("%s: %+v %t", s, topic, ok)
		}
		if topic.Channel.Up() == topic.Channel.Down() {
			t.Errorf("%s is for both or for neither", s)
		}
	}
	for _, s := range []string{
		"", "#", "cityops/v1/#", "cityops/v1/+/acks", "cityops/v1/a/#", "cityops/v1/a/events", "cityops/v1/a/events/#", "cityops/v1/a/events/fast",
		"cityops/v1/A/acks", "cityops/v2/a/acks", "cityops/v1/a/acks/x", "cityops/v1//acks", "cityops/v1/a/signal", "/cityops/v1/a/acks", "$share/x/cityops/v1/a/acks",
	} {
		if topic, ok := protocol.ParseTopic(s); ok {
			t.Errorf("%q was taken for %+v", s, topic)
		}
	}
}
