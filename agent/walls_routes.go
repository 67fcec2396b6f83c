package agent

import (
	"net/http"
	"strconv"
	"time"

	"stationd/agent/station"
)

// The routes of walls, groups, tours and rounds.

type (
	wallList struct {
		Walls []station.Wall `json:"walls"`
	}
	groupList struct {
		Groups []station.CameraGroup `json:"groups"`
	}
	tourList struct {
		Tours []station.TourView `json:"tours"`
	}
	patrolPage struct {
		Patrols []station.Patrol `json:"patrols"`
		More    bool             `json:"more"`
	}
)

func (a *Agent) wallRoutes() []station.Route {
	const api = "/api/v1/"
	filter := []station.Param{
		{Name: "from", In: "query", Type: "string", Summary: "begun at this time or later (RFC 3339)"},
		{Name: "to", In: "query", Type: "string", Summary: "begun before this time (RFC 3339)"},
		{Name: "tour", In: "query", Type: "string", Summary: "of this tour"},
		{Name: "by", In: "query", Type: "string", Summary: "by this account"},
		{Name: "camera", In: "query", Type: "string", Summary: "with this camera"},
		{Name: "result", In: "query", Type: "string", Summary: "with a picture of which this was said: normal, note, report"},
	}
	return []station.Route{
		{Pattern: "GET " + api + "walls", Permission: station.PermVideo, Resource: "walls", Summary: "List the saved walls", Reply: wallList{}, Handler: listFor(a.Walls, func(v []station.Wall) any { return wallList{v} })},
		{Pattern: "PUT " + api + "walls/{id}", Permission: station.PermAnswer, Resource: "wall/{id}", Summary: "Save a wall", Body: station.Wall{}, Reply: station.Wall{}, Params: commandParams, Handler: a.put(station.CommandPutWall, "id")},
		{Pattern: "DELETE " + api + "walls/{id}", Permission: station.PermAnswer, Resource: "wall/{id}", Summary: "Remove a wall", Status: http.StatusNoContent, Params: commandParams, Handler: a.remove(station.CommandRemoveWall)},

		{Pattern: "GET " + api + "camera-groups", Permission: station.PermVideo, Resource: "camera-groups", Summary: "List the groups of cameras", Reply: groupList{}, Handler: listFor(a.Groups, func(v []station.CameraGroup) any { return groupList{v} })},
		{Pattern: "PUT " + api + "camera-groups/{id}", Permission: station.PermAnswer, Resource: "camera-group/{id}", Summary: "Add or change a group of cameras", Body: station.CameraGroup{}, Reply: station.CameraGroup{}, Params: commandParams, Handler: a.put(station.CommandPutGroup, "id")},
		{Pattern: "DELETE " + api + "camera-groups/{id}", Permission: station.PermAnswer, Resource: "camera-group/{id}", Summary: "Remove a group of cameras that no tour goes to", Status: http.StatusNoContent, Params: commandParams, Handler: a.remove(station.CommandRemoveGroup)},

		{Pattern: "GET " + api + "tours", Permission: station.PermVideo, Resource: "tours", Summary: "List the tours, with which are due", Reply: tourList{}, Handler: listFor(a.Tours, func(v []station.TourView) any { return tourList{v} })},
		{Pattern: "PUT " + api + "tours/{id}", Permission: station.PermAnswer, Resource: "tour/{id}", Summary: "Add or change a tour", Body: station.Tour{}, Reply: station.Tour{}, Params: commandParams, Handler: a.put(station.CommandPutTour, "id")},
		{Pattern: "DELETE " + api + "tours/{id}", Permission: station.PermAnswer, Resource: "tour/{id}", Summary: "Remove a tour; its rounds stay", Status: http.StatusNoContent, Params: commandParams, Handler: a.remove(station.CommandRemoveTour)},

		{Pattern: "GET " + api + "patrols", Permission: station.PermVideo, Resource: "patrols", Summary: "Read who watched what when, the newest round first", Params: append(filter[:len(filter):len(filter)], station.Param{Name: "before", In: "query", Type: "string", Summary: "rounds before the one with this ID"}, limitParam), Reply: patrolPage{}, Handler: station.Handler(a.getPatrols)},
		{Pattern: "PUT " + api + "patrols/{id}", Permission: station.PermVideo, Resource: "patrol/{id}", Summary: "Tell of a round, as it is so far; one that has ended is not changed", Body: station.PatrolOrder{}, Reply: station.Patrol{}, Params: commandParams, Handler: a.order(station.CommandPutPatrol)},
		{Pattern: "GET " + api + "patrols.csv", Permission: station.PermVideo, Resource: "patrols", Summary: "The same as a CSV file, a line for each picture; at most 5000 rounds", Params: append(filter[:len(filter):len(filter)], station.Param{Name: "lang", In: "query", Type: "string", Summary: "of the header: zh or en"}), ReplyType: "text/csv", Handler: station.Handler(a.getPatrolsCSV)},
	}
}

// listFor is list for what differs by who asks.
func listFor[T any](read func(station.Actor) ([]T, error), wrap func([]T) any) http.Handler {
	return station.Handler(func(w http.ResponseWriter, r *http.Request) error {
		v, err := read(station.ActorFrom(r.Context()))
		if err != nil {
			return err
		}
		return station.WriteJSON(w, http.StatusOK, wrap(v))
	})
}

func patrolFilter(r *http.Request) (f PatrolFilter, err error) {
	q := r.URL.Query()
	f = PatrolFilter{Tour: q.Get("tour"), By: q.Get("by"), Camera: q.Get("camera"), Result: station.PatrolResult(q.Get("result")), Before: q.Get("before")}
	if f.From, err = timeOf(r, "from"); err != nil {
		return f, err
	}
	f.To, err = timeOf(r, "to")
	return f, err
}

func (a *Agent) getPatrols(w http.ResponseWriter, r *http.Request) error {
	f, err := patrolFilter(r)
	if err != nil {
		return err
	}
	if f.Limit, err = limitOf(r); err != nil {
		return err
	}
	var page patrolPage
	if page.Patrols, page.More, err = a.Patrols(station.ActorFrom(r.Context()), f); err != nil {
		return err
	}
	return station.WriteJSON(w, http.StatusOK, page)
}

// maxPatrolRounds bounds a file.
const maxPatrolRounds = 5000

var patrolHeader = map[string][]string{
	"zh": {"巡屏", "值班员", "席位", "无人", "开始", "结束", "完整", "摄像机", "从", "到", "秒", "无画面秒", "次数", "结果", "说明", "确认时间"},
	"en": {"tour", "who", "seat", "unattended", "started", "ended", "complete", "camera", "from", "to", "seconds", "without picture", "times", "result", "note", "confirmed"},
}

var patrolWords = map[string]map[string]string{
	"zh": {"true": "是", "false": "否", "normal": "正常", "note": "记录", "report": "上报"},
	"en": {"true": "yes", "false": "no"},
}

func (a *Agent) getPatrolsCSV(w http.ResponseWriter, r *http.Request) error {
	f, err := patrolFilter(r)
	if err != nil {
		return err
	}
	f.Limit = maxPatrolRounds
	rounds, _, err := a.Patrols(station.ActorFrom(r.Context()), f)
	if err != nil {
		return err
	}
	lang := "zh"
	if r.URL.Query().Get("lang") == "en" {
		lang = "en"
	}
	word := func(s string) string {
		if t, ok := patrolWords[lang][s]; ok {
			return t
		}
		return s
	}
	at := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.Local().Format("2006-01-02 15:04:05")
	}
	t := table{header: patrolHeader[lang]}
	for _, p := range rounds {
		for _, v := range p.Views {
			t.rows = append(t.rows, tableRow{line: len(t.rows) + 2, cells: []string{
				p.TourName, p.Name, p.Seat, word(strconv.FormatBool(p.Unattended)), at(p.Started), at(p.Ended), word(strconv.FormatBool(p.Complete)),
				v.Name, at(v.From), at(v.To), strconv.Itoa(v.Seconds), strconv.Itoa(v.Dark), strconv.Itoa(v.Times), word(string(v.Result)), v.Note, at(v.At),
			}})
		}
	}
	b, err := writeTable(t)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="patrols-`+string(a.store.Node())+`.csv"`)
	_, _ = w.Write(b) // the client is gone: nothing to tell it
	return nil
}
