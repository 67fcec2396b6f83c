package agent

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"stationd/agent/station"
	"stationd/agent/store"
)

// What a centre's people set up of their stations, and the one list in which it
// stands beside what the stations say of themselves.

// maxSites is more than one centre serves.
const maxSites = 1000

func preparePutSite(a *Agent, cmd station.Command) (plan, error) {
	s, err := decodeBody[station.Site](cmd)
	if err != nil {
		return plan{}, err
	}
	s.Node = station.NodeID(cmd.Subject)
	if err := s.Node.Validate(); err != nil {
		return plan{}, err
	}
	for _, text := range []*string{&s.Name, &s.Area, &s.Address, &s.Contact, &s.Phone, &s.Line, &s.Note} {
		*text = strings.TrimSpace(*text)
	}
	if s.Name == "" {
		return plan{}, invalid("name", "give the name that the screen shows", "the station has no name")
	}
	for _, err := range []error{
		checkText("name", s.Name, 60), checkText("area", s.Area, 60), checkText("address", s.Address, 120), checkText("contact", s.Contact, 60),
		checkText("phone", s.Phone, 40), checkText("line", s.Line, 60), checkText("note", s.Note, 500), station.CheckWindows(s.Hours),
	} {
		if err != nil {
			return plan{}, err
		}
	}
	if len(s.Hours) > 50 {
		return plan{}, invalid("hours", "use at most 50 windows", "the opening hours are too long")
	}
	if (s.X == nil) != (s.Y == nil) || s.X != nil && (*s.X < 0 || *s.X > 1 || *s.Y < 0 || *s.Y > 1) {
		return plan{}, invalid("x", "give both, each within 0 and 1, or neither", "the place on the map cannot be used")
	}
	switch {
	case s.Node == a.store.Node():
		return plan{}, invalid("node", "name a station", "this is the centre itself")
	case s.Parent == s.Node:
		return plan{}, invalid("parent", "name another node, or none", "a station cannot be below itself")
	case s.Parent != "" && s.Parent.Validate() != nil:
		return plan{}, invalid("parent", "write the node's ID", "the parent is no node")
	}
	s.By, s.At = cmd.Actor.Account, a.now()
	return plan{subject: "node/" + cmd.Subject, detail: s.Name, lane: station.LaneNormal, apply: func(tx *store.Tx) (any, error) {
		if s.Plan != "" {
			if _, known, err := store.Get[station.Plan](tx, key(planTable, s.Plan)); err != nil || !known {
				if err == nil {
					err = invalid("plan", "choose one of the plans", "there is no plan %q", s.Plan)
				}
				return nil, err
			}
		}
		if err := checkAbove(tx, s); err != nil {
			return nil, err
		}
		if err := store.Put(tx, key(siteTable, string(s.Node)), s); err != nil {
			return nil, err
		}
		now, n, known, err := a.nodeNow(tx, s.Node)
		if err != nil {
			return nil, err
		}
		if !known && s.Parent == "" {
			n.Name, n.State, n.StateAt, n.Since = s.Name, station.NodeNever, now.Wall, now.Wall
			if err := a.putNode(tx, now, n, upUnknown); err != nil {
				return nil, err
			}
		}
		return s, setupEvent(tx, "site/"+string(s.Node), cmd.Actor, s.At, s)
	}}, nil
}

// checkAbove refuses a tree that bites its tail.
func checkAbove(tx *store.Tx, s station.Site) error {
	n := 0
	for above := s.Parent; above != ""; n++ {
		if above == s.Node || n > maxSites {
			return invalid("parent", "choose a node that is not below this one", "the tree would have no root")
		}
		up, _, err := store.Get[station.Site](tx, key(siteTable, string(above)))
		if err != nil {
			return err
		}
		above = up.Parent
	}
	n = 0
	err := store.Each(tx, siteTable, func(_ store.Key, other station.Site) error {
		if other.Node != s.Node {
			n++
		}
		return nil
	})
	if err == nil && n >= maxSites {
		err = station.Errorf(http.StatusConflict, "site.many", "remove one that is gone", "there are %d stations already", n)
	}
	return err
}

// prepareRemoveSite forgets a station that is gone for good. What it has sent stays.
func prepareRemoveSite(a *Agent, cmd station.Command) (plan, error) {
	id := station.NodeID(cmd.Subject)
	return plan{subject: "node/" + cmd.Subject, lane: station.LaneNormal, apply: func(tx *store.Tx) (any, error) {
		now, n, known, err := a.nodeNow(tx, id)
		if err != nil {
			return nil, err
		}
		s, set, err := store.Get[station.Site](tx, key(siteTable, cmd.Subject))
		switch {
		case err != nil:
			return nil, err
		case !known && !set:
			return nil, station.ErrNotFound.At("node/" + cmd.Subject)
		case n.Online:
			return nil, station.Errorf(http.StatusConflict, "site.online", "revoke its certificate or switch it off first", "the station is connected")
		}
		if !n.LostAt.IsZero() {
			if err := a.endNodeAlarm(tx, now, id); err != nil {
				return nil, err
			}
		}
		if err := a.waitForNode(tx, now, id, 0); err != nil {
			return nil, err
		}
		if err := endUp(tx, now.Wall, upNode, cmd.Subject); err != nil {
			return nil, err
		}
		for _, table := range []store.Key{siteTable, nodeTable, healthTable} {
			if err := tx.Delete(key(table, cmd.Subject)); err != nil {
				return nil, err
			}
		}
		return nil, setupEvent(tx, "site/"+cmd.Subject, cmd.Actor, now.Wall, s)
	}}, nil
}

// StationView is one station as a centre's page shows it.
type StationView struct {
	Node station.Node  `json:"node"`
	Site *station.Site `json:"site,omitempty"`
	// Health is what it said last of itself, Heard when that came.
	Health *station.NodeHealth `json:"health,omitempty"`
	Heard  time.Time           `json:"heard,omitzero"`
	// Live and Raised count its alarms that are not over, and those that nobody has
	// answered.
	Live   int `json:"live"`
	Raised int `json:"raised"`
}

// Stations lists what is below this centre, those too that were set up and never came.
func (a *Agent) Stations() ([]StationView, error) {
	views := map[station.NodeID]*StationView{}
	at := func(id station.NodeID) *StationView {
		if views[id] == nil {
			views[id] = &StationView{Node: station.Node{ID: id, Name: string(id), State: station.NodeNever}}
		}
		return views[id]
	}
	err := a.store.View(func(tx *store.Tx) error {
		if err := store.Each(tx, nodeTable, func(_ store.Key, n station.Node) error { at(n.ID).Node = n; return nil }); err != nil {
			return err
		}
		if err := store.Each(tx, siteTable, func(_ store.Key, s station.Site) error { at(s.Node).Site = &s; return nil }); err != nil {
			return err
		}
		for id, v := range views {
			h, known, err := store.Get[heardHealth](tx, key(healthTable, string(id)))
			if err != nil {
				return err
			}
			if known {
				v.Health, v.Heard = &h.NodeHealth, h.Heard
			}
		}
		return store.Each(tx, liveTable, func(_ store.Key, id string) error {
			al, ok, err := store.Get[station.Alarm](tx, key(alarmTable, id))
			if v := views[al.Node]; ok && v != nil {
				if v.Live++; al.State == station.StateRaised {
					v.Raised++
				}
			}
			return err
		})
	})
	list := make([]StationView, 0, len(views))
	for _, v := range views {
		list = append(list, *v)
	}
	slices.SortFunc(list, func(x, y StationView) int { return strings.Compare(string(x.Node.ID), string(y.Node.ID)) })
	return list, err
}

type stationList struct {
	Stations []StationView `json:"stations"`
}

func (a *Agent) stationRoutes() []station.Route {
	const path = "/api/v1/stations"
	return []station.Route{
		{Pattern: "GET " + path, Permission: station.PermWatch, Summary: "List the stations of this centre: what was set up, how each stands, and what it says of itself", Reply: stationList{}, Handler: list(a.Stations, func(v []StationView) any { return stationList{v} })},
		{Pattern: "PUT " + path + "/{id}", Permission: station.PermConfigure, Resource: "node/{id}", Summary: "Set a station up, also before it has ever come", Body: station.Site{}, Reply: station.Site{}, Params: commandParams, Handler: a.put(station.CommandPutSite, "node")},
		{Pattern: "DELETE " + path + "/{id}", Permission: station.PermConfigure, Resource: "node/{id}", Summary: "Forget a station that is gone for good; what it has sent stays", Status: http.StatusNoContent, Params: commandParams, Handler: a.remove(station.CommandRemoveSite)},
		{Pattern: "GET /api/v1/self", Permission: station.PermWatch, Summary: "This node as it tells of itself, with whether it is closed", Reply: station.Node{}, Handler: list(a.Self, func(n station.Node) any { return n })},
		{Pattern: "POST /api/v1/self/closed", Permission: station.PermAnswer, Resource: "node", Summary: "Announce that this station is closed until a time: its centre does not miss it until then", Body: station.CloseOrder{}, Reply: station.Node{}, Params: commandParams, Handler: a.order(station.CommandCloseNode)},
		{Pattern: "DELETE /api/v1/self/closed", Permission: station.PermAnswer, Resource: "node", Summary: "Announce that this station is open again", Status: http.StatusNoContent, Params: commandParams, Handler: a.remove(station.CommandOpenNode)},
		a.uptimeRoute(),
	}
}
