package payload_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stationd/devices/payload"
)

// conversation is a golden file of a family that is met as a session: messages in
// order, and behind each what it must be read as. Source is the public
// documentation of the format that it was written after.
type conversation struct {
	Note   string `json:"note,omitempty"`
	Source string `json:"source"`
	Steps  []step `json:"steps"`
}

type step struct {
	// After is the time since the message before; the first comes at the start of 2026.
	After    string          `json:"after,omitempty"`
	Topic    string          `json:"topic"`
	Payload  json.RawMessage `json:"payload,omitempty"`
	Text     *string         `json:"text,omitempty"` // a payload that is no JSON
	Hex      string          `json:"hex,omitempty"`  // one that is no text
	Retained bool            `json:"retained,omitempty"`

	Readings    []payload.Reading `json:"readings,omitempty"`
	Listen      []string          `json:"listen,omitempty"`
	Requests    []request         `json:"requests,omitempty"`
	Unsupported []string          `json:"unsupported,omitempty"`
	Error       string            `json:"error,omitempty"`
}

type request struct {
	Topic   string `json:"topic"`
	Payload string `json:"payload"` // hexadecimal when it is no text
}

// run plays the messages and fills in what comes of them.
func (c *conversation) run(t *testing.T, f payload.Family) {
	t.Helper()
	session := f.Open()
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range c.Steps {
		s := &c.Steps[i]
		in := []byte(s.Payload)
		if s.Text != nil {
			in = []byte(*s.Text)
		}
		if s.Hex != "" {
			var err error
			if in, err = hex.DecodeString(s.Hex); err != nil {
				t.Fatal(err)
			}
		}
		if s.After != "" {
			d, err := time.ParseDuration(s.After)
			if err != nil {
				t.Fatal(err)
			}
			at = at.Add(d)
		}
		res, err := session.Decode(payload.Message{Topic: s.Topic, Payload: in, Retained: s.Retained, Received: at})
		s.Readings, s.Listen, s.Unsupported, s.Requests, s.Error = res.Readings, res.Listen, res.Unsupported, nil, ""
		for _, r := range res.Requests {
			s.Requests = append(s.Requests, request{r.Topic, string(r.Payload)})
		}
		if err != nil {
			s.Error = err.Error()
		}
		for _, r := range res.Readings {
			check(t, r, err)
			if r.Device == "" {
				t.Error("a reading of nobody")
			}
		}
		if !heard(f, s.Topic) && !errors.Is(err, payload.ErrIgnored) && !listened(c.Steps[:i], s.Topic) {
			t.Errorf("%s is read, but not among the filters %v", s.Topic, f.Filters())
		}
	}
}

func listened(before []step, topic string) bool {
	for _, s := range before {
		for _, l := range s.Listen {
			if l == topic {
				return true
			}
		}
	}
	return false
}

// heard tells whether one of the family's filters fits the topic.
func heard(f payload.Family, topic string) bool {
	for _, filter := range f.Filters() {
		want, got := strings.Split(filter, "/"), strings.Split(topic, "/")
		fits := true
		for i, level := range want {
			if level == "#" {
				got = got[:min(i, len(got))]
				want = want[:i]
				break
			}
			if i >= len(got) || level != "+" && level != got[i] {
				fits = false
				break
			}
		}
		if fits && len(want) == len(got) {
			return true
		}
	}
	return false
}

// Every family has conversations, each tells where its format is described, and
// each is read as it says.
func TestGoldenConversations(t *testing.T) {
	files, err := filepath.Glob("testdata/golden/*/*.json")
	if err != nil {
		t.Fatal(err)
	}
	c := payload.Families("")
	if p := c.Problems(); len(p) > 0 {
		t.Errorf("what is shipped has faults: %v", p)
	}
	told := map[string]bool{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(data), `"steps"`) {
			continue
		}
		name := filepath.Base(filepath.Dir(file))
		told[name] = true
		t.Run(name+"/"+strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			var g conversation
			if err := json.Unmarshal(data, &g); err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(g.Source, "https://") {
				t.Error("it does not tell where the format is described")
			}
			f, ok := c.Family(name)
			if !ok {
				t.Fatalf("there is no family %s", name)
			}
			g.run(t, f)
			got, err := json.MarshalIndent(g, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if string(got) != string(data) {
				t.Errorf("got\n%s\nwant\n%s", got, data)
			}
		})
	}
	for _, name := range c.Names() {
		if !told[name] {
			t.Errorf("the family %s has no golden conversation", name)
		}
	}
}
