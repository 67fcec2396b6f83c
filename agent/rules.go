package agent

import (
	"cmp"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"stationd/agent/station"
	"stationd/agent/store"
)

// Rules: those of single sensors, whose versions count up, and the templates that
// stand for a whole class.

const (
	templateTable    = store.Key("ruletemplate/")
	oldTemplateTable = store.Key("ruletemplate-version/") // ruletemplate-version/<id>/<version>

	maxTemplates = 100
	maxRules     = 50 // of a sensor or template
)

// countVersions gives each rule of a sensor its ID and version: a rule that says
// something else than before is a new version of itself.
func countVersions(before, rules []station.Rule) []station.Rule {
	rules = slices.Clone(rules)
	taken := map[string]bool{}
	for _, r := range rules {
		taken[r.ID] = true
	}
	next := 1
	for i := range rules {
		r := &rules[i]
		for r.ID == "" || slices.ContainsFunc(rules[:i], func(o station.Rule) bool { return o.ID == r.ID }) {
			id := "r" + strconv.Itoa(next)
			if next++; !taken[id] && !slices.ContainsFunc(before, func(o station.Rule) bool { return o.ID == id }) {
				r.ID, taken[id] = id, true
			}
		}
		r.Version = 1
		if k := slices.IndexFunc(before, func(o station.Rule) bool { return o.ID == r.ID }); k >= 0 {
			was := before[k]
			r.Version = max(1, was.Version)
			was.Version = r.Version
			if !reflect.DeepEqual(was, *r) {
				r.Version++
			}
		}
	}
	return rules
}

// effective are the rules of a sensor without its own: those of its class's
// template, and what endangers people and the template does not speak of. Of a
// template from above it does not matter whether it speaks of it: of several rules
// of a kind one that holds is enough, so that nobody far away makes a detector mute.
func (a *Agent) effective(t station.RuleTemplate) []station.Rule {
	rules := slices.Clone(t.Rules)
	for _, d := range a.rules.Defaults(t.Class) {
		if d.Kind.LifeSafety() && (t.From != nil || !slices.ContainsFunc(t.Rules, func(r station.Rule) bool { return r.Kind == d.Kind && !r.Disabled })) {
			rules = append(rules, d)
		}
	}
	return rules
}

// withTemplates gives sensors without rules those of their class's template.
func (a *Agent) withTemplates(tx *store.Tx, sensors []station.Sensor) error {
	byClass := map[string][]station.Rule{}
	err := store.Each(tx, templateTable, func(_ store.Key, t station.RuleTemplate) error {
		byClass[t.Class] = a.effective(t)
		return nil
	})
	if err != nil {
		return err
	}
	for i := range sensors {
		if len(sensors[i].Rules) == 0 {
			sensors[i].Rules = byClass[sensors[i].Class]
		}
	}
	return nil
}

func (a *Agent) validTemplate(t station.RuleTemplate) error {
	if err := checkID("id", t.ID); err != nil {
		return err
	}
	if strings.TrimSpace(t.Name) == "" {
		return invalid("name", "give the name that the screen shows", "the template has no name")
	}
	if err := cmp.Or(checkText("name", t.Name, 60), checkText("note", t.Note, 500)); err != nil {
		return err
	}
	if !slices.Contains(station.Classes(), t.Class) {
		return invalid("class", "choose one of "+strings.Join(station.Classes(), ", "), "there is no device class %q", t.Class)
	}
	if len(t.Rules) == 0 || len(t.Rules) > maxRules {
		return invalid("rules", "give 1 to 50, or remove the template", "a template of %d rules cannot be used", len(t.Rules))
	}
	for i, r := range t.Rules {
		if err := a.rules.Check(r, t.Class); err != nil {
			return station.Under("rules."+strconv.Itoa(i), err)
		}
	}
	return nil
}

func preparePutTemplate(a *Agent, cmd station.Command) (plan, error) {
	t, err := decodeBody[station.RuleTemplate](cmd)
	if err != nil {
		return plan{}, err
	}
	t.ID, t.Removed, t.From = cmd.Subject, false, nil // what is changed here is ours
	if err := a.validTemplate(t); err != nil {
		return plan{}, err
	}
	t.By, t.ByName, t.At = cmd.Actor.Account, cmd.Actor.Name, a.now()
	return plan{subject: "rule-template/" + t.ID, lane: station.LaneNormal, registry: true, apply: func(tx *store.Tx) (any, error) {
		t := t
		n := 0
		err := store.Each(tx, templateTable, func(_ store.Key, o station.RuleTemplate) error {
			if n++; o.ID != t.ID && o.Class == t.Class {
				return station.Errorf(http.StatusConflict, "template.class", "change that one", "the template %q is for the class %s already", o.Name, t.Class).At("class")
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		before, known, err := store.Get[station.RuleTemplate](tx, key(templateTable, t.ID))
		if err != nil {
			return nil, err
		}
		if !known && n >= maxTemplates {
			return nil, station.Errorf(http.StatusConflict, "template.many", "remove one that is not used", "there are %d templates already", n)
		}
		if known && before.Class != t.Class {
			return nil, invalid("class", "make another template", "a template keeps its class, this one is for %s", before.Class)
		}
		if t.Version, err = nextVersion(tx, t.ID); err != nil {
			return nil, err
		}
		t.Rules = countVersions(nil, t.Rules)
		for i := range t.Rules {
			t.Rules[i].Version = t.Version
		}
		return t, a.putTemplate(tx, t)
	}}, nil
}

// nextVersion goes on counting where a removed template of that ID stopped.
func nextVersion(tx *store.Tx, id string) (int, error) {
	version := 1
	err := store.Each(tx, key(oldTemplateTable, id)+"/", func(_ store.Key, t station.RuleTemplate) error {
		version = max(version, t.Version+1)
		return nil
	})
	return version, err
}

// putTemplate stores a version, tells of it, and ends what nobody judges any more.
func (a *Agent) putTemplate(tx *store.Tx, t station.RuleTemplate) error {
	var err error
	if t.Removed {
		err = tx.Delete(key(templateTable, t.ID))
	} else {
		err = store.Put(tx, key(templateTable, t.ID), t)
	}
	if err == nil {
		err = store.Put(tx, key(oldTemplateTable, t.ID, strconv.Itoa(t.Version)), t)
	}
	if err != nil {
		return err
	}
	rules := a.effective(t)
	if t.Removed {
		rules = a.rules.Defaults(t.Class)
	}
	var without []station.Sensor
	err = store.Each(tx, sensorTable, func(_ store.Key, s station.Sensor) error {
		if s.Node == "" && s.Class == t.Class && len(s.Rules) == 0 {
			without = append(without, s)
		}
		return nil
	})
	for _, s := range without {
		s.Rules = rules
		if err == nil {
			err = a.endUnwatched(tx, s, watchedBy(s))
		}
	}
	if err != nil {
		return err
	}
	return appendEvent(tx, station.LaneNormal, station.EventSetupChanged, "rule-template/"+t.ID, t.By, t.At, t)
}

func prepareRemoveTemplate(a *Agent, cmd station.Command) (plan, error) {
	now := a.now()
	return plan{subject: "rule-template/" + cmd.Subject, lane: station.LaneNormal, registry: true, apply: func(tx *store.Tx) (any, error) {
		t, known, err := store.Get[station.RuleTemplate](tx, key(templateTable, cmd.Subject))
		if err != nil {
			return nil, err
		}
		if !known {
			return nil, station.ErrNotFound.At("rule-template/" + cmd.Subject)
		}
		t.Version++
		t.By, t.ByName, t.At, t.Note, t.Removed, t.From = cmd.Actor.Account, cmd.Actor.Name, now, "", true, nil
		if err := a.withdrawAll(tx, t, cmd.Actor); err != nil {
			return nil, err
		}
		return nil, a.putTemplate(tx, t)
	}, after: a.wakeAsked}, nil
}

// templateView is a template with its versions, the newest first.
type templateView struct {
	Template *station.RuleTemplate  `json:"template" jsonschema:"nullable"`
	Versions []station.RuleTemplate `json:"versions"`
}

func (a *Agent) ruleTemplate(id string) (v templateView, err error) {
	v.Versions = []station.RuleTemplate{}
	err = a.store.View(func(tx *store.Tx) error {
		t, known, err := store.Get[station.RuleTemplate](tx, key(templateTable, id))
		if err != nil {
			return err
		}
		if known {
			v.Template = &t
		}
		return store.Each(tx, key(oldTemplateTable, id)+"/", func(_ store.Key, t station.RuleTemplate) error {
			v.Versions = append(v.Versions, t)
			return nil
		})
	})
	if err == nil && len(v.Versions) == 0 {
		return v, station.ErrNotFound.At("rule-template/" + id)
	}
	slices.SortFunc(v.Versions, func(x, y station.RuleTemplate) int { return cmp.Compare(y.Version, x.Version) })
	return v, err
}

// mostSeen bounds the values that are shown of a field.
const mostSeen = 5

// RuleFields are the fields that rules of a class may look at: those that are
// known, with what sensors say now, and those that only sensors here have.
func (a *Agent) RuleFields(class string) ([]station.RuleField, error) {
	out := slices.Clone(a.rules.Fields(class))
	err := a.store.View(func(tx *store.Tx) error {
		return store.Each(tx, sensorTable, func(_ store.Key, s station.Sensor) error {
			if s.Class != class || s.Node != "" {
				return nil
			}
			st, err := sensorState(tx, s.ID)
			for name, v := range st.Values {
				i := slices.IndexFunc(out, func(f station.RuleField) bool { return f.Name == name })
				if i < 0 {
					i = len(out)
					out = append(out, station.RuleField{Name: name, Type: typeOf(v)})
				}
				if f := &out[i]; len(f.Seen) < mostSeen && !slices.Contains(f.Seen, v) {
					f.Seen = append(f.Seen, v)
				}
			}
			return err
		})
	})
	known := len(a.rules.Fields(class))
	slices.SortFunc(out[known:], func(x, y station.RuleField) int { return strings.Compare(x.Name, y.Name) })
	return out, err
}

func typeOf(v station.Value) string {
	switch v.(type) {
	case bool:
		return "bool"
	case float64:
		return "number"
	case string:
		return "text"
	}
	return "any"
}
