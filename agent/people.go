package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"stationd/agent/account"
	"stationd/agent/station"
	"stationd/agent/store"
)

// The people behind a sensor: who lives there, who has the key. Names and
// telephones of private persons are kept apart from everything that travels: sealed
// in the store, in no event, no receipt, no audit row and no log, and on no line to
// a parent. Whoever erases them erases the only copy but the backups'.

// The bounds of what is kept of people.
const (
	maxPeople = 8
	maxAge    = 130
)

func peopleSecret(sensor string) string { return "people/" + sensor }

// checkPeople reports every fault. The messages name no person: what is refused
// has a row in the audit.
func checkPeople(p station.People) error {
	var faults []error
	bad := func(err error) {
		if err != nil {
			faults = append(faults, err)
		}
	}
	bad(checkText("flat", p.Flat, 60))
	if len(p.List) > maxPeople {
		bad(invalid("list", fmt.Sprintf("keep at most %d", maxPeople), "there are %d people", len(p.List)))
	}
	for i, one := range p.List {
		at := func(field string) string { return fmt.Sprintf("list[%d].%s", i, field) }
		bad(checkText(at("relation"), one.Relation, 20))
		bad(checkText(at("name"), one.Name, 30))
		bad(checkText(at("note"), one.Note, 200))
		if strings.TrimSpace(one.Name) == "" && strings.TrimSpace(one.Relation) == "" {
			bad(invalid(at("name"), "give a name, or a relation such as keyholder", "a person has neither name nor relation"))
		}
		if one.Phone != "" && !dialable(one.Phone) {
			bad(invalid(at("phone"), "use 3 to 20 digits; '+', '-', spaces and brackets are allowed", "this is no telephone number"))
		}
		if one.Age < 0 || one.Age > maxAge {
			bad(invalid(at("age"), fmt.Sprintf("use 0 to %d, 0 for unknown", maxAge), "this is nobody's age"))
		}
	}
	return errors.Join(faults...)
}

// dialable tells whether a telephone could dial text.
func dialable(text string) bool {
	digits := 0
	for _, r := range text {
		switch {
		case r >= '0' && r <= '9':
			digits++
		case !strings.ContainsRune("+- ()", r):
			return false
		}
	}
	return digits >= 3 && digits <= 20 && len(text) <= 30
}

func preparePutPeople(a *Agent, cmd station.Command) (plan, error) {
	p, err := decodeBody[station.People](cmd)
	if err != nil {
		return plan{}, err
	}
	p.Sensor, p.Masked = cmd.Subject, false
	if err := checkPeople(p); err != nil {
		return plan{}, err
	}
	now := a.now()
	done := peopleChange{Sensor: p.Sensor, People: len(p.List)}
	return plan{
		subject: "people/" + cmd.Subject, detail: fmt.Sprintf("%d people", len(p.List)), lane: station.LaneNormal, kept: done,
		apply: func(tx *store.Tx) (any, error) {
			if _, err := ownSensor(tx, cmd.Subject); err != nil {
				return nil, err
			}
			if err := putPeople(tx, p); err != nil {
				return nil, err
			}
			return p, setupEvent(tx, "people/"+p.Sensor, cmd.Actor, now, done)
		},
	}, nil
}

// peopleChange is all that events and receipts say of people.
type peopleChange struct {
	Sensor string `json:"sensor"`
	People int    `json:"people"`
}

func prepareRemovePeople(a *Agent, cmd station.Command) (plan, error) {
	now := a.now()
	return plan{subject: "people/" + cmd.Subject, lane: station.LaneNormal, apply: func(tx *store.Tx) (any, error) {
		// They can be erased whatever became of the sensor and of the key.
		if err := tx.DeleteSecret(peopleSecret(cmd.Subject)); err != nil {
			return nil, err
		}
		return nil, setupEvent(tx, "people/"+cmd.Subject, cmd.Actor, now, peopleChange{Sensor: cmd.Subject})
	}}, nil
}

// putPeople seals them; nobody at all is no record.
func putPeople(tx *store.Tx, p station.People) error {
	if p.Flat == "" && len(p.List) == 0 {
		return tx.DeleteSecret(peopleSecret(p.Sensor))
	}
	b, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode people: %w", err)
	}
	return tx.PutSecret(peopleSecret(p.Sensor), station.Secret(b))
}

// peopleOf are those behind a sensor, as they are kept.
func peopleOf(tx *store.Tx, sensor string) (station.People, error) {
	p := station.People{Sensor: sensor, List: []station.Person{}}
	text, ok, err := tx.Secret(peopleSecret(sensor))
	if err != nil || !ok {
		return p, err
	}
	if err := json.Unmarshal([]byte(text.Reveal()), &p); err != nil {
		return p, fmt.Errorf("read the people of sensor %q: %w", sensor, err)
	}
	return p, nil
}

// People are those behind a sensor as actor may see them: whole for those who have
// the permission, masked for everybody else.
func (a *Agent) People(actor station.Actor, sensor string) (station.People, error) {
	var p station.People
	err := a.store.View(func(tx *store.Tx) (err error) {
		if _, err = ownSensor(tx, sensor); err == nil {
			p, err = peopleOf(tx, sensor)
		}
		return err
	})
	if err == nil && account.Authorize(actor, station.PermPeople, "people/"+sensor) != nil {
		p = maskPeople(p)
	}
	return p, err
}

// peopleInAlarm are those behind an alarm's sensor, for its view on the desk; nil
// when nobody is kept. A display of the duty room sees them whole as long as the
// alarm lives: whoever stands before it has to ring somebody. What cannot be opened
// must not hide the alarm.
func (a *Agent) peopleInAlarm(tx *store.Tx, actor station.Actor, alarm station.Alarm) *station.People {
	if alarm.Sensor == "" || alarm.Node != a.store.Node() {
		return nil
	}
	p, err := peopleOf(tx, alarm.Sensor)
	if err != nil {
		a.log.Error("people behind a sensor cannot be read", "sensor", alarm.Sensor, "err", err)
		return nil
	}
	if p.Flat == "" && len(p.List) == 0 {
		return nil
	}
	onDuty := actor.Role == account.RoleDisplay && alarm.Live()
	if !onDuty && account.Authorize(actor, station.PermPeople, "people/"+alarm.Sensor) != nil {
		p = maskPeople(p)
	}
	return &p
}

// maskPeople leaves what tells that somebody is there and not who.
func maskPeople(p station.People) station.People {
	out := station.People{Sensor: p.Sensor, Flat: p.Flat, Masked: true, List: make([]station.Person, len(p.List))}
	for i, one := range p.List {
		out.List[i] = station.Person{Relation: one.Relation, Name: maskName(one.Name), Phone: maskPhone(one.Phone)}
	}
	return out
}

// maskName keeps the family name of a Chinese name: 张三 → 张*.
func maskName(name string) string {
	first, size := utf8.DecodeRuneInString(strings.TrimSpace(name))
	if size == 0 {
		return ""
	}
	return string(first) + "*"
}

// maskPhone keeps the first three and the last four digits of a number that is long
// enough: 13812341234 → 138****1234. Of a shorter one the last two remain.
func maskPhone(phone string) string {
	digits := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, phone)
	switch n := len(digits); {
	case n == 0:
		return ""
	case n >= 10:
		return digits[:3] + "****" + digits[n-4:]
	case n >= 5:
		return "****" + digits[n-2:]
	}
	return "****"
}

// withoutPeople masks those behind a sensor in a text that is journalled and goes to
// the parent: whoever logs a call names whom they have rung.
func withoutPeople(text string, p station.People) string {
	for _, one := range p.List {
		if name := strings.TrimSpace(one.Name); utf8.RuneCountInString(name) > 1 {
			text = strings.ReplaceAll(text, name, maskName(name))
		}
		if one.Phone != "" {
			text = strings.ReplaceAll(text, one.Phone, maskPhone(one.Phone))
		}
	}
	return text
}

func (a *Agent) peopleRoutes() []station.Route {
	const one = "/api/v1/people/{id}"
	return []station.Route{
		{Pattern: "GET " + one, Permission: station.PermWatch, Resource: "people/{id}", Summary: "The people behind a sensor; masked for those who may not see them", Reply: station.People{}, Handler: station.Handler(func(w http.ResponseWriter, r *http.Request) error {
			p, err := a.People(station.ActorFrom(r.Context()), r.PathValue("id"))
			if err != nil {
				return err
			}
			return station.WriteJSON(w, http.StatusOK, p)
		})},
		{Pattern: "PUT " + one, Permission: station.PermPeople, Resource: "people/{id}", Summary: "Write down the people behind a sensor", Body: station.People{}, Reply: station.People{}, Params: commandParams, Handler: station.Handler(func(w http.ResponseWriter, r *http.Request) error {
			var p station.People
			if err := station.ReadJSON(w, r, &p); err != nil {
				return err
			}
			p.Sensor = r.PathValue("id")
			if err := a.command(r, station.CommandPutPeople, p.Sensor, p, nil); err != nil {
				return err
			}
			kept, err := a.People(station.ActorFrom(r.Context()), p.Sensor)
			if err != nil {
				return err
			}
			return station.WriteJSON(w, http.StatusOK, kept)
		})},
		{Pattern: "DELETE " + one, Permission: station.PermPeople, Resource: "people/{id}", Summary: "Erase the people behind a sensor", Status: http.StatusNoContent, Params: commandParams, Handler: a.remove(station.CommandRemovePeople)},
	}
}
