package devices_test

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/devices/payload"
	"stationd/devices/rule"
	"stationd/devices/sparkplug"
)

var updateAlarms = flag.Bool("update", false, "rewrite the table of alarms")

// The golden conversations of all families, judged by the default rules of the
// class that each device's own messages propose: testdata/alarms/<family>.txt says
// which alarms they begin and end, and what keeps a message from being news.
func TestWhatTheGoldenConversationsAlarm(t *testing.T) {
	families := payload.Families("", sparkplug.New())
	files, err := filepath.Glob("payload/testdata/golden/*/*.json")
	if err != nil || len(files) < 60 {
		t.Fatalf("%d golden files: %v", len(files), err)
	}
	tables := map[string]*strings.Builder{}
	payloads := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var talk struct {
			Steps []struct {
				Topic, Hex, After string
				Payload           json.RawMessage
				Text              *string
				Retained          bool
			}
		}
		if err := json.Unmarshal(data, &talk); err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(filepath.Dir(file))
		family, ok := families.Family(name)
		if len(talk.Steps) == 0 || !ok {
			continue
		}
		table := tables[name]
		if table == nil {
			table = &strings.Builder{}
			tables[name] = table
		}
		fmt.Fprintf(table, "%s\n", strings.TrimSuffix(filepath.Base(file), ".json"))
		session := family.Open()
		judges := map[string]*judge{}
		at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		for _, step := range talk.Steps {
			payloads++
			in := []byte(step.Payload)
			if step.Text != nil {
				in = []byte(*step.Text)
			}
			if step.Hex != "" {
				if in, err = hex.DecodeString(step.Hex); err != nil {
					t.Fatal(err)
				}
			}
			if d, err := time.ParseDuration(step.After); err == nil {
				at = at.Add(d)
			}
			res, _ := session.Decode(payload.Message{Topic: step.Topic, Payload: in, Retained: step.Retained, Received: at})
			for _, r := range res.Readings {
				j := judges[r.Device]
				if j == nil {
					j = &judge{}
					judges[r.Device] = j
				}
				for _, sig := range j.judge(t, r) {
					what := "ends"
					if sig.Active {
						what = "ALARM"
					}
					fmt.Fprintf(table, "  %-5s %-11s %s%s\n", what, sig.Kind, r.Device, marks(r, step.Retained))
				}
				if r.Presence == payload.Offline {
					fmt.Fprintf(table, "  ALARM offline     %s%s\n", r.Device, marks(r, step.Retained))
				}
			}
		}
	}
	if payloads < 60 {
		t.Errorf("only %d payloads", payloads)
	}
	for name, table := range tables {
		file := filepath.Join("testdata", "alarms", name+".txt")
		if *updateAlarms {
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(table.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil || string(want) != table.String() {
			t.Errorf("%s alarms otherwise than in %s (%v); if that is meant: go test ./devices -run %s -update. Now:\n%s", name, file, err, t.Name(), table)
		}
	}
}

// judge is the default rules of one device and what they held for true.
type judge struct {
	class    string
	set      *rule.Set
	verdicts []rule.Verdict
}

func (j *judge) judge(t *testing.T, r payload.Reading) []station.Signal {
	t.Helper()
	if j.set == nil || j.class == "" && r.Class != "" {
		j.class = r.Class
		class := j.class
		if class == "" {
			class = station.ClassOther
		}
		var err error
		if j.set, err = rule.Compile(rule.Defaults(class), class); err != nil {
			t.Fatal(err)
		}
		j.verdicts = make([]rule.Verdict, j.set.Len())
	}
	before := append([]rule.Verdict(nil), j.verdicts...)
	var news []station.Signal
	for _, sig := range j.set.Evaluate(r.Values, nil, before, j.verdicts, nil) {
		if sig.Active != j.set.Holds(sig.Kind, before) {
			news = append(news, sig)
		}
	}
	return news
}

// marks are what keeps a message from being news of now.
func marks(r payload.Reading, retained bool) string {
	text := ""
	for _, m := range []struct {
		name string
		on   bool
	}{{"retained", retained}, {"cached", r.Cached}, {"backlog", r.Backlog}, {"bridge", r.Bridge && r.Presence != ""}} {
		if m.on {
			text += " (" + m.name + ")"
		}
	}
	return text
}
