package agent

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"

	"stationd/agent/station"
)

// The door for alarms from elsewhere.

// routedBytes and routedAtOnce bound one request.
const (
	routedBytes  = 1 << 20
	routedAtOnce = 200
)

type (
	sourceList struct {
		Sources []station.AlarmSource `json:"sources"`
	}
	routedList struct {
		Alarms []station.Routed `json:"alarms"`
	}
)

func (a *Agent) sourceRoutes() []station.Route {
	const one = "/api/v1/alarm-sources/{id}"
	return []station.Route{
		{Pattern: "GET /api/v1/alarm-sources", Permission: station.PermAccounts, Summary: "List who may report alarms from elsewhere", Reply: sourceList{}, Handler: list(a.sources, func(v []station.AlarmSource) any { return sourceList{v} })},
		{Pattern: "PUT " + one, Permission: station.PermAccounts, Resource: "alarm-source/{id}", Summary: "Let somebody elsewhere report alarms, or give them a new token; the token is shown this once", Body: station.AlarmSource{}, Reply: station.AlarmSourceKey{}, Params: commandParams, Handler: a.put(station.CommandPutSource, "id")},
		{Pattern: "DELETE " + one, Permission: station.PermAccounts, Resource: "alarm-source/{id}", Summary: "Let them report no more", Status: http.StatusNoContent, Params: commandParams, Handler: a.remove(station.CommandRemoveSource)},
		{Pattern: "GET /api/v1/routed-alarms", Permission: station.PermWatch, Summary: "Alarms from elsewhere and what their stations have said, the newest first", Params: []station.Param{limitParam}, Reply: routedList{}, Handler: station.Handler(a.getRouted)},
		{Pattern: "POST /api/v1/incoming/alarms", Permission: station.PermPublic, Summary: "Report alarms from elsewhere: CloudEvents 1.0, one or a batch, or plain JSON, with the source's token; 202 when they are stored", Params: []station.Param{{Name: "Authorization", In: "header", Type: "string", Summary: "Bearer and the token"}}, Body: station.RoutedEvent{}, Reply: routedList{}, Status: http.StatusAccepted, Handler: station.Handler(a.postIncoming)},
	}
}

func (a *Agent) sources() ([]station.AlarmSource, error) {
	kept, err := all[keptSource](a, sourceTable)
	out := make([]station.AlarmSource, 0, len(kept))
	for _, k := range kept {
		out = append(out, k.AlarmSource)
	}
	return out, err
}

func (a *Agent) getRouted(w http.ResponseWriter, r *http.Request) error {
	limit, err := limitOf(r)
	if err != nil {
		return err
	}
	rows, err := a.RoutedAlarms(limit)
	if err != nil {
		return err
	}
	return station.WriteJSON(w, http.StatusOK, routedList{rows})
}

// RoutedAlarms lists what came from elsewhere, the newest first.
func (a *Agent) RoutedAlarms(limit int) ([]station.Routed, error) {
	rows, err := all[station.Routed](a, routedTable)
	slices.SortFunc(rows, func(x, y station.Routed) int { return cmp.Compare(y.Seq, x.Seq) })
	return rows[:min(limit, len(rows))], err
}

func (a *Agent) postIncoming(w http.ResponseWriter, r *http.Request) error {
	who := station.ActorFrom(r.Context())
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	source, err := a.SourceOf(token)
	if err != nil {
		// Only who has no token is slowed down: a source may report as it burns.
		if slow := a.links.allow(who.Address); slow != nil {
			return slow
		}
		return err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, routedBytes))
	if err != nil {
		return station.Errorf(http.StatusRequestEntityTooLarge, "route.large", "send fewer at once", "the report is longer than %d bytes", routedBytes)
	}
	events, err := readRouted(body)
	if err != nil {
		return err
	}
	taken, err := a.RouteAlarms(r.Context(), source, events)
	if err != nil {
		w.Header().Set("Retry-After", "30")
		return err
	}
	return station.WriteJSON(w, http.StatusAccepted, routedList{taken})
}

// readRouted reads one event or several, in the form of CloudEvents or plain.
func readRouted(body []byte) ([]station.Routed, error) {
	bad := func(err error) error {
		return station.Errorf(http.StatusBadRequest, "body.invalid", "send CloudEvents 1.0 in JSON, or an object with id, station, device and kind", "the report cannot be read: %v", err)
	}
	body = bytes.TrimSpace(body)
	raws := []json.RawMessage{body}
	if len(body) > 0 && body[0] == '[' {
		if err := json.Unmarshal(body, &raws); err != nil {
			return nil, bad(err)
		}
	}
	if len(raws) == 0 || len(raws) > routedAtOnce {
		return nil, station.Errorf(http.StatusBadRequest, "route.many", "send 1 to 200 at once", "there are %d reports", len(raws))
	}
	out := make([]station.Routed, len(raws))
	for i, raw := range raws {
		var ev station.RoutedEvent
		if err := json.Unmarshal(raw, &ev); err != nil {
			return nil, bad(err)
		}
		data := ev.Data
		if ev.SpecVersion == "" {
			data = raw
		} else if ev.SpecVersion != "1.0" {
			return nil, station.Errorf(http.StatusBadRequest, "route.version", "send CloudEvents 1.0", "CloudEvents %.20q is not known", ev.SpecVersion)
		}
		if err := json.Unmarshal(data, &out[i].Alarm); err != nil {
			return nil, bad(err)
		}
		if out[i].Event = ev.ID; out[i].Alarm.Time.IsZero() {
			out[i].Alarm.Time = ev.Time
		}
	}
	return out, nil
}
