package agent

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"stationd/agent/account"
	"stationd/agent/station"
	"stationd/agent/store"
)

// The routes about who is told.

type (
	contactListView struct {
		Contacts []station.Contact `json:"contacts"`
	}
	channelListView struct {
		Channels []station.Channel `json:"channels"`
	}
)

func (a *Agent) respondRoutes() []station.Route {
	return []station.Route{
		{Pattern: "GET /api/v1/alarms/{id}/response", Permission: station.PermWatch, Resource: "alarm/{id}", Summary: "Who was told of an alarm, by which way and with what result; who is next, and when", Reply: station.Response{}, Handler: station.Handler(a.getResponse)},
		{Pattern: "POST /api/v1/alarms/{id}/calls", Permission: station.PermAnswer, Resource: "alarm/{id}", Summary: "Log a telephone call", Params: commandParams, Body: station.CallOrder{}, Reply: station.Response{}, Handler: station.Handler(a.postCall)},

		{Pattern: "GET /api/v1/contacts", Permission: station.PermWatch, Summary: "List who is told, in order; numbers are masked for who neither answers nor configures", Reply: contactListView{}, Handler: station.Handler(a.getContacts)},
		{Pattern: "PUT /api/v1/contacts/{id}", Permission: station.PermConfigure, Resource: "contact/{id}", Summary: "Add or change a contact", Body: station.Contact{}, Reply: station.Contact{}, Params: commandParams, Handler: a.put(station.CommandPutContact, "id")},
		{Pattern: "DELETE /api/v1/contacts/{id}", Permission: station.PermConfigure, Resource: "contact/{id}", Summary: "Remove a contact; their links answer no longer", Status: http.StatusNoContent, Params: commandParams, Handler: a.remove(station.CommandRemoveContact)},

		{Pattern: "GET /api/v1/channels", Permission: station.PermConfigure, Summary: "List the channels on which people are told", Reply: channelListView{}, Handler: list(a.Channels, func(v []station.Channel) any { return channelListView{v} })},
		{Pattern: "PUT /api/v1/channels/{id}", Permission: station.PermConfigure, Resource: "channel/{id}", Summary: "Add or change a channel", Body: station.ChannelOrder{}, Reply: station.Channel{}, Params: commandParams, Handler: a.put(station.CommandPutChannel, "id")},
		{Pattern: "DELETE /api/v1/channels/{id}", Permission: station.PermConfigure, Resource: "channel/{id}", Summary: "Remove a channel", Status: http.StatusNoContent, Params: commandParams, Handler: a.remove(station.CommandRemoveChannel)},
		{Pattern: "POST /api/v1/channels/{id}/test", Permission: station.PermConfigure, Resource: "channel/{id}", Summary: "Send a test message and say what became of it", Body: station.ChannelTest{}, Reply: station.ChannelTestResult{}, Params: commandParams, Handler: station.Handler(a.postChannelTest)},

		{Pattern: "GET /api/v1/hours", Permission: station.PermWatch, Summary: "Opening hours, and how alarms are passed on", Reply: station.DutyView{}, Handler: station.Handler(a.getDuty)},
		{Pattern: "PUT /api/v1/hours", Permission: station.PermConfigure, Summary: "Change them", Body: station.Duty{}, Reply: station.Duty{}, Params: commandParams, Handler: station.Handler(a.putDuty)},

		{Pattern: "GET /api/v1/sound", Permission: station.PermWatch, Summary: "The PC's own sound output", Reply: station.SoundState{}, Handler: station.Handler(a.getSound)},
		{Pattern: "POST /api/v1/sound/test", Permission: station.PermAnswer, Summary: "Play a short tone", Reply: station.SoundState{}, Params: commandParams, Handler: station.Handler(a.postSoundTest)},

		{Pattern: "GET /answer/{token}", Permission: station.PermPublic, Summary: "The page of a signed link, with which a contact answers one alarm", ReplyType: "text/html", Handler: station.Handler(a.getLink)},
		{Pattern: "POST /answer/{token}", Permission: station.PermPublic, Summary: "Answer 收到 by a signed link", ReplyType: "text/html", Handler: station.Handler(a.postLink)},
	}
}

// Response is what was done about an alarm; empty where nothing was.
func (a *Agent) Response(alarm string) (station.Response, error) {
	var resp station.Response
	err := a.store.View(func(tx *store.Tx) error {
		if _, ok, err := store.Get[station.Alarm](tx, key(alarmTable, alarm)); err != nil {
			return err
		} else if !ok {
			return station.ErrNotFound.At("alarm/" + alarm)
		}
		r, err := a.responseOf(tx, alarm)
		if r != nil {
			resp = *r
		}
		return err
	})
	return resp, err
}

func (a *Agent) responseOf(tx *store.Tx, alarm string) (*station.Response, error) {
	resp, known, err := store.Get[station.Response](tx, key(responseTable, alarm))
	if !known {
		resp = station.Response{Alarm: alarm, Tellings: []station.Telling{}}
	}
	if err != nil || resp.NextAt.IsZero() && resp.TakenUntil.IsZero() {
		return &resp, err
	}
	clock, waits, err := store.Get[respondClock](tx, key(clockTable, alarm))
	if err != nil || !waits || clock.Due == 0 {
		return &resp, err
	}
	now, err := a.moment(tx)
	if err != nil {
		return nil, err
	}
	// Where the clock was set since, what is left of the wait counts.
	told := &resp.NextAt
	if clock.Taken {
		told = &resp.TakenUntil
	}
	if next := now.Wall.Add(time.Duration(clock.Due - now.Tick)); next.Sub(*told).Abs() > clockBack {
		*told = next
	}
	return &resp, nil
}

func (a *Agent) getResponse(w http.ResponseWriter, r *http.Request) error {
	resp, err := a.Response(r.PathValue("id"))
	if err != nil {
		return err
	}
	hideCalls(station.ActorFrom(r.Context()), &resp)
	return station.WriteJSON(w, http.StatusOK, resp)
}

// hideCalls leaves of the telephone calls that they were made, for those who answer no
// alarms: who was rung stands there as somebody wrote it.
func hideCalls(who station.Actor, resp *station.Response) {
	if resp == nil || account.Authorize(who, station.PermAnswer, "alarm/"+resp.Alarm) == nil {
		return
	}
	for i := range resp.Calls {
		resp.Calls[i].To, resp.Calls[i].Note = maskName(resp.Calls[i].To), ""
	}
}

func (a *Agent) postCall(w http.ResponseWriter, r *http.Request) error {
	var body station.CallOrder
	if err := station.ReadJSON(w, r, &body); err != nil {
		return err
	}
	return a.replyTo(w, r, station.CommandLogCall, r.PathValue("id"), body)
}

// replyTo carries out a command and answers with its result.
func (a *Agent) replyTo(w http.ResponseWriter, r *http.Request, kind, subject string, body any) error {
	var result json.RawMessage
	if err := a.command(r, kind, subject, body, &result); err != nil {
		return err
	}
	return station.WriteJSON(w, http.StatusOK, result)
}

// Contacts lists the contacts by their order.
func (a *Agent) Contacts() ([]station.Contact, error) {
	list, err := all[station.Contact](a, contactTable)
	slices.SortStableFunc(list, func(x, y station.Contact) int { return x.Order - y.Order })
	return list, err
}

func (a *Agent) getContacts(w http.ResponseWriter, r *http.Request) error {
	list, err := a.Contacts()
	if err != nil {
		return err
	}
	who := station.ActorFrom(r.Context())
	if account.Authorize(who, station.PermAnswer, "") != nil && account.Authorize(who, station.PermConfigure, "") != nil {
		for i := range list {
			list[i].Phone = mask(list[i].Phone)
			for k := range list[i].Channels {
				list[i].Channels[k].Address = mask(list[i].Channels[k].Address)
			}
		}
	}
	return station.WriteJSON(w, http.StatusOK, contactListView{list})
}

// mask leaves the last two characters of an address.
func mask(text string) string {
	n := utf8.RuneCountInString(text)
	if n <= 2 {
		return strings.Repeat("•", n)
	}
	return strings.Repeat("•", n-2) + string([]rune(text)[n-2:])
}

// Channels lists the channels, without their secrets, with the trouble of each.
func (a *Agent) Channels() ([]station.Channel, error) {
	out := []station.Channel{}
	err := a.store.View(func(tx *store.Tx) error {
		list, err := channels(tx)
		for _, ch := range list {
			if t, troubled, err := store.Get[station.Trouble](tx, key(troubleTable, ch.ID)); err != nil {
				return err
			} else if troubled {
				ch.Trouble = &t
			}
			out = append(out, ch)
		}
		return err
	})
	return out, err
}

// ChannelLamp is the lamp of the channels that do not get through; ok is false
// when there is none.
func (a *Agent) ChannelLamp() (l station.Lamp, ok bool) {
	list, err := a.Channels()
	if err != nil {
		return l, false
	}
	i := slices.IndexFunc(list, func(ch station.Channel) bool { return ch.Trouble != nil && !ch.Disabled })
	if i < 0 {
		return l, false
	}
	return station.Lamp{ID: "notify", State: station.LampBad, Code: "notify.failing", Args: map[string]any{"channel": list[i].Name}, Hint: "notify.test"}, true
}

func channels(tx *store.Tx) (out []station.Channel, err error) {
	err = store.Each(tx, channelTable, func(_ store.Key, ch station.Channel) error {
		out = append(out, ch)
		return nil
	})
	return out, err
}

func (a *Agent) postChannelTest(w http.ResponseWriter, r *http.Request) error {
	var body station.ChannelTest
	if err := station.ReadJSON(w, r, &body); err != nil {
		return err
	}
	return a.replyTo(w, r, station.CommandTestChannel, r.PathValue("id"), body)
}

// Duty is how alarms are passed on, and what that means now.
func (a *Agent) Duty() (v station.DutyView, err error) {
	err = a.store.View(func(tx *store.Tx) (err error) {
		v.Duty, err = dutyOf(tx)
		return err
	})
	v.Closed, v.Parent = !v.Open.Contain(a.now()), a.centreConfigured
	return v, err
}

func (a *Agent) getDuty(w http.ResponseWriter, _ *http.Request) error {
	v, err := a.Duty()
	if err != nil {
		return err
	}
	return station.WriteJSON(w, http.StatusOK, v)
}

func (a *Agent) putDuty(w http.ResponseWriter, r *http.Request) error {
	var body station.Duty
	if err := station.ReadJSON(w, r, &body); err != nil {
		return err
	}
	return a.replyTo(w, r, station.CommandPutDuty, "", body)
}

func (a *Agent) getSound(w http.ResponseWriter, _ *http.Request) error {
	st, err := a.SoundState()
	if err != nil {
		return err
	}
	return station.WriteJSON(w, http.StatusOK, st)
}

func (a *Agent) postSoundTest(w http.ResponseWriter, r *http.Request) error {
	return a.replyTo(w, r, station.CommandTestSound, "", nil)
}
