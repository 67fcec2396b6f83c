package devices_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stationd/agent/station"
	"stationd/devices"
	"stationd/devices/payload"
)

type benchTopics struct {
	Topics []devices.BenchTopic   `json:"topics"`
	Faults []devices.BenchMessage `json:"faults"`
}

type benchMessages struct {
	Messages []devices.BenchMessage `json:"messages"`
}

func TestTheWorkbenchShowsWhatBecameOfAMessage(t *testing.T) {
	s := withHub(&desk{})
	s.Apply(devices.Registry{Sensors: []station.Sensor{hubSensor("a", station.ClassSmoke)}})
	hear(t, s, "hub/1/up", `{"readings":[{"device":"a","values":{"smoke":true}}]}`)
	hear(t, s, "hub/2/up", `{"readings":[{"device":"b","values":{"door":true}}]}`)
	hear(t, s, "hub/3/up", `{"readings":[]}`)
	hear(t, s, "hub/4/up", `{"readings":`)
	hear(t, s, "street/1", "\xff\x00")
	for i := range 7 {
		hear(t, s, "street/2", fmt.Sprint(i))
	}
	hear(t, s, "street/3", strings.Repeat("井", 5000))
	var got benchTopics
	call(t, s, "GET /api/v1/workbench/topics", "", nil, &got)
	outcomes := map[string]string{}
	for _, x := range got.Topics {
		outcomes[x.Topic] = fmt.Sprintf("%s%d %d%v %v", x.Outcome, x.Count, x.Malformed, x.Families, x.Sensors)
	}
	want := map[string]string{
		"hub/1/up": "read1 0[hub] [a]", "hub/2/up": "unknown1 0[hub] []", "hub/3/up": "ignored1 0[hub] []", "hub/4/up": "malformed1 1[] []",
		"street/1": "unrouted1 0[] []", "street/2": "unrouted7 0[] []", "street/3": "unrouted1 0[] []",
	}
	if fmt.Sprint(outcomes) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", outcomes, want)
	}
	if got.Topics[0].Topic != "street/3" {
		t.Errorf("the first is %s", got.Topics[0].Topic)
	}
	if len(got.Faults) != 1 || got.Faults[0].Topic != "hub/4/up" || got.Faults[0].Cause == "" {
		t.Errorf("faults %+v", got.Faults)
	}
	messages := func(topic string) []devices.BenchMessage {
		var m benchMessages
		call(t, s, "GET /api/v1/workbench/messages", "?topic="+url.QueryEscape(topic), nil, &m)
		return m.Messages
	}
	if m := messages("street/2"); len(m) != 5 || m[0].Payload != "6" || m[4].Payload != "2" {
		t.Errorf("kept %+v", m)
	}
	if m := messages("street/1"); !m[0].Base64 || m[0].Payload != "/wA=" {
		t.Errorf("kept %+v", m)
	}
	if m := messages("street/3"); m[0].Base64 || m[0].Size != 15000 || len(m[0].Payload) > 4096 || len(m[0].Payload) < 4090 {
		t.Errorf("kept %d bytes of %d", len(m[0].Payload), m[0].Size)
	}
	if code := call(t, s, "GET /api/v1/workbench/messages", "?topic=nowhere", nil, nil); code != http.StatusNotFound {
		t.Errorf("a topic that was never heard: %d", code)
	}
}

// TestTheWorkbenchIsBounded, whatever strangers send.
func TestTheWorkbenchIsBounded(t *testing.T) {
	s := withHub(&desk{})
	big := strings.Repeat("x", 10_000)
	for i := range 3000 {
		hear(t, s, fmt.Sprintf("street/%d", i), big)
		hear(t, s, fmt.Sprintf("hub/%d/up", i), "{")
		hear(t, s, "hub/1/up", fmt.Sprintf(`{"readings":[{"device":"u%d","values":{"door":true}}]}`, i))
	}
	var got struct {
		benchTopics
		Unknown []devices.BenchDevice `json:"unknown"`
	}
	call(t, s, "GET /api/v1/workbench/topics", "", nil, &got)
	if len(got.Topics) > 1000 || len(got.Faults) != 100 || len(got.Unknown) != 256 {
		t.Errorf("%d topics, %d faults, %d unknown", len(got.Topics), len(got.Faults), len(got.Unknown))
	}
	if got.Unknown[0].Proposed.Source.Device != "u2999" || got.Faults[0].Topic != "hub/2999/up" {
		t.Errorf("the newest are not kept")
	}
	if n := s.BenchBytes(); n > 8<<20 {
		t.Errorf("%d bytes are kept", n)
	}
}

func TestTryingAMessage(t *testing.T) {
	s := withHub(&desk{})
	try := func(tr devices.Trial) []devices.TrialResult {
		t.Helper()
		var got struct {
			Results []devices.TrialResult `json:"results"`
		}
		if code := call(t, s, "POST /api/v1/workbench/try", "", tr, &got); code != http.StatusOK {
			t.Fatalf("status %d", code)
		}
		return got.Results
	}
	got := try(devices.Trial{Topic: "zigbee2mqtt/kitchen", Payload: `{"smoke":true}`})
	if len(got) == 0 || got[0].Class != "smoke" || got[0].Readings[0].Values["smoke"] != true {
		t.Errorf("got %+v", got)
	}
	got = try(devices.Trial{Topic: "any/thing", Payload: `{"a":{"t":"21.5"}}`, Fields: map[string]string{"temperature": "a.t"}})
	if len(got) != 1 || got[0].Family != "json" || got[0].Class != "temperature" || len(got[0].Readings) != 1 {
		t.Errorf("got %+v", got)
	}
	if got = try(devices.Trial{Topic: "any/thing", Payload: `{`, Fields: map[string]string{"t": "a"}}); got[0].Error == "" {
		t.Errorf("got %+v", got)
	}
	if got = try(devices.Trial{Topic: "any/thing", Payload: `{"ask":["x"]}`, Family: "hub"}); len(got) != 1 || len(got[0].Requests) != 1 || !got[0].Ignored {
		t.Errorf("got %+v", got)
	}
	for _, tr := range []devices.Trial{{Topic: "a/#"}, {Topic: "a", Family: "nonesuch"}, {Topic: "a", Base64: true, Payload: "?"}, {Topic: "a", Family: "json"}} {
		if _, err := s.Try(tr); err == nil {
			t.Errorf("%+v is accepted", tr)
		}
	}
	if n := s.Stats().Messages; n != 0 {
		t.Errorf("trying counted %d messages", n)
	}
}

// TestAFamilyThatIsDropped into the directory is there when the files are read
// again, and a bad file is told of.
func TestAFamilyThatIsDropped(t *testing.T) {
	dir := t.TempDir()
	cfg := config()
	cfg.Broker.Listen = ""
	d := &desk{}
	s := devices.New(cfg, devices.Deps{Node: "n", Sink: d, Families: payload.Families(dir), Log: slog.New(slog.DiscardHandler)})
	if err := os.WriteFile(filepath.Join(dir, "bad.yaml"), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	var list struct {
		Families []devices.FamilyView `json:"families"`
		Problems []payload.Problem    `json:"problems"`
	}
	call(t, s, "GET /api/v1/families", "", nil, &list)
	if len(list.Problems) != 0 {
		t.Errorf("problems before: %+v", list.Problems)
	}
	call(t, s, "POST /api/v1/families/reload", "", nil, &list)
	if len(list.Problems) == 0 || list.Problems[0].File != "bad.yaml" || list.Problems[0].Hint == "" {
		t.Errorf("problems %+v", list.Problems)
	}
	for _, f := range list.Families {
		if len(f.Brokers) != 1 || f.Brokers[0] != station.EmbeddedBroker {
			t.Errorf("%s listens at %v", f.Name, f.Brokers)
		}
	}
}

// The answer brings what a mapping of the message could begin with.
func TestATriedMessageProposesItsMapping(t *testing.T) {
	s := withHub(&desk{})
	var got struct {
		Values []payload.FieldProposal `json:"values"`
	}
	tr := devices.Trial{Topic: "any/thing", Payload: `{"box":{"smoke.alarm":1},"id":"k-7"}`}
	if code := call(t, s, "POST /api/v1/workbench/try", "", tr, &got); code != http.StatusOK {
		t.Fatalf("status %d", code)
	}
	if len(got.Values) != 2 || got.Values[0].Path != `box.smoke\.alarm` || got.Values[0].Field != "smoke" || got.Values[0].Class != "smoke" || got.Values[1].Field != "" {
		t.Errorf("proposed %+v", got.Values)
	}
}
