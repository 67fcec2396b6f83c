package devices

import (
	"encoding/base64"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	"stationd/agent/station"
	"stationd/devices/broker"
	"stationd/devices/payload"
)

// The answers' shapes.
type (
	benchList struct {
		Topics []BenchTopic `json:"topics"`
		// Faults are the last messages that could not be read, Unknown the devices
		// that may not appear by themselves.
		Faults  []BenchMessage `json:"faults"`
		Unknown []BenchDevice  `json:"unknown"`
		Stats   Stats          `json:"stats"`
	}
	benchMessageList struct {
		Messages []BenchMessage `json:"messages"`
	}
	// Trial is a message to be tried out.
	Trial struct {
		Topic    string `json:"topic"`
		Payload  string `json:"payload"`
		Base64   bool   `json:"base64,omitempty"` // the payload is written so
		Retained bool   `json:"retained,omitempty"`
		// Broker is the one whose kept messages a family is told before, so that
		// it knows births and discovery messages; empty is none.
		Broker string `json:"broker,omitempty"`
		// Family is the only one to be asked; empty is all that listen to such a
		// topic. Fields is a mapping of the form, for family "json".
		Family string            `json:"family,omitempty"`
		Fields map[string]string `json:"fields,omitempty"`
	}
	// TrialResult is what one family makes of it.
	TrialResult struct {
		Family   string            `json:"family"`
		Readings []payload.Reading `json:"readings"`
		// Class is the device class that is proposed for the first reading.
		Class string `json:"class,omitempty"`
		// Ignored tells that the family knows the message, and it says nothing.
		Ignored     bool     `json:"ignored,omitempty"`
		Error       string   `json:"error,omitempty"`
		Requests    []string `json:"requests,omitempty"` // topics that it would have published to
		Listen      []string `json:"listen,omitempty"`   // topics that it would listen to from then on
		Unsupported []string `json:"unsupported,omitempty"`
	}
	trialAnswer struct {
		Results []TrialResult `json:"results"`
		// Values are those of the payload, with a proposal of what each is: the
		// form in which a mapping is made begins with them.
		Values []payload.FieldProposal `json:"values"`
	}
	// FamilyView is one payload family.
	FamilyView struct {
		Name    string   `json:"name"`
		Title   string   `json:"title"`
		Origin  string   `json:"origin"` // "code", "shipped" or "dropped"
		File    string   `json:"file,omitempty"`
		Source  string   `json:"source,omitempty"` // the format's public documentation
		Filters []string `json:"filters"`
		Brokers []string `json:"brokers"` // where it listens
	}
	familyList struct {
		Families []FamilyView      `json:"families"`
		Problems []payload.Problem `json:"problems"`
	}
)

// Routes are the routes of the payload workbench.
func (s *Set) Routes() []station.Route {
	return []station.Route{
		{Pattern: "GET /api/v1/workbench/topics", Permission: station.PermConfigure, Summary: "List the topics heard last, what could not be read, and unknown devices", Params: []station.Param{
			{Name: "text", In: "query", Type: "string", Summary: "only topics that contain it"},
		}, Reply: benchList{}, Handler: station.Handler(s.getTopics)},
		{Pattern: "GET /api/v1/workbench/messages", Permission: station.PermConfigure, Summary: "The last raw messages of a topic, the newest first", Params: []station.Param{
			{Name: "broker", In: "query", Type: "string", Summary: "the broker's ID; the built-in one without it"},
			{Name: "topic", In: "query", Type: "string", Summary: "the whole topic"},
		}, Reply: benchMessageList{}, Handler: station.Handler(s.getMessages)},
		{Pattern: "POST /api/v1/workbench/try", Permission: station.PermConfigure, Summary: "What each family, or a mapping of the form, makes of a message; nothing is changed by it", Body: Trial{}, Reply: trialAnswer{}, Handler: station.Handler(s.postTrial)},
		{Pattern: "GET /api/v1/families", Permission: station.PermConfigure, Summary: "List the payload families, and mapping files that cannot be used", Reply: familyList{}, Handler: station.Handler(s.getFamilies)},
		{Pattern: "POST /api/v1/families/reload", Permission: station.PermConfigure, Summary: "Read the mapping files again", Reply: familyList{}, Handler: station.Handler(s.postReload)},
	}
}

func (s *Set) getTopics(w http.ResponseWriter, r *http.Request) error {
	topics, faults, unknown := s.bench.list(r.URL.Query().Get("text"))
	return station.WriteJSON(w, http.StatusOK, benchList{topics, faults, unknown, s.Stats()})
}

func (s *Set) getMessages(w http.ResponseWriter, r *http.Request) error {
	at := source{r.URL.Query().Get("broker"), r.URL.Query().Get("topic")}
	if at.broker == "" {
		at.broker = station.EmbeddedBroker
	}
	all, ok := s.bench.messages(at)
	if !ok {
		return station.ErrNotFound.At("topic")
	}
	return station.WriteJSON(w, http.StatusOK, benchMessageList{all})
}

func (s *Set) postTrial(w http.ResponseWriter, r *http.Request) error {
	var t Trial
	if err := station.ReadJSON(w, r, &t); err != nil {
		return err
	}
	results, err := s.Try(t)
	if err != nil {
		return err
	}
	return station.WriteJSON(w, http.StatusOK, trialAnswer{results, t.values()})
}

// values are what a mapping of the payload could begin with.
func (t Trial) values() []payload.FieldProposal {
	if found := payload.Propose([]byte(t.Payload)); found != nil && !t.Base64 {
		return found
	}
	return []payload.FieldProposal{}
}

// Try tells what families make of a message. They are asked in sessions of their
// own, so that nothing is changed by it.
func (s *Set) Try(t Trial) ([]TrialResult, error) {
	m := payload.Message{Topic: t.Topic, Payload: []byte(t.Payload), Retained: t.Retained, Received: s.now()}
	if !broker.ValidTopic(t.Topic) {
		return nil, station.Errorf(400, "trial.topic", "write the topic without wildcards, as the device publishes it", "%q is no topic", t.Topic).At("topic")
	}
	if t.Base64 {
		raw, err := base64.StdEncoding.DecodeString(t.Payload)
		if err != nil {
			return nil, station.Errorf(400, "trial.payload", "write it in base64, or as text without the mark", "the payload is not base64").At("payload")
		}
		m.Payload = raw
	}
	if t.Family == payload.FamilyJSON || len(t.Fields) > 0 {
		d, err := payload.NewJSON(t.Fields)
		if err != nil {
			return nil, station.Errorf(400, "trial.fields", "map at least one field to a path", "%v", err).At("fields")
		}
		reading, err := d.Decode(m.Topic, m.Payload)
		return []TrialResult{trialOf(payload.FamilyJSON, payload.Result{Readings: []payload.Reading{reading}}, err)}, nil
	}
	names := s.catalogue.Names()
	if t.Family != "" {
		names = []string{t.Family}
	}
	out := []TrialResult{}
	for _, name := range names {
		f, ok := s.catalogue.Family(name)
		if !ok {
			return nil, station.Errorf(404, "family.unknown", "choose among "+strings.Join(s.catalogue.Names(), ", "), "there is no payload family %q", name).At("family")
		}
		l := newListener(t.Broker, f)
		if t.Family == "" && l.match(t.Topic) < 0 {
			continue
		}
		if t.Broker != "" {
			for _, k := range s.bench.whole(t.Broker) {
				if l.match(k.topic) >= 0 && k.topic != t.Topic {
					_, _ = l.decode(payload.Message{Topic: k.topic, Payload: k.payload, Retained: k.retained, Received: k.at}) // only what it remembers counts
				}
			}
		}
		res, err := l.decode(m)
		out = append(out, trialOf(name, res, err))
	}
	return out, nil
}

func trialOf(family string, res payload.Result, err error) TrialResult {
	out := TrialResult{Family: family, Readings: []payload.Reading{}, Listen: res.Listen, Unsupported: res.Unsupported}
	for _, q := range res.Requests {
		out.Requests = append(out.Requests, q.Topic)
	}
	switch {
	case errors.Is(err, payload.ErrIgnored):
		out.Ignored = true
	case err != nil:
		out.Error = cutText(err.Error())
	default:
		out.Readings = append(out.Readings, res.Readings...)
		out.Ignored = len(res.Readings) == 0
	}
	if len(out.Readings) > 0 {
		if out.Class = out.Readings[0].Class; out.Class == "" {
			out.Class, _ = ClassOf(out.Readings[0].Values)
		}
	}
	return out
}

func (s *Set) getFamilies(w http.ResponseWriter, _ *http.Request) error {
	return station.WriteJSON(w, http.StatusOK, s.families())
}

func (s *Set) families() familyList {
	out := familyList{Families: []FamilyView{}, Problems: append([]payload.Problem{}, s.catalogue.Problems()...)}
	reg := s.registry.Load()
	for _, name := range s.catalogue.Names() {
		e, ok := s.catalogue.Entry(name)
		if !ok {
			continue // read again in this moment
		}
		v := FamilyView{Name: name, Title: e.Title, Origin: e.Origin, File: e.File, Source: e.Source, Filters: append([]string{}, e.Family.Filters()...), Brokers: []string{}}
		for _, id := range slices.Sorted(maps.Keys(reg.families)) {
			for _, l := range reg.families[id] {
				if l.name == name {
					v.Brokers = append(v.Brokers, id)
				}
			}
		}
		out.Families = append(out.Families, v)
	}
	return out
}

func (s *Set) postReload(w http.ResponseWriter, _ *http.Request) error {
	s.Reload()
	return station.WriteJSON(w, http.StatusOK, s.families())
}

// Reload reads the mapping files again. Families in code go on as they are; those
// of mapping files begin afresh.
func (s *Set) Reload() {
	s.catalogue.Reload()
	s.applying.Lock()
	defer s.applying.Unlock()
	s.generation++
	s.apply(s.applied)
}
