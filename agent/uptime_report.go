package agent

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"stationd/agent/station"
	"stationd/agent/store"
)

// The report of 在线率: a row for each station or device and day, week or month, as
// JSON for the page and as CSV for whoever has to hand it in.

// mostReportDays bounds a report.
const mostReportDays = keepUpDays

// uptimeQuery is what is asked for.
type uptimeQuery struct {
	from, to time.Time
	by       string
	kind     string
	node     station.NodeID
}

func (a *Agent) readUptimeQuery(r *http.Request) (q uptimeQuery, err error) {
	now := a.now()
	v := r.URL.Query()
	bad := func(place, hint string) error {
		return station.Errorf(http.StatusBadRequest, "query."+place, hint, "%s=%q cannot be used", place, v.Get(place)).At(place)
	}
	q.from, q.to = midnight(now.AddDate(0, 0, -29)), now
	if text := v.Get("from"); text != "" {
		if q.from, err = time.ParseInLocation(time.DateOnly, text, now.Location()); err != nil {
			return q, bad("from", "write the first day as 2026-03-01")
		}
	}
	if text := v.Get("to"); text != "" {
		last, err := time.ParseInLocation(time.DateOnly, text, now.Location())
		if err != nil {
			return q, bad("to", "write the last day as 2026-03-31")
		}
		if end := last.AddDate(0, 0, 1); end.Before(now) {
			q.to = end
		}
	}
	if !q.from.Before(q.to) || q.to.Sub(q.from) > mostReportDays*24*time.Hour {
		return q, bad("from", "use days that are past, at most "+strconv.Itoa(mostReportDays))
	}
	if q.by = v.Get("by"); !slices.Contains([]string{byWhole, byDays, byWeeks, byMonths}, q.by) {
		return q, bad("by", "use day, week, month, or leave it out for one row each")
	}
	if q.kind = v.Get("kind"); !slices.Contains([]string{"", upNode, upCamera, upSensor}, q.kind) {
		return q, bad("kind", "use node, camera or sensor, or leave it out for all")
	}
	q.node = station.NodeID(v.Get("node"))
	return q, nil
}

// Uptimes are the rows of a report, by station, kind, name and time.
func (a *Agent) uptimeReport(q uptimeQuery) ([]Uptime, error) {
	// Names first: what is gone keeps its ID.
	names, owners := map[string]string{}, map[string]station.NodeID{}
	err := a.store.View(func(tx *store.Tx) error {
		nodes := store.Each(tx, nodeTable, func(_ store.Key, n station.Node) error {
			names[upNode+"/"+string(n.ID)], owners[upNode+"/"+string(n.ID)] = n.Name, n.ID
			return nil
		})
		if nodes != nil {
			return nodes
		}
		sites := store.Each(tx, siteTable, func(_ store.Key, s station.Site) error {
			names[upNode+"/"+string(s.Node)] = s.Name
			return nil
		})
		if sites != nil {
			return sites
		}
		cameras := store.Each(tx, cameraTable, func(_ store.Key, c station.Camera) error {
			names[upCamera+"/"+c.ID], owners[upCamera+"/"+c.ID] = c.Name, c.Node
			return nil
		})
		if cameras != nil {
			return cameras
		}
		return store.Each(tx, sensorTable, func(_ store.Key, s station.Sensor) error {
			names[upSensor+"/"+s.ID], owners[upSensor+"/"+s.ID] = s.Name, s.Node
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	owner := func(kind, id string) station.NodeID {
		if o, known := owners[kind+"/"+id]; known {
			return o
		}
		if node, _, qualified := strings.Cut(id, "."); qualified {
			return station.NodeID(node)
		}
		return ""
	}
	found, err := a.uptimes(q.from, q.to, q.by, func(kind, id string) bool {
		return (q.kind == "" || q.kind == kind) && (q.node == "" || owner(kind, id) == q.node)
	})
	rows := make([]Uptime, 0, len(found))
	for _, u := range found {
		if u.Node, u.Name = owner(u.Kind, u.ID), names[u.Kind+"/"+u.ID]; u.Name == "" {
			u.Name = u.ID
		}
		rows = append(rows, *u)
	}
	slices.SortFunc(rows, func(x, y Uptime) int {
		for _, c := range []int{
			strings.Compare(string(x.Node), string(y.Node)), slices.Index(upOrder, x.Kind) - slices.Index(upOrder, y.Kind),
			strings.Compare(x.Name, y.Name), strings.Compare(x.ID, y.ID), strings.Compare(x.From, y.From),
		} {
			if c != 0 {
				return c
			}
		}
		return 0
	})
	return rows, err
}

var upOrder = []string{upNode, upCamera, upSensor}

type uptimeRow struct {
	Uptime
	// Rate is the share of the known time, in percent; nil when nothing is known.
	Rate *float64 `json:"rate"`
}

type uptimeReply struct {
	From string      `json:"from"`
	To   time.Time   `json:"to"` // up to this moment
	By   string      `json:"by,omitempty"`
	Rows []uptimeRow `json:"rows"`
}

func (a *Agent) uptimeRoute() station.Route {
	param := func(name, summary string) station.Param {
		return station.Param{Name: name, In: "query", Type: "string", Summary: summary}
	}
	return station.Route{
		Pattern: "GET /api/v1/availability", Permission: station.PermWatch, Summary: "How much of the time stations, cameras and sensors were there", Reply: uptimeReply{},
		Params: []station.Param{
			param("from", "the first day, 2026-03-01; without it 30 days"), param("to", "the last day; without it today"), param("by", "day, week or month; without it one row for the whole time"),
			param("kind", "node, camera or sensor; without it all"), param("node", "of this station only"), param("format", "csv for a file"),
		},
		Handler: station.Handler(a.getUptimes),
	}
}

func (a *Agent) getUptimes(w http.ResponseWriter, r *http.Request) error {
	q, err := a.readUptimeQuery(r)
	if err != nil {
		return err
	}
	rows, err := a.uptimeReport(q)
	if err != nil {
		return err
	}
	rows = slices.DeleteFunc(rows, func(u Uptime) bool {
		return u.Kind == upCamera && a.Authorize(station.ActorFrom(r.Context()), station.PermWatch, "camera/"+u.ID) != nil
	})
	if r.URL.Query().Get("format") == "csv" {
		return writeUptimes(w, q, rows)
	}
	reply := uptimeReply{From: q.from.Format(time.DateOnly), To: q.to, By: q.by, Rows: make([]uptimeRow, 0, len(rows))}
	for _, u := range rows {
		row := uptimeRow{Uptime: u}
		if rate, ok := u.Rate(); ok {
			rate *= 100
			row.Rate = &rate
		}
		reply.Rows = append(reply.Rows, row)
	}
	return station.WriteJSON(w, http.StatusOK, reply)
}

func writeUptimes(w http.ResponseWriter, q uptimeQuery, rows []Uptime) error {
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="availability-%s.csv"`, q.from.Format(time.DateOnly)))
	// The mark at the beginning tells Excel that this is UTF-8.
	if _, err := w.Write([]byte("\ufeff")); err != nil {
		return err
	}
	words := map[string]string{upNode: "站点", upCamera: "摄像头", upSensor: "传感器"}
	out := csv.NewWriter(w)
	out.UseCRLF = true
	lines := [][]string{{"站点", "类型", "编号", "名称", "开始日期", "在线率%", "在线小时", "离线小时", "离线次数"}}
	for _, u := range rows {
		rate := ""
		if r, ok := u.Rate(); ok {
			rate = strconv.FormatFloat(100*r, 'f', 2, 64)
		}
		hours := func(d time.Duration) string { return strconv.FormatFloat(d.Hours(), 'f', 2, 64) }
		lines = append(lines, []string{armed(string(u.Node)), words[u.Kind], armed(u.ID), armed(u.Name), u.From, rate, hours(u.Up), hours(u.Down), strconv.Itoa(u.Lost)})
	}
	return out.WriteAll(lines)
}
