package sparkplug_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"stationd/devices/devicestest"
	"stationd/devices/payload"
	"stationd/devices/sparkplug"
)

var update = flag.Bool("update", false, "rewrite the expected halves of the golden files")

// golden is what a broker delivers, message by message, and what must come out.
type golden struct {
	Note   string `json:"note"`
	Source string `json:"source"`
	Steps  []step `json:"steps"`
}

type step struct {
	After    int                           `json:"afterSeconds,omitempty"`
	Topic    string                        `json:"topic"`
	Retained bool                          `json:"retained,omitempty"`
	Message  *devicestest.SparkplugPayload `json:"message,omitempty"`
	Hex      string                        `json:"hex"` // of Message, where there is one

	Readings []payload.Reading `json:"readings,omitempty"`
	Requests []request         `json:"requests,omitempty"`
	Error    string            `json:"error,omitempty"`
}

type request struct {
	Topic string `json:"topic"`
	Hex   string `json:"hex"`
}

func TestGoldenFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/golden/*.json")
	if err != nil || len(files) < 12 {
		t.Fatalf("found %d golden files: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var g golden
			if err := json.Unmarshal(data, &g); err != nil {
				t.Fatal(err)
			}
			if g.Source == "" {
				t.Error("the golden file names no source")
			}
			want := pretty(t, g)
			session := sparkplug.New().Open()
			now := time.UnixMilli(1_790_000_000_000)
			for i := range g.Steps {
				s := &g.Steps[i]
				now = now.Add(time.Duration(s.After) * time.Second)
				if s.Message != nil {
					s.Hex = hex.EncodeToString(s.Message.Encode())
				}
				in, err := hex.DecodeString(s.Hex)
				if err != nil {
					t.Fatal(err)
				}
				r, err := session.Decode(payload.Message{Topic: s.Topic, Payload: in, Retained: s.Retained, Received: now})
				s.Readings, s.Requests, s.Error = r.Readings, nil, ""
				for _, q := range r.Requests {
					s.Requests = append(s.Requests, request{q.Topic, hex.EncodeToString(q.Payload)})
				}
				if err != nil {
					s.Error = steady(err)
				}
			}
			got := pretty(t, g)
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// steady is an error's text; protowire puts an unsteady space into its own.
func steady(err error) string { return strings.ReplaceAll(err.Error(), "\u00a0", " ") }

func pretty(t *testing.T, g golden) string {
	t.Helper()
	out, err := json.MarshalIndent(g, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out) + "\n"
}

func seq(n int) *uint64 { v := uint64(n); return &v }

func alias(n int) *uint64 { return seq(n) }

func birth(n, bd int, metrics ...devicestest.SparkplugMetric) []byte {
	return devicestest.SparkplugPayload{
		Timestamp: 1_790_000_000_000, Seq: seq(n),
		Metrics: append([]devicestest.SparkplugMetric{{Name: "bdSeq", Type: 4, Value: float64(bd)}}, metrics...),
	}.Encode()
}

func data(n int, metrics ...devicestest.SparkplugMetric) []byte {
	return devicestest.SparkplugPayload{Timestamp: 1_790_000_000_000 + uint64(n), Seq: seq(n % 256), Metrics: metrics}.Encode()
}

// line is a broker with one session listening to it.
type line struct {
	t       *testing.T
	session payload.Session
	now     time.Time
}

func newLine(t *testing.T) *line {
	return &line{t, sparkplug.New().Open(), time.UnixMilli(1_790_000_000_000)}
}

func (l *line) say(topic string, body []byte) payload.Result {
	l.t.Helper()
	r, err := l.session.Decode(payload.Message{Topic: topic, Payload: body, Received: l.now})
	if err != nil && !errors.Is(err, payload.ErrIgnored) {
		l.t.Fatal(err)
	}
	return r
}

func TestTheSequenceGoesRound(t *testing.T) {
	l := newLine(t)
	l.say("spBv1.0/g/NBIRTH/n", birth(254, 1, devicestest.SparkplugMetric{Name: "Smoke", Alias: alias(1), Type: 11, Value: false}))
	for i := 255; i < 255+600; i++ {
		r := l.say("spBv1.0/g/NDATA/n", data(i, devicestest.SparkplugMetric{Alias: alias(1), Bare: true, Type: 11, Value: true}))
		if len(r.Requests) != 0 || len(r.Readings) != 1 || r.Readings[0].Values["smoke"] != true {
			t.Fatalf("message %d: %+v", i, r)
		}
	}
}

func TestOneGapIsAskedForUntilTheBirthComes(t *testing.T) {
	l := newLine(t)
	smoke := devicestest.SparkplugMetric{Alias: alias(1), Bare: true, Type: 11, Value: true}
	l.say("spBv1.0/g/NBIRTH/n", birth(0, 1, devicestest.SparkplugMetric{Name: "Smoke", Alias: alias(1), Type: 11, Value: false}))
	asked := 0
	n := 5 // 1 to 4 are lost
	for range 3600 {
		r := l.say("spBv1.0/g/NDATA/n", data(n, smoke))
		if len(r.Readings) != 1 { // what is known is read all the same
			t.Fatalf("%+v", r)
		}
		asked += len(r.Requests)
		n++
		l.now = l.now.Add(time.Second)
	}
	// 0, 10, 30, 70, … seconds, then every ten minutes.
	if asked < 8 || asked > 13 {
		t.Errorf("asked %d times in an hour", asked)
	}
	l.say("spBv1.0/g/NBIRTH/n", birth(0, 2, devicestest.SparkplugMetric{Name: "Smoke", Alias: alias(1), Type: 11, Value: false}))
	if r := l.say("spBv1.0/g/NDATA/n", data(1, smoke)); len(r.Requests) != 0 {
		t.Error("asked after the birth")
	}
}

// After a restart every node is a stranger: they are asked one after the other.
func TestAThousandNodesAreNotAskedAtOnce(t *testing.T) {
	l := newLine(t)
	most, asked := 0, map[string]bool{}
	for round := range 60 {
		now := 0
		for i := range 1000 {
			r := l.say(fmt.Sprintf("spBv1.0/g/NDATA/n%d", i), data(9+round, devicestest.SparkplugMetric{Name: "Smoke", Type: 11, Value: false}))
			for _, q := range r.Requests {
				now++
				asked[q.Topic] = true
				l.say(fmt.Sprintf("spBv1.0/g/NBIRTH/n%d", i), birth(9+round, 1, devicestest.SparkplugMetric{Name: "Smoke", Type: 11, Value: false}))
			}
		}
		most = max(most, now)
		l.now = l.now.Add(time.Second)
	}
	if most > sparkplug.RebirthPerSecond || len(asked) != 1000 {
		t.Errorf("%d in one second, %d of 1000 asked", most, len(asked))
	}
}

func TestMemoryIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("allocates much")
	}
	l := newLine(t)
	var metrics []devicestest.SparkplugMetric
	for i := range 4000 {
		metrics = append(metrics, devicestest.SparkplugMetric{Name: fmt.Sprintf("%s %d", strings.Repeat("x", 200), i), Alias: alias(i + 1), Type: 3, Value: float64(i)})
	}
	body := birth(0, 1, metrics...)
	device := data(1, metrics...)
	for i := range 3000 {
		if i < 60 {
			l.say(fmt.Sprintf("spBv1.0/g/NBIRTH/n%d", i), body)
			l.say(fmt.Sprintf("spBv1.0/g/DBIRTH/n%d/d", i), device)
		}
		l.say(fmt.Sprintf("spBv1.0/g/DDATA/m/d%d", i), data(1))
		l.say(fmt.Sprintf("spBv1.0/g/DBIRTH/m/d%d", i), data(1))
		l.say(fmt.Sprintf("spBv1.0/g/NDATA/s%d", i), data(1))
	}
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	if stats.HeapAlloc > 150<<20 {
		t.Errorf("%d MB", stats.HeapAlloc>>20)
	}
	runtime.KeepAlive(l.session)
}

func TestHostilePayloads(t *testing.T) {
	deep := []byte{}
	for range 20_000 { // a group within a group within…
		deep = append(deep, 0x3b)
	}
	many := []byte{}
	for range sparkplug.MaxMetrics + 1 {
		many = append(many, 0x12, 0)
	}
	whole := birth(0, 1, devicestest.SparkplugMetric{Name: "Smoke", Type: 11, Value: true})
	cases := map[string][]byte{
		"deep": deep, "many": many, "huge length": {0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
		"varint without end": {0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"text":               []byte(`{"smoke":true}`),
		"name is no UTF-8":   protowire.AppendBytes([]byte{0x12}, []byte{0x0a, 2, 0xff, 0xfe}),
		"compressed":         protowire.AppendString([]byte{0x22}, "SPBV1.0_COMPRESSED"),
	}
	for name, body := range cases {
		s := sparkplug.New().Open()
		if _, err := s.Decode(payload.Message{Topic: "spBv1.0/g/NBIRTH/n", Payload: body}); err == nil || errors.Is(err, payload.ErrIgnored) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for i := 1; i < len(whole); i++ { // cut short: refused, or read as far as it is whole
		s := sparkplug.New().Open()
		r, err := s.Decode(payload.Message{Topic: "spBv1.0/g/NBIRTH/n", Payload: whole[:i]})
		check(t, r, err)
	}
	for _, topic := range []string{"spBv1.0/g/NBIRTH//", "spBv1.0/g/NBIRTH/n/d", "spBv1.0/g/DDATA/n", "spBv1.0//NDATA/n", "spBv1.0/" + strings.Repeat("g", 200) + "/NDATA/n"} {
		s := sparkplug.New().Open()
		if _, err := s.Decode(payload.Message{Topic: topic, Payload: whole}); err == nil || errors.Is(err, payload.ErrIgnored) {
			t.Errorf("%.40s: %v", topic, err)
		}
	}
	for _, topic := range []string{"spBv1.0/STATE/host", "STATE/host", "spBv1.0/g/NCMD/n", "spBv1.0/g/DCMD/n/d", "other", "spBv1.0/g/NEW/n"} {
		s := sparkplug.New().Open()
		if _, err := s.Decode(payload.Message{Topic: topic, Payload: whole}); !errors.Is(err, payload.ErrIgnored) {
			t.Errorf("%s: %v", topic, err)
		}
	}
}

// check holds for whatever the decoder is given.
func check(t *testing.T, r payload.Result, err error) {
	t.Helper()
	if err != nil {
		if len(r.Readings) > 0 || len(r.Requests) > 0 {
			t.Error("an error and a result")
		}
		return
	}
	if len(r.Readings) > sparkplug.MaxReadings+1 || len(r.Requests) > 1 {
		t.Errorf("%d readings, %d requests", len(r.Readings), len(r.Requests))
	}
	for _, x := range r.Readings {
		if x.Device == "" || len(x.Values) > payload.MaxFields+16 {
			t.Errorf("device %q, %d fields", x.Device, len(x.Values))
		}
		for k, v := range x.Values {
			switch v := v.(type) {
			case bool, float64:
			case string:
				if len(v) > payload.MaxText || !utf8.ValidString(v) {
					t.Errorf("field %q is %d bytes", k, len(v))
				}
			default:
				t.Errorf("field %q is a %T", k, v)
			}
		}
		if _, err := json.Marshal(x); err != nil {
			t.Errorf("a reading cannot be stored: %v", err)
		}
	}
}

func FuzzSparkplug(f *testing.F) {
	f.Add("g/NBIRTH/n", birth(0, 1, devicestest.SparkplugMetric{Name: "Smoke", Alias: alias(1), Type: 11, Value: true}), "g/NDATA/n", data(1, devicestest.SparkplugMetric{Alias: alias(1), Bare: true, Type: 11, Value: false}))
	f.Add("g/DBIRTH/n/d", data(1, devicestest.SparkplugMetric{Name: "A/Smoke", Type: 11, Value: true}, devicestest.SparkplugMetric{Name: "B/Smoke", Type: 11, Null: true}), "g/DDATA/n/d", data(2, devicestest.SparkplugMetric{Name: "A/Smoke", Historical: true, Timestamp: 1_780_000_000_000, Type: 11, Value: true, Quality: alias(192)}))
	f.Add("g/NDEATH/n", birth(0, 3), "g/NDATA/n", []byte{0x12, 0x01})
	f.Fuzz(func(t *testing.T, topic1 string, body1 []byte, topic2 string, body2 []byte) {
		s := sparkplug.New().Open()
		for range 2 {
			r, err := s.Decode(payload.Message{Topic: "spBv1.0/" + topic1, Payload: body1, Received: time.UnixMilli(1_790_000_000_000)})
			check(t, r, err)
			r, err = s.Decode(payload.Message{Topic: "spBv1.0/" + topic2, Payload: body2, Received: time.UnixMilli(1_790_000_001_000)})
			check(t, r, err)
		}
	})
}
