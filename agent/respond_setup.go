package agent

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"stationd/agent/account"
	"stationd/agent/station"
	"stationd/agent/store"
)

// The commands that set up who is told and how, and that log a telephone call.

const (
	mostContacts = 200
	mostChannels = 50
	mostCalls    = 50
	mostWays     = 10 // of one contact
	// mostWait bounds how long anybody has to answer.
	mostWait = 3600
	// mostTakeOver bounds how long an alarm is left to a silent parent, in seconds.
	mostTakeOver = 4 * 3600
	// testTime bounds how long somebody waits for what became of a test message.
	testTime = 45 * time.Second
)

// setupChange is the data of EventSetupChanged: what was changed, not what it
// is, for numbers and addresses stay here.
type setupChange struct {
	What    string `json:"what"` // "contact/wang"
	Removed bool   `json:"removed,omitempty"`
}

func tellSetup(tx *store.Tx, what, actor string, at time.Time, removed bool) error {
	return appendEvent(tx, station.LaneNormal, station.EventSetupChanged, what, actor, at, setupChange{what, removed})
}

func count(tx *store.Tx, table store.Key) (n int, err error) {
	err = store.Each(tx, table, func(store.Key, struct{}) error { n++; return nil })
	return n, err
}

func preparePutContact(a *Agent, cmd station.Command) (plan, error) {
	c, err := decodeBody[station.Contact](cmd)
	if err != nil {
		return plan{}, err
	}
	if err := checkContact(c); err != nil {
		return plan{}, err
	}
	if c.Channels == nil {
		c.Channels = []station.Way{}
	}
	now := a.now()
	return plan{subject: "contact/" + c.ID, lane: station.LaneNormal, apply: func(tx *store.Tx) (any, error) {
		k := key(contactTable, c.ID)
		if _, known, err := store.Get[station.Contact](tx, k); err != nil {
			return nil, err
		} else if n, err := count(tx, contactTable); err != nil {
			return nil, err
		} else if !known && n >= mostContacts {
			return nil, invalid("id", "remove contacts that are no longer needed", "there are %d contacts already", n)
		}
		for i, w := range c.Channels {
			if err := checkWay(tx, fmt.Sprintf("channels[%d]", i), w); err != nil {
				return nil, err
			}
		}
		if c.Account != "" {
			if _, ok, err := store.Get[account.Account](tx, key(accountTable, c.Account)); err != nil {
				return nil, err
			} else if !ok {
				return nil, invalid("account", "name an account of this node, or none", "there is no account %q", c.Account)
			}
		}
		if err := store.Put(tx, k, c); err != nil {
			return nil, err
		}
		return c, tellSetup(tx, "contact/"+c.ID, cmd.Actor.Account, now, false)
	}}, nil
}

func checkContact(c station.Contact) error {
	if err := checkID("id", c.ID); err != nil {
		return err
	}
	if strings.TrimSpace(c.Name) == "" {
		return invalid("name", "give the name that the desk shows", "the contact has no name")
	}
	if err := checkText("name", c.Name, 40); err != nil {
		return err
	}
	if err := checkText("phone", c.Phone, 40); err != nil {
		return err
	}
	if err := c.Hours.Validate(); err != nil {
		return err
	}
	switch {
	case c.WaitSeconds < 10 || c.WaitSeconds > mostWait:
		return invalid("waitSeconds", "use 10 to 3600", "%d seconds to answer cannot be used", c.WaitSeconds)
	case len(c.Channels) == 0 && c.Phone == "":
		return invalid("channels", "give a channel, or a telephone number to ring", "the contact cannot be reached")
	case len(c.Channels) > mostWays:
		return invalid("channels", fmt.Sprintf("use at most %d", mostWays), "there are %d channels", len(c.Channels))
	}
	return nil
}

// checkWay tells whether a channel can reach a person at that address.
func checkWay(tx *store.Tx, place string, w station.Way) error {
	ch, ok, err := store.Get[station.Channel](tx, key(channelTable, w.Channel))
	switch {
	case err != nil:
		return err
	case !ok:
		return invalid(place+".channel", "add the channel first", "there is no channel %q", w.Channel)
	case ch.Kind == station.ChannelMQTT:
		return invalid(place+".channel", "let the siren be told at once, by its severities", "a siren reaches nobody in particular")
	case len(w.Address) > 200 || strings.ContainsFunc(w.Address, func(r rune) bool { return r < ' ' }):
		return invalid(place+".address", "use one line of at most 200 characters", "the address cannot be used")
	case w.Address == "" && ch.Kind != station.ChannelRobot && ch.Kind != station.ChannelWebhook:
		return invalid(place+".address", "give the number, the user or the address", "the channel %q wants an address", ch.Name)
	}
	return nil
}

func prepareRemoveContact(a *Agent, cmd station.Command) (plan, error) {
	now := a.now()
	return plan{subject: "contact/" + cmd.Subject, lane: station.LaneNormal, apply: func(tx *store.Tx) (any, error) {
		k := key(contactTable, cmd.Subject)
		if _, ok, err := store.Get[station.Contact](tx, k); err != nil {
			return nil, err
		} else if !ok {
			return nil, station.ErrNotFound.At("contact/" + cmd.Subject)
		}
		if err := tx.Delete(k); err != nil {
			return nil, err
		}
		return nil, tellSetup(tx, "contact/"+cmd.Subject, cmd.Actor.Account, now, true)
	}}, nil
}

func channelSecret(id string) string { return "channel/" + id }

func preparePutChannel(a *Agent, cmd station.Command) (plan, error) {
	o, err := decodeBody[station.ChannelOrder](cmd)
	if err != nil {
		return plan{}, err
	}
	ch, secret := o.Channel, o.Secret
	ch.Trouble = nil
	if err := checkID("id", ch.ID); err != nil {
		return plan{}, err
	}
	if strings.TrimSpace(ch.Name) == "" {
		return plan{}, invalid("name", "give the name that the desk shows", "the channel has no name")
	}
	if err := checkText("name", ch.Name, 40); err != nil {
		return plan{}, err
	}
	if ch.Kind == station.ChannelRobot {
		// WeCom shows a robot's address with its key inside.
		if secret, ch.URL, err = splitKey(ch.URL, secret); err != nil {
			return plan{}, err
		}
	}
	for i, s := range ch.Always {
		if !slices.Contains(severities(), s) {
			return plan{}, invalid(fmt.Sprintf("always[%d]", i), "use critical, major or minor", "there is no severity %q", s)
		}
	}
	if err := a.checkChannel(ch); err != nil {
		return plan{}, err
	}
	now := a.now()
	return plan{subject: "channel/" + ch.ID, lane: station.LaneNormal, apply: func(tx *store.Tx) (any, error) {
		ch := ch
		before, known, err := store.Get[station.Channel](tx, key(channelTable, ch.ID))
		if err != nil {
			return nil, err
		}
		if n, err := count(tx, channelTable); err != nil {
			return nil, err
		} else if !known && n >= mostChannels {
			return nil, invalid("id", "remove channels that are no longer needed", "there are %d channels already", n)
		}
		if known && before.Kind != ch.Kind {
			return nil, invalid("kind", "add another channel", "the kind of a channel stays as it is")
		}
		ch.HasSecret, err = putSecret(tx, channelSecret(ch.ID), secret, before.HasSecret && sameHost(before.URL, ch.URL) && before.Username == ch.Username)
		if p, ok := station.AsProblem(err); ok && p.Place == "password" {
			return nil, p.At("secret")
		} else if err != nil {
			return nil, err
		}
		if !ch.HasSecret && (ch.Kind == station.ChannelRobot || ch.Kind == station.ChannelApp) {
			return nil, invalid("secret", "give the robot's key or the application's secret", "the channel has no secret")
		}
		if err := store.Put(tx, key(channelTable, ch.ID), ch); err != nil {
			return nil, err
		}
		return ch, tellSetup(tx, "channel/"+ch.ID, cmd.Actor.Account, now, false)
	}}, nil
}

func severities() []station.Severity {
	return []station.Severity{station.SeverityCritical, station.SeverityMajor, station.SeverityMinor}
}

// splitKey takes the key out of a robot's address.
func splitKey(raw string, secret station.Secret) (station.Secret, string, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", "", invalid("url", "write https://address", "the address cannot be read")
	}
	if k := u.Query().Get("key"); k != "" && (secret == "" || secret.Unchanged()) {
		secret = station.Secret(k)
	}
	u.RawQuery = ""
	return secret, u.String(), nil
}

func prepareRemoveChannel(a *Agent, cmd station.Command) (plan, error) {
	now := a.now()
	return plan{subject: "channel/" + cmd.Subject, lane: station.LaneNormal, apply: func(tx *store.Tx) (any, error) {
		k := key(channelTable, cmd.Subject)
		ch, ok, err := store.Get[station.Channel](tx, k)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, station.ErrNotFound.At("channel/" + cmd.Subject)
		}
		if on, err := sirenOn(tx, ch); err != nil {
			return nil, err
		} else if on {
			return nil, station.Errorf(http.StatusConflict, "channel.sounding", "answer the alarms first: nobody could switch it off any more", "the siren %q sounds", ch.Name)
		}
		err = store.Each(tx, contactTable, func(_ store.Key, c station.Contact) error {
			if slices.ContainsFunc(c.Channels, func(w station.Way) bool { return w.Channel == cmd.Subject }) {
				return station.Errorf(http.StatusConflict, "channel.used", "take it from the contact first", "%s is told by this channel", c.Name).At("contact/" + c.ID)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if err := tx.DeleteSecret(channelSecret(cmd.Subject)); err != nil {
			return nil, err
		}
		gone := []store.Key{k, key(troubleTable, cmd.Subject)}
		err = store.Each(tx, key(sirenTable, cmd.Subject)+"/", func(k store.Key, _ time.Time) error {
			gone = append(gone, k) // who was to be told of an end
			return nil
		})
		if err != nil {
			return nil, err
		}
		for _, k := range gone {
			if err := tx.Delete(k); err != nil {
				return nil, err
			}
		}
		return nil, tellSetup(tx, "channel/"+cmd.Subject, cmd.Actor.Account, now, true)
	}}, nil
}

func preparePutDuty(a *Agent, cmd station.Command) (plan, error) {
	d, err := decodeBody[station.Duty](cmd)
	if err != nil {
		return plan{}, err
	}
	if err := d.Open.Validate(); err != nil {
		p, _ := station.AsProblem(err)
		return plan{}, p.At(strings.Replace(p.Place, "hours", "open", 1))
	}
	for i, s := range d.Escalate {
		if !slices.Contains(severities(), s) {
			return plan{}, invalid(fmt.Sprintf("escalate[%d]", i), "use critical, major or minor", "there is no severity %q", s)
		}
	}
	if d.DeskSeconds < 0 || d.DeskSeconds > mostWait {
		return plan{}, invalid("deskSeconds", "use 0 to 3600", "%d seconds cannot be used", d.DeskSeconds)
	}
	if d.ParentSeconds < 10 || d.ParentSeconds > mostWait {
		return plan{}, invalid("parentSeconds", "use 10 to 3600", "%d seconds cannot be used", d.ParentSeconds)
	}
	if d.TakeOverSeconds != 0 && (d.TakeOverSeconds < 60 || d.TakeOverSeconds > mostTakeOver) {
		return plan{}, invalid("takeOverSeconds", "use 60 to 14400, which is four hours", "%d seconds cannot be used", d.TakeOverSeconds)
	}
	if !slices.Contains(d.Escalate, station.SeverityCritical) {
		return plan{}, invalid("escalate", "leave critical among them", "nobody would be told of a fire that the desk does not answer")
	}
	now := a.now()
	return plan{subject: "duty", lane: station.LaneNormal, apply: func(tx *store.Tx) (any, error) {
		if err := store.Put(tx, dutyKey, d); err != nil {
			return nil, err
		}
		return d, tellSetup(tx, "duty", cmd.Actor.Account, now, false)
	}}, nil
}

// prepareTestChannel sends a test message and waits for what becomes of it. That
// it could not be sent is the answer, and no failure of the command.
func prepareTestChannel(a *Agent, cmd station.Command) (plan, error) {
	body, err := decodeBody[station.ChannelTest](cmd)
	if err != nil {
		return plan{}, err
	}
	job := tellJob{Telling: cmd.ID, Channel: cmd.Subject, Address: body.To, Made: a.now()}
	ch, msg, err := a.messageOf([]tellJob{job})
	if err != nil {
		return plan{}, err
	}
	if ch.ID == "" {
		return plan{}, station.ErrNotFound.At("channel/" + cmd.Subject)
	}
	msg.Test = true
	ctx, cancel := context.WithTimeout(context.Background(), testTime)
	defer cancel()
	result := station.ChannelTestResult{State: "failed"}
	d, err := a.deliver(ctx, ch, msg)
	if err != nil {
		result.Problem = problemOf(err)
	} else {
		result.State = d.State
	}
	sounds, failure := a.sirenOn(ch.Channel)
	if failure != nil {
		return plan{}, failure
	}
	if ch.Siren != nil && err == nil && !sounds {
		msg.Off = true // a siren that was tried is switched off again
		if _, err := a.deliver(ctx, ch, msg); err != nil {
			result = station.ChannelTestResult{State: "failed", Problem: problemOf(err)}
		}
	}
	return plan{subject: "channel/" + ch.ID, detail: result.State, lane: station.LaneNormal, apply: func(tx *store.Tx) (any, error) {
		if result.Problem != nil {
			return result, nil // what somebody tried out with a wrong address is no trouble yet
		}
		return result, tx.Delete(key(troubleTable, ch.ID))
	}}, nil
}

func prepareLogCall(a *Agent, cmd station.Command) (plan, error) {
	body, err := decodeBody[station.CallOrder](cmd)
	if err != nil {
		return plan{}, err
	}
	body.To, body.Note = strings.TrimSpace(body.To), strings.TrimSpace(body.Note)
	if body.To == "" {
		return plan{}, invalid("to", "say who was rung", "the call names nobody")
	}
	if err := checkText("to", body.To, 60); err != nil {
		return plan{}, err
	}
	if err := checkText("note", body.Note, 500); err != nil {
		return plan{}, err
	}
	now := a.now()
	detail := "reached"
	if !body.Reached {
		detail = "not reached"
	}
	return plan{subject: "alarm/" + cmd.Subject, detail: detail, lane: station.LaneUrgent, apply: func(tx *store.Tx) (any, error) {
		alarm, ok, err := store.Get[station.Alarm](tx, key(alarmTable, cmd.Subject))
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, station.ErrNotFound.At("alarm/" + cmd.Subject)
		}
		if alarm.Node != a.store.Node() {
			return nil, station.Errorf(http.StatusConflict, "alarm.elsewhere", "log it at the station", "the alarm belongs to the station %s", alarm.Node)
		}
		resp, known, err := store.Get[station.Response](tx, key(responseTable, alarm.ID))
		if err != nil {
			return nil, err
		}
		if !known {
			duty, err := dutyOf(tx)
			if err != nil {
				return nil, err
			}
			resp = station.Response{Alarm: alarm.ID, Tellings: []station.Telling{}, Stopped: quiet(alarm, duty)}
		}
		if len(resp.Calls) >= mostCalls {
			return nil, station.Errorf(http.StatusConflict, "calls.many", "write what more there is into a note", "the alarm has %d calls already", len(resp.Calls))
		}
		people, err := peopleOf(tx, alarm.Sensor)
		if err != nil {
			a.log.Warn("people behind a sensor cannot be read", "sensor", alarm.Sensor, "err", err)
		}
		resp.Calls = append(resp.Calls, station.Call{
			By: cmd.Actor.Account, Name: cmd.Actor.Name, At: now, To: withoutPeople(body.To, people), Reached: body.Reached, Note: withoutPeople(body.Note, people),
		})
		if err := store.Put(tx, key(responseTable, alarm.ID), resp); err != nil {
			return nil, err
		}
		return resp, a.tellResponse(tx, resp, cmd.Actor.Account, now)
	}}, nil
}
