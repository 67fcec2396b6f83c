package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"time"

	"stationd/agent/station"
)

// The routes about alarms: lists, what people do about them, the work mode, what is
// watched when, and how well it all goes.

type (
	answersReply struct {
		Results []answerResult `json:"results"`
	}
	answerResult struct {
		ID      string           `json:"id"`
		Alarm   *station.Alarm   `json:"alarm,omitempty"`
		Problem *station.Problem `json:"problem,omitempty"`
	}
	scheduleList struct {
		Schedules []station.Schedule `json:"schedules"`
	}
)

// maxAtOnce bounds a bulk answer.
const maxAtOnce = 200

func (a *Agent) alarmRoutes() []station.Route {
	on := func(method, what, summary, kind string, body any) station.Route {
		return station.Route{
			Pattern: method + " /api/v1/alarms/{id}/" + what, Permission: station.PermAnswer, Resource: "alarm/{id}", Summary: summary,
			Params: commandParams, Body: body, Reply: alarmAnswer{}, Handler: a.alarmCommand(kind, body != nil),
		}
	}
	from := station.Param{Name: "from", In: "query", Type: "string", Summary: "raised at this time or later (RFC 3339)"}
	to := station.Param{Name: "to", In: "query", Type: "string", Summary: "raised before this time (RFC 3339)"}
	return []station.Route{
		{Pattern: "GET /api/v1/alarms", Permission: station.PermWatch, Summary: "List alarms: live ones, or all from the newest", Params: []station.Param{
			{Name: "live", In: "query", Type: "boolean", Summary: "the live ones that the desk shows, the gravest first"},
			{Name: "hidden", In: "query", Type: "boolean", Summary: "with live: those on the shelf, in maintenance or behind a bridge too"},
			{Name: "kind", In: "query", Type: "string", Summary: "of this kind"},
			{Name: "sensor", In: "query", Type: "string", Summary: "of this sensor"},
			{Name: "severity", In: "query", Type: "string", Summary: "critical, major or minor"},
			from, to,
			{Name: "text", In: "query", Type: "string", Summary: "with this in the name, the place or a note"},
			{Name: "before", In: "query", Type: "string", Summary: "those before the alarm with this ID"},
			limitParam,
		}, Reply: AlarmPage{}, Handler: station.Handler(a.getAlarms)},
		{Pattern: "GET /api/v1/alarms/{id}", Permission: station.PermWatch, Resource: "alarm/{id}", Summary: "One alarm with its clip, cameras, sensor and incident", Reply: AlarmView{}, Handler: station.Handler(a.getAlarm)},
		{Pattern: "POST /api/v1/alarms/{id}/answers", Permission: station.PermAnswer, Resource: "alarm/{id}", Summary: "Answer an alarm", Params: commandParams, Body: station.AnswerOrder{}, Reply: alarmAnswer{}, Handler: station.Handler(a.postAnswer)},
		{Pattern: "POST /api/v1/alarms/answers", Permission: station.PermAnswer, Summary: "Answer several alarms alike; each has its own result", Params: commandParams, Body: station.AnswersOrder{}, Reply: answersReply{}, Handler: station.Handler(a.postAnswers)},
		on("POST", "shelf", "Put an alarm on the shelf for a limited time", station.CommandShelveAlarm, station.ShelfOrder{}),
		on("DELETE", "shelf", "Take an alarm off the shelf", station.CommandUnshelveAlarm, nil),
		on("POST", "take", "Take an alarm in hand, so that the other seats know", station.CommandTakeAlarm, station.TakeOrder{}),
		on("DELETE", "take", "Give an alarm up for others to take", station.CommandReleaseAlarm, nil),
		{Pattern: "POST /api/v1/alarms/{id}/seen", Permission: station.PermAnswer, Resource: "alarm/{id}", Summary: "At a centre: let the alarm's station know that an officer looks at it; 202 until the station has confirmed it", Status: http.StatusAccepted, Params: commandParams, Body: askNote{}, Reply: askedReply{}, Handler: a.postAsk(station.CommandAskSeen, false)},
		{Pattern: "POST /api/v1/alarms/{id}/takeover", Permission: station.PermAnswer, Resource: "alarm/{id}", Summary: "At a centre: take a station's alarm over; 202 until the station has confirmed it. It silences nothing there", Status: http.StatusAccepted, Params: commandParams, Body: askNote{}, Reply: askedReply{}, Handler: a.postAsk(station.CommandAskTakeOver, false)},
		{Pattern: "DELETE /api/v1/alarms/{id}/takeover", Permission: station.PermAnswer, Resource: "alarm/{id}", Summary: "At a centre: hand a station's alarm back; 202 until the station has confirmed it", Status: http.StatusAccepted, Params: commandParams, Reply: askedReply{}, Handler: a.postAsk(station.CommandAskTakeOver, true)},
		on("POST", "notes", "Write a note about an alarm", station.CommandNoteAlarm, station.NoteOrder{}),
		{Pattern: "GET /api/v1/incidents/{id}", Permission: station.PermWatch, Resource: "incident/{id}", Summary: "The alarms of one place and one time, as one incident", Reply: IncidentView{}, Handler: station.Handler(a.getIncident)},
		{Pattern: "GET /api/v1/mode", Permission: station.PermWatch, Summary: "The work mode and what is armed", Reply: station.Mode{}, Handler: station.Handler(a.getMode)},
		{Pattern: "PUT /api/v1/mode", Permission: station.PermAnswer, Resource: "mode", Summary: "Change the work mode, arm or disarm", Params: commandParams, Body: station.ModeOrder{}, Reply: station.Mode{}, Handler: station.Handler(a.putMode)},
		{Pattern: "GET /api/v1/schedules", Permission: station.PermWatch, Summary: "List the arming schedules", Reply: scheduleList{}, Handler: list(a.Schedules, func(v []station.Schedule) any { return scheduleList{v} })},
		{Pattern: "GET /api/v1/schedules/{id}", Permission: station.PermWatch, Resource: "schedule/{id}", Summary: "One arming schedule", Reply: station.Schedule{}, Handler: station.Handler(a.getSchedule)},
		{Pattern: "PUT /api/v1/schedules/{id}", Permission: station.PermConfigure, Resource: "schedule/{id}", Summary: "Add or change an arming schedule", Params: commandParams, Body: station.Schedule{}, Reply: station.Schedule{}, Handler: a.put(station.CommandPutSchedule, "id")},
		{Pattern: "DELETE /api/v1/schedules/{id}", Permission: station.PermConfigure, Resource: "schedule/{id}", Summary: "Remove an arming schedule that no rule names", Status: http.StatusNoContent, Params: commandParams, Handler: a.remove(station.CommandRemoveSchedule)},
		{Pattern: "GET /api/v1/performance", Permission: station.PermWatch, Summary: "How the alarms of a span of time have been, a week without one; at most 31 days", Params: []station.Param{from, to}, Reply: Performance{}, Handler: station.Handler(a.getPerformance)},
	}
}

// alarmCommand serves a command about the alarm in the path.
func (a *Agent) alarmCommand(kind string, body bool) http.Handler {
	return station.Handler(func(w http.ResponseWriter, r *http.Request) error {
		var order any
		if body {
			fields := map[string]any{}
			if err := station.ReadJSON(w, r, &fields); err != nil {
				return err
			}
			order = fields
		}
		var al station.Alarm
		if err := a.command(r, kind, r.PathValue("id"), order, &al); err != nil {
			return err
		}
		if err := a.maskAlarms(station.ActorFrom(r.Context()), &al); err != nil {
			return err
		}
		return station.WriteJSON(w, http.StatusOK, alarmAnswer{al})
	})
}

// timeOf reads a query parameter; zero when there is none.
func timeOf(r *http.Request, name string) (time.Time, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, station.Errorf(http.StatusBadRequest, "query.time", "write it as 2026-11-21T08:00:00+08:00, with + as %2B", "%s=%q is no time", name, text).At(name)
	}
	return at, nil
}

func flag(r *http.Request, name string) bool {
	v := r.URL.Query().Get(name)
	return v == "1" || v == "true"
}

func (a *Agent) getAlarms(w http.ResponseWriter, r *http.Request) error {
	limit, err := limitOf(r)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	f := AlarmFilter{
		Kind: station.AlarmKind(q.Get("kind")), Sensor: q.Get("sensor"), Severity: station.Severity(q.Get("severity")),
		Text: q.Get("text"), Before: q.Get("before"), Limit: limit,
	}
	if f.From, err = timeOf(r, "from"); err != nil {
		return err
	}
	if f.To, err = timeOf(r, "to"); err != nil {
		return err
	}
	if !flag(r, "live") {
		page, err := a.FindAlarms(f)
		if err != nil {
			return err
		}
		if err := a.maskList(station.ActorFrom(r.Context()), page.Alarms); err != nil {
			return err
		}
		return station.WriteJSON(w, http.StatusOK, page)
	}
	read := a.LiveAlarms
	if flag(r, "hidden") {
		read = a.AllLiveAlarms
	}
	all, err := read()
	if err != nil {
		return err
	}
	page := AlarmPage{Alarms: []station.Alarm{}}
	for _, al := range all {
		if f.passes(&al) && !page.take(al, limit) {
			break
		}
	}
	if err := a.maskList(station.ActorFrom(r.Context()), page.Alarms); err != nil {
		return err
	}
	page.Next = "" // they are not in the order of their IDs
	return station.WriteJSON(w, http.StatusOK, page)
}

func (a *Agent) getAlarm(w http.ResponseWriter, r *http.Request) error {
	v, err := a.Alarm(r.PathValue("id"))
	if err != nil {
		return err
	}
	if err := a.surround(station.ActorFrom(r.Context()), &v); err != nil {
		return err
	}
	if err := a.maskView(station.ActorFrom(r.Context()), &v); err != nil {
		return err
	}
	hideCalls(station.ActorFrom(r.Context()), v.Response)
	v.Centre.Configured = a.centreConfigured
	return station.WriteJSON(w, http.StatusOK, v)
}

func (a *Agent) postAnswer(w http.ResponseWriter, r *http.Request) error {
	var body station.AnswerOrder
	if err := station.ReadJSON(w, r, &body); err != nil {
		return err
	}
	var al station.Alarm
	if err := a.command(r, station.CommandAnswerAlarm, r.PathValue("id"), body, &al); err != nil {
		return err
	}
	if err := a.maskAlarms(station.ActorFrom(r.Context()), &al); err != nil {
		return err
	}
	return station.WriteJSON(w, http.StatusOK, alarmAnswer{al})
}

// postAnswers answers several alarms, each by a command of its own: what goes wrong
// with one is no matter of the others.
func (a *Agent) postAnswers(w http.ResponseWriter, r *http.Request) error {
	var body station.AnswersOrder
	if err := station.ReadJSON(w, r, &body); err != nil {
		return err
	}
	if len(body.IDs) == 0 || len(body.IDs) > maxAtOnce {
		return station.Errorf(http.StatusBadRequest, "answer.ids", "name 1 to 200 alarms", "%d alarms cannot be answered at once", len(body.IDs)).At("ids")
	}
	whole := r.Header.Get("Idempotency-Key")
	out := answersReply{Results: []answerResult{}}
	for _, id := range body.IDs {
		res := answerResult{ID: id}
		one := r.Clone(r.Context())
		if whole != "" {
			one.Header.Set("Idempotency-Key", partOf(whole, id))
		}
		var al station.Alarm
		err := a.command(one, station.CommandAnswerAlarm, id, station.AnswerOrder{Kind: body.Kind, Note: body.Note}, &al)
		switch p, ok := station.AsProblem(err); {
		case err == nil:
			if err := a.maskAlarms(station.ActorFrom(r.Context()), &al); err != nil {
				return err
			}
			res.Alarm = &al
		case ok:
			res.Problem = p
		default:
			return err
		}
		out.Results = append(out.Results, res)
	}
	return station.WriteJSON(w, http.StatusOK, out)
}

// partOf is the key of one of several commands that came under one key.
func partOf(whole, id string) string {
	sum := sha256.Sum256([]byte(whole + "/" + id))
	return hex.EncodeToString(sum[:16])
}

func (a *Agent) getMode(w http.ResponseWriter, _ *http.Request) error {
	m, err := a.Mode()
	if err != nil {
		return err
	}
	return station.WriteJSON(w, http.StatusOK, m)
}

func (a *Agent) getIncident(w http.ResponseWriter, r *http.Request) error {
	v, err := a.Incident(r.PathValue("id"))
	if err != nil {
		return err
	}
	if err := a.maskList(station.ActorFrom(r.Context()), v.Alarms); err != nil {
		return err
	}
	return station.WriteJSON(w, http.StatusOK, v)
}

func (a *Agent) putMode(w http.ResponseWriter, r *http.Request) error {
	var body station.ModeOrder
	if err := station.ReadJSON(w, r, &body); err != nil {
		return err
	}
	var m station.Mode
	if err := a.command(r, station.CommandPutMode, "", body, &m); err != nil {
		return err
	}
	return station.WriteJSON(w, http.StatusOK, m)
}

func (a *Agent) getSchedule(w http.ResponseWriter, r *http.Request) error {
	s, err := a.schedule(r.PathValue("id"))
	if err != nil {
		return err
	}
	return station.WriteJSON(w, http.StatusOK, s)
}

func (a *Agent) getPerformance(w http.ResponseWriter, r *http.Request) error {
	from, err := timeOf(r, "from")
	if err != nil {
		return err
	}
	to, err := timeOf(r, "to")
	if err != nil {
		return err
	}
	if to.IsZero() {
		to = a.now()
	}
	if from.IsZero() {
		from = to.AddDate(0, 0, -7)
	}
	if span := to.Sub(from); span <= 0 || span > longestReview {
		return station.Errorf(http.StatusBadRequest, "query.span", "use at most 31 days, from before to", "that span of time cannot be reviewed").At("from")
	}
	p, err := a.Performance(from, to)
	if err != nil {
		return err
	}
	return station.WriteJSON(w, http.StatusOK, p)
}
