package agent

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"stationd/agent/station"
	"stationd/agent/store"
)

// A station is given a rule template by its parent. It takes it unless its own
// people have said that they keep the rules of the class to themselves, or have
// made some: those are given up only where the parent names the very version, so
// that nothing that it has not been told of is overwritten.

// standing names what there is for a class, for the parent to name it again.
func standing(t station.RuleTemplate) string {
	return "rule-template/" + t.ID + "/" + strconv.Itoa(t.Version)
}

func prepareTakeTemplate(a *Agent, cmd station.Command) (plan, error) {
	o, err := decodeBody[station.TakeTemplateOrder](cmd)
	if err != nil {
		return plan{}, err
	}
	who, err := parentSays(cmd, o.By, o.Note)
	if err != nil {
		return plan{}, err
	}
	t := o.Template
	version := t.Version
	t.ID, t.Removed = cmd.Subject, false
	if o.Withdraw {
		err = checkID("id", t.ID)
	} else {
		err = a.validTemplate(t)
	}
	if err != nil {
		return plan{}, err
	}
	if version < 1 {
		return plan{}, invalid("template.version", "send a version that was made", "the template has no version")
	}
	t.From = &station.TemplateOrigin{Template: t.ID, Version: version, By: who}
	t.By, t.ByName, t.At, t.Note = cmd.Actor.Account, who, a.now(), strings.TrimSpace(o.Note)
	detail := fmt.Sprintf("%s: version %d", o.By, version)
	if o.Withdraw {
		detail = o.By + ": taken back"
	}
	if o.Over != "" {
		detail += ", over " + o.Over
	}
	return plan{subject: "rule-template/" + cmd.Subject, detail: detail, lane: station.LaneNormal, registry: true, apply: func(tx *store.Tx) (any, error) {
		t := t
		if err := heedRulePolicy(tx, t.Class); err != nil {
			return nil, err
		}
		here, err := templateOf(tx, t.Class, t.ID)
		if err != nil {
			return nil, err
		}
		if err := yields(here, t.From, o); err != nil {
			return nil, err
		}
		switch {
		case o.Withdraw && (here.Version == 0 || here.Removed):
			return nil, nil
		case o.Withdraw:
			here.Version++
			here.From, here.By, here.ByName, here.At, here.Note, here.Removed = t.From, t.By, t.ByName, t.At, t.Note, true
			return here, a.putTemplate(tx, here)
		case here.From != nil && !here.Removed && here.From.Template == t.From.Template && here.From.Version == version:
			return here, nil // it stands so already
		}
		if err := checkSchedules(tx, t.Rules); err != nil {
			return nil, err
		}
		if t.ID, err = freeTemplateID(tx, here, t); err != nil {
			return nil, err
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

// heedRulePolicy refuses what this station's people do not want from above.
func heedRulePolicy(tx *store.Tx, class string) error {
	p, _, err := store.Get[station.RulePolicy](tx, rulePolicyKey)
	if err != nil || !p.Refuse && !slices.Contains(p.Classes, class) {
		return err
	}
	message := "the station keeps its rules for " + class + " to itself"
	if p.Why != "" {
		message += ": " + p.Why
	}
	return station.Errorf(http.StatusForbidden, "template.policy", "ask the station's people to change that", "%s", message).
		With(map[string]string{"class": class, "why": p.Why, "name": p.ByName})
}

// templateOf is the template of a class, or the removed one that the parent's had
// become here; the zero template where there has been none.
func templateOf(tx *store.Tx, class, id string) (here station.RuleTemplate, err error) {
	err = store.Each(tx, templateTable, func(_ store.Key, t station.RuleTemplate) error {
		if t.Class == class {
			here = t
			return store.ErrStop
		}
		return nil
	})
	if err != nil || here.Version != 0 {
		return here, err
	}
	last, err := lastTemplate(tx, id)
	if last.Class == class {
		here = last
	}
	return here, err
}

// yields tells whether what is here may be replaced by what comes: it is the
// parent's and not newer, or the parent has named it.
func yields(here station.RuleTemplate, from *station.TemplateOrigin, o station.TakeTemplateOrder) error {
	args := map[string]string{"name": here.ByName, "at": here.At.Format(time.RFC3339), "version": strconv.Itoa(here.Version)}
	switch {
	case here.Version == 0, o.Over != "" && o.Over == standing(here):
		return nil
	case here.From == nil && here.Removed && o.Withdraw:
		return nil // gone already
	case here.From == nil && here.Removed:
		return station.Errorf(http.StatusConflict, "template.removed", "speak with the station; push it again over that if it is right", "%s has removed the template at the station on %s", here.ByName, here.At.Format(time.DateTime)).With(args).At(standing(here))
	case here.From == nil:
		return station.Errorf(http.StatusConflict, "template.local", "speak with the station; push it again over that if it is right", "the station has rules of its own for %s: version %d by %s of %s", here.Class, here.Version, here.ByName, here.At.Format(time.DateTime)).With(args).At(standing(here))
	case here.From.Template == from.Template && here.From.Version > from.Version:
		args["version"] = strconv.Itoa(here.From.Version)
		return station.Errorf(http.StatusConflict, "template.older", "make a new version of it, or push it over that", "the station has version %d of the template already", here.From.Version).With(args).At(standing(here))
	}
	return nil
}

// checkSchedules tells of a rule that is watched by a schedule which is not here.
func checkSchedules(tx *store.Tx, rules []station.Rule) error {
	for i, r := range rules {
		if r.Schedule == "" {
			continue
		}
		if _, known, err := store.Get[station.Schedule](tx, key(scheduleTable, r.Schedule)); err != nil || !known {
			if err == nil {
				err = station.Errorf(http.StatusConflict, "template.schedule", "make a schedule of that name at the station, or take it out of the rule", "the station has no schedule %q", r.Schedule).
					With(map[string]string{"schedule": r.Schedule}).At("rules." + strconv.Itoa(i) + ".schedule")
			}
			return err
		}
	}
	return nil
}

// freeTemplateID is under which ID the parent's template is kept here: that of the
// one which it replaces, its own, or one beside a stranger of that ID.
func freeTemplateID(tx *store.Tx, here, t station.RuleTemplate) (string, error) {
	if here.Version != 0 {
		return here.ID, nil
	}
	n := 0
	err := store.Each(tx, templateTable, func(store.Key, station.RuleTemplate) error { n++; return nil })
	if err == nil && n >= maxTemplates {
		err = station.Errorf(http.StatusConflict, "template.many", "remove one at the station that is not used", "there are %d templates already", n)
	}
	if err != nil {
		return "", err
	}
	for id := t.ID; ; id += "-" + t.Class {
		last, err := lastTemplate(tx, id)
		if err != nil || last.Version == 0 || last.Class == t.Class {
			return id, err
		}
	}
}

func preparePutRulePolicy(a *Agent, cmd station.Command) (plan, error) {
	p, err := decodeBody[station.RulePolicy](cmd)
	if err != nil {
		return plan{}, err
	}
	p.Why = strings.TrimSpace(p.Why)
	if err := checkText("why", p.Why, 200); err != nil {
		return plan{}, err
	}
	slices.Sort(p.Classes)
	p.Classes = slices.Compact(p.Classes)
	for _, c := range p.Classes {
		if !slices.Contains(station.Classes(), c) {
			return plan{}, invalid("classes", "choose of "+strings.Join(station.Classes(), ", "), "there is no device class %q", c)
		}
	}
	p.By, p.ByName, p.At = cmd.Actor.Account, cmd.Actor.Name, a.now()
	detail := "takes all"
	if p.Refuse {
		detail = "takes none"
	} else if len(p.Classes) > 0 {
		detail = "takes none for " + strings.Join(p.Classes, ", ")
	}
	return plan{subject: "rule-policy", detail: detail, lane: station.LaneNormal, apply: func(tx *store.Tx) (any, error) {
		if err := store.Put(tx, rulePolicyKey, p); err != nil {
			return nil, err
		}
		return p, appendEvent(tx, station.LaneNormal, station.EventSetupChanged, "rule-policy", p.By, p.At, p)
	}}, nil
}

// RulePolicy is which of the parent's rule templates are taken here.
func (a *Agent) RulePolicy() (p station.RulePolicy, err error) {
	err = a.store.View(func(tx *store.Tx) error {
		p, _, err = store.Get[station.RulePolicy](tx, rulePolicyKey)
		return err
	})
	return p, err
}

func (a *Agent) putRulePolicy(w http.ResponseWriter, r *http.Request) error {
	var p station.RulePolicy
	if err := station.ReadJSON(w, r, &p); err != nil {
		return err
	}
	if err := a.command(r, station.CommandPutRulePolicy, "", p, &p); err != nil {
		return err
	}
	return station.WriteJSON(w, http.StatusOK, p)
}
