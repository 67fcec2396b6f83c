package agent

import (
	"encoding/csv"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"stationd/agent/history"
	"stationd/agent/station"
)

type (
	templateList struct {
		Templates []station.RuleTemplate `json:"templates"`
	}
	fieldList struct {
		Fields   []station.RuleField `json:"fields"`
		Defaults []station.Rule      `json:"defaults"` // what a sensor of the class heeds by itself
	}
)

func (a *Agent) ruleRoutes() []station.Route {
	span := []station.Param{
		{Name: "from", In: "query", Type: "string", Summary: "RFC 3339, or milliseconds since 1970; a day before to without it"},
		{Name: "to", In: "query", Type: "string", Summary: "likewise; now without it"},
	}
	routes := []station.Route{
		{Pattern: "GET /api/v1/sensors/{id}/history", Permission: station.PermWatch, Resource: "sensor/{id}", Summary: "The readings of a sensor, for a chart", Params: append([]station.Param{
			{Name: "fields", In: "query", Type: "string", Summary: "names joined by commas; all without it"},
			{Name: "points", In: "query", Type: "integer", Summary: "how many at most in a series, 1 to 2000; 300 without it"},
		}, span...), Reply: history.Chart{}, Handler: station.Handler(a.getHistory)},
		{Pattern: "GET /api/v1/sensors/{id}/history.csv", Permission: station.PermWatch, Resource: "sensor/{id}", Summary: "The single readings of a sensor as a table, at most 100,000", Params: span, ReplyType: "text/csv", Handler: station.Handler(a.getHistoryCSV)},
		{Pattern: "POST /api/v1/rules/trial", Permission: station.PermConfigure, Summary: "Try a rule on what was recorded", Body: station.TrialOrder{}, Reply: station.Trial{}, Handler: station.Handler(a.postTrial)},
		{Pattern: "GET /api/v1/rules/fields", Permission: station.PermWatch, Summary: "The fields that rules of a class may look at", Params: []station.Param{{Name: "class", In: "query", Type: "string", Summary: "the device class"}}, Reply: fieldList{}, Handler: station.Handler(a.getRuleFields)},
		{Pattern: "GET /api/v1/rule-templates", Permission: station.PermWatch, Summary: "List the rule templates", Reply: templateList{}, Handler: list(func() ([]station.RuleTemplate, error) { return all[station.RuleTemplate](a, templateTable) }, func(v []station.RuleTemplate) any { return templateList{v} })},
		{Pattern: "GET /api/v1/rule-templates/{id}", Permission: station.PermWatch, Resource: "rule-template/{id}", Summary: "A rule template with its versions", Reply: templateView{}, Handler: station.Handler(a.getTemplate)},
		{Pattern: "PUT /api/v1/rule-templates/{id}", Permission: station.PermConfigure, Resource: "rule-template/{id}", Summary: "Make a rule template or a new version of it", Body: station.RuleTemplate{}, Reply: station.RuleTemplate{}, Params: commandParams, Handler: a.put(station.CommandPutTemplate, "id")},
		{Pattern: "DELETE /api/v1/rule-templates/{id}", Permission: station.PermConfigure, Resource: "rule-template/{id}", Summary: "Remove a rule template; its versions stay readable", Status: http.StatusNoContent, Params: commandParams, Handler: a.remove(station.CommandRemoveTemplate)},
	}
	if a.orderBelow != nil {
		routes = append(
			routes,
			station.Route{Pattern: "GET /api/v1/rule-templates/{id}/pushes", Permission: station.PermConfigure, Resource: "rule-template/{id}", Summary: "At a centre: which stations have a rule template, and what they have said of it", Reply: pushList{}, Handler: station.Handler(a.getPushes)},
			station.Route{Pattern: "POST /api/v1/rule-templates/{id}/pushes", Permission: station.PermConfigure, Resource: "rule-template/{id}", Summary: "At a centre: give stations the last version of a rule template, or take it back; 202 until they have said what they do", Status: http.StatusAccepted, Params: commandParams, Body: station.PushOrder{}, Reply: pushList{}, Handler: station.Handler(a.postPush)},
		)
	}
	if a.centreConfigured {
		routes = append(
			routes,
			station.Route{Pattern: "GET /api/v1/rule-policy", Permission: station.PermWatch, Summary: "Which of the parent's rule templates are taken here", Reply: station.RulePolicy{}, Handler: list(a.RulePolicy, func(p station.RulePolicy) any { return p })},
			station.Route{Pattern: "PUT /api/v1/rule-policy", Permission: station.PermConfigure, Resource: "rule-policy", Summary: "Say which of the parent's rule templates are taken here", Params: commandParams, Body: station.RulePolicy{}, Reply: station.RulePolicy{}, Handler: station.Handler(a.putRulePolicy)},
		)
	}
	return routes
}

// spanOf reads ?from= and ?to=.
func (a *Agent) spanOf(r *http.Request) (from, to time.Time, err error) {
	moment := func(name string, otherwise time.Time) (time.Time, error) {
		text := r.URL.Query().Get(name)
		if text == "" {
			return otherwise, nil
		}
		if ms, err := strconv.ParseInt(text, 10, 64); err == nil && ms >= 0 && ms < 1<<43 {
			return time.UnixMilli(ms), nil
		}
		if t, err := time.Parse(time.RFC3339, text); err == nil && t.Year() >= 1970 && t.Year() < 2200 {
			return t.Local(), nil
		}
		return otherwise, station.Errorf(http.StatusBadRequest, "query.time", "write 2026-11-21T08:00:00+08:00, or milliseconds since 1970", "%s=%q is no time", name, text).At(name)
	}
	if to, err = moment("to", a.now()); err != nil {
		return from, to, err
	}
	if from, err = moment("from", to.Add(-24*time.Hour)); err != nil {
		return from, to, err
	}
	if !from.Before(to) || to.Sub(from) > 4000*24*time.Hour {
		return from, to, station.Errorf(http.StatusBadRequest, "query.time", "let from be before to", "there is no time between from and to, or too much of it").At("from")
	}
	return from, to, nil
}

func (a *Agent) getHistory(w http.ResponseWriter, r *http.Request) error {
	from, to, err := a.spanOf(r)
	if err != nil {
		return err
	}
	q := history.Query{Sensor: r.PathValue("id"), From: from, To: to, Points: 300}
	if text := r.URL.Query().Get("fields"); text != "" {
		q.Fields = strings.Split(text, ",")
	}
	if text := r.URL.Query().Get("points"); text != "" {
		if q.Points, err = strconv.Atoi(text); err != nil || q.Points < 1 || q.Points > history.MaxPoints {
			return station.Errorf(http.StatusBadRequest, "query.points", "use 1 to 2000", "points=%q cannot be used", text).At("points")
		}
	}
	chart, err := a.history.Chart(r.Context(), q)
	if err != nil {
		return err
	}
	return station.WriteJSON(w, http.StatusOK, chart)
}

// mostCSV bounds the lines of a table.
const mostCSV = 100_000

func (a *Agent) getHistoryCSV(w http.ResponseWriter, r *http.Request) error {
	from, to, err := a.spanOf(r)
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	names, lines := map[string]bool{}, 0
	for reading, err := range a.history.Readings(r.Context(), id, from, to) {
		if err != nil {
			return err
		}
		if lines++; lines > mostCSV {
			return station.Errorf(http.StatusRequestEntityTooLarge, "history.large", "ask for a shorter time", "there are more than %d readings", mostCSV)
		}
		for name := range reading.Values {
			names[name] = true
		}
	}
	columns := slices.Sorted(maps.Keys(names))
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="history.csv"`)
	// The mark tells Excel that it is UTF-8.
	if _, err := w.Write([]byte("\ufeff")); err != nil {
		return nil //nolint:nilerr // the client is gone: nothing to tell it
	}
	out := csv.NewWriter(w)
	line := append([]string{"time"}, columns...)
	for i := range line {
		line[i] = armed(line[i])
	}
	_ = out.Write(line) // Flush and Error tell
	for reading, err := range a.history.Readings(r.Context(), id, from, to) {
		if err != nil {
			a.log.Warn("table of readings was cut off", "sensor", id, "err", err)
			break
		}
		line = append(line[:0], reading.At.Local().Format("2006-01-02T15:04:05.000Z07:00"))
		for _, name := range columns {
			text := ""
			switch v := reading.Values[name].(type) {
			case nil:
			case string:
				text = armed(v)
			default:
				text = fmt.Sprint(v)
			}
			line = append(line, text)
		}
		if out.Write(line) != nil {
			break
		}
	}
	out.Flush()
	return nil
}

func (a *Agent) postTrial(w http.ResponseWriter, r *http.Request) error {
	var o station.TrialOrder
	if err := station.ReadJSON(w, r, &o); err != nil {
		return err
	}
	t, err := a.TryRule(r.Context(), o)
	if err != nil {
		return err
	}
	return station.WriteJSON(w, http.StatusOK, t)
}

func (a *Agent) getRuleFields(w http.ResponseWriter, r *http.Request) error {
	class := r.URL.Query().Get("class")
	if !slices.Contains(station.Classes(), class) {
		return station.Errorf(http.StatusBadRequest, "query.class", "choose one of "+strings.Join(station.Classes(), ", "), "there is no device class %q", class).At("class")
	}
	fields, err := a.RuleFields(class)
	if err != nil {
		return err
	}
	return station.WriteJSON(w, http.StatusOK, fieldList{fields, a.rules.Defaults(class)})
}

func (a *Agent) getTemplate(w http.ResponseWriter, r *http.Request) error {
	v, err := a.ruleTemplate(r.PathValue("id"))
	if err != nil {
		return err
	}
	return station.WriteJSON(w, http.StatusOK, v)
}
