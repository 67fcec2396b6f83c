package agent

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"stationd/agent/account"
	"stationd/agent/station"
	"stationd/agent/store"
)

// Rounds of tours: who watched what when, for how long, and what they said. A round
// is told while it is gone, as it is so far, and never changed after its end.

const (
	maxPatrolViews  = 300
	maxPatrolBreaks = 100
	maxPatrolNote   = 500 // characters
	// patrolSpan is the longest round; a display ends one each hour.
	patrolSpan = 24 * time.Hour
	// patrolSkew is how far a browser's idea of our time may be ahead.
	patrolSkew = 2 * time.Minute
)

func preparePutPatrol(a *Agent, cmd station.Command) (plan, error) {
	o, err := decodeBody[station.PatrolOrder](cmd)
	if err != nil {
		return plan{}, err
	}
	if err := checkID("id", cmd.Subject); err != nil {
		return plan{}, err
	}
	now := a.now()
	if err := checkPatrol(o, now); err != nil {
		return plan{}, err
	}
	p := station.Patrol{
		ID: cmd.Subject, Tour: o.Tour, By: cmd.Actor.Account, Name: cmd.Actor.Name, Seat: o.Seat, Unattended: cmd.Actor.Role == account.RoleDisplay,
		Started: o.Started, Ended: o.Ended, Complete: o.Complete, Views: o.Views, Breaks: o.Breaks,
	}
	return plan{subject: "patrol/" + p.ID, lane: station.LaneNormal, apply: func(tx *store.Tx) (any, error) {
		p := p
		p.Views = slices.Clone(p.Views)
		before, known, err := patrolOf(tx, p.ID)
		if err != nil {
			return nil, err
		}
		if err := a.completePatrol(tx, cmd.Actor, &p, before, known); err != nil {
			return nil, err
		}
		if err := store.Put(tx, patrolKey(p), p); err != nil {
			return nil, err
		}
		if err := store.Put(tx, key(patrolAtTable, p.ID), patrolKey(p)); err != nil {
			return nil, err
		}
		if p.Complete && !p.Ended.IsZero() {
			if err := store.Put(tx, key(roundTable, p.Tour), lastRound{p.Ended, p.Name}); err != nil {
				return nil, err
			}
		}
		if err := tellReports(tx, p, before, now); err != nil {
			return nil, err
		}
		return p, appendEvent(tx, station.LaneNormal, station.EventPatrol, "patrol/"+p.ID, cmd.Actor.Account, now, p)
	}}, nil
}

// checkPatrol is what can be said of a round without knowing anything else.
func checkPatrol(o station.PatrolOrder, now time.Time) error {
	within := func(place string, from, to time.Time) error {
		if from.IsZero() || to.Before(from) || from.Before(o.Started) || to.After(now.Add(patrolSkew)) {
			return invalid(place, "send times of this round, in order", "the times from %s to %s cannot be", from.Format(time.RFC3339), to.Format(time.RFC3339))
		}
		return nil
	}
	end := o.Ended
	if end.IsZero() {
		end = now
	}
	switch {
	case o.Started.IsZero() || o.Started.Before(now.Add(-patrolSpan)) || o.Started.After(now.Add(patrolSkew)):
		return invalid("started", "begin a new round", "a round cannot have begun at %s", o.Started.Format(time.RFC3339))
	case len(o.Views) > maxPatrolViews || len(o.Breaks) > maxPatrolBreaks:
		return invalid("views", "end the round and begin another", "a round has at most %d views and %d breaks", maxPatrolViews, maxPatrolBreaks)
	case o.Complete && o.Ended.IsZero():
		return invalid("complete", "say when it ended", "a round that goes on is not complete")
	}
	if end.Before(o.Started) {
		end = o.Started // of two clocks, ours is behind
	}
	if err := within("ended", o.Started, end); err != nil {
		return err
	}
	for i, v := range o.Views {
		at := fmt.Sprintf("views[%d]", i)
		if err := within(at, v.From, v.To); err != nil {
			return err
		}
		if v.Seconds < 0 || v.Dark < 0 || v.Times < 0 || v.Dark > v.Seconds+1 || time.Duration(v.Seconds)*time.Second > v.To.Sub(v.From)+2*time.Second {
			return invalid(at+".seconds", "count only while it is on the screen", "it cannot have been looked at for %d seconds", v.Seconds)
		}
		switch v.Result {
		case "", station.PatrolNormal:
		case station.PatrolNote, station.PatrolReport:
			if strings.TrimSpace(v.Note) == "" {
				return invalid(at+".note", "write what was seen", "a note without words")
			}
		default:
			return invalid(at+".result", "use normal, note or report", "there is no result %q", v.Result)
		}
		if err := checkText(at+".note", v.Note, maxPatrolNote); err != nil {
			return err
		}
	}
	return checkText("seat", o.Seat, 20)
}

// completePatrol fills in what is ours to say, and refuses what is not theirs.
func (a *Agent) completePatrol(tx *store.Tx, actor station.Actor, p *station.Patrol, before station.Patrol, known bool) error {
	switch {
	case known && before.By != p.By:
		return station.Errorf(http.StatusForbidden, "patrol.foreign", "begin a round of your own", "%s goes this round", before.Name)
	case known && !before.Ended.IsZero():
		return station.Errorf(http.StatusConflict, "patrol.over", "begin a new round", "the round is over and is not changed any more")
	}
	t, there, err := store.Get[station.Tour](tx, key(tourTable, p.Tour))
	switch {
	case err != nil:
		return err
	case known:
		p.Tour, p.TourName, p.Started = before.Tour, before.TourName, before.Started
	case !there:
		return station.ErrNotFound.At("tour/" + p.Tour)
	default:
		p.TourName = t.Name
	}
	for i := range p.Views {
		v := &p.Views[i]
		if ok, err := sees(tx, actor, v.Camera); err != nil || !ok {
			if err == nil {
				err = station.ErrUnseen.At("camera/" + v.Camera)
			}
			return err
		}
		c, ok, err := store.Get[station.Camera](tx, key(cameraTable, v.Camera))
		if err != nil {
			return err
		}
		if v.Name = c.Name; !ok && v.Name == "" {
			v.Name = v.Camera
		}
		if p.Complete && there && t.Confirm != "" && !p.Unattended && v.Result == "" {
			return station.Errorf(http.StatusBadRequest, "patrol.unconfirmed", "say of each picture that it is normal, or what is not", "nobody has said anything of %s", v.Name).At("views")
		}
	}
	return nil
}

// tellReports leaves what was newly reported for the next shift.
func tellReports(tx *store.Tx, p, before station.Patrol, now time.Time) error {
	for _, v := range p.Views {
		if v.Result != station.PatrolReport || slices.ContainsFunc(before.Views, func(w station.PatrolView) bool {
			return w.Camera == v.Camera && w.Result == v.Result && w.Note == v.Note
		}) {
			continue
		}
		n := station.ShiftNote{ID: station.NewID(), By: p.By, Name: p.Name, At: now, Text: v.Name + "：" + strings.TrimSpace(v.Note)}
		if err := store.Put(tx, key(shiftTable, n.ID), n); err != nil {
			return err
		}
		if err := appendEvent(tx, station.LaneNormal, station.EventShiftNote, "shift-note/"+n.ID, p.By, now, n); err != nil {
			return err
		}
	}
	return nil
}

// patrolKey puts rounds in the order in which they began.
func patrolKey(p station.Patrol) store.Key {
	return key(patrolTable, fmt.Sprintf("%013d-%s", p.Started.UnixMilli(), p.ID))
}

func patrolOf(tx *store.Tx, id string) (p station.Patrol, known bool, err error) {
	at, known, err := store.Get[store.Key](tx, key(patrolAtTable, id))
	if err != nil || !known {
		return p, false, err
	}
	return store.Get[station.Patrol](tx, at)
}

// lastRound is when a tour was last gone to its end, and by whom.
type lastRound struct {
	At time.Time `json:"at"`
	By string    `json:"by"`
}

// Tours lists the tours as actor may see them, with which are due.
func (a *Agent) Tours(actor station.Actor) ([]station.TourView, error) {
	list, err := all[station.Tour](a, tourTable)
	if err != nil {
		return nil, err
	}
	now := a.now()
	out := make([]station.TourView, len(list))
	return out, a.store.View(func(tx *store.Tx) error {
		for i, t := range list {
			last, _, err := store.Get[lastRound](tx, key(roundTable, t.ID))
			if err != nil {
				return err
			}
			if t.Steps, err = onlySeen(tx, actor, t.Steps, func(s station.TourStep) string { return s.Camera }); err != nil {
				return err
			}
			out[i] = station.TourView{Tour: t, Due: dueSince(t, last.At, now), Open: len(t.Hours) == 0 || (station.Schedule{Windows: t.Hours}).Watches(now), Last: last.At, LastBy: last.By}
		}
		return nil
	})
}

// dueSince tells whether a tour should be gone: its hours have come, and it was not
// gone since they began, or not for as long as it may be left.
func dueSince(t station.Tour, last, now time.Time) bool {
	hours := station.Schedule{Windows: t.Hours}
	if len(t.Hours) == 0 || !hours.Watches(now) {
		return false
	}
	since := now.Truncate(time.Minute)
	for back := 0; back < 24*60 && hours.Watches(since.Add(-time.Minute)); back++ {
		since = since.Add(-time.Minute)
	}
	if t.Every > 0 {
		if again := now.Add(-time.Duration(t.Every) * time.Minute); again.After(since) {
			since = again
		}
	}
	return last.Before(since)
}

// PatrolFilter says which rounds are wanted; what is empty is not asked for.
type PatrolFilter struct {
	From, To time.Time // of its beginning
	Tour     string
	By       string
	Camera   string
	Result   station.PatrolResult
	Before   string // rounds before the one with this ID
	Limit    int
}

func (f PatrolFilter) passes(p station.Patrol) bool {
	return (f.Tour == "" || p.Tour == f.Tour) && (f.By == "" || p.By == f.By) && (f.To.IsZero() || p.Started.Before(f.To)) &&
		(f.Camera == "" || slices.ContainsFunc(p.Views, func(v station.PatrolView) bool { return v.Camera == f.Camera })) &&
		(f.Result == "" || slices.ContainsFunc(p.Views, func(v station.PatrolView) bool { return v.Result == f.Result }))
}

// Patrols lists rounds as actor may see them, the newest first; more tells that
// older ones exist.
func (a *Agent) Patrols(actor station.Actor, f PatrolFilter) (list []station.Patrol, more bool, err error) {
	list = []station.Patrol{}
	err = a.store.View(func(tx *store.Tx) error {
		var before store.Key
		if f.Before != "" {
			var known bool
			if before, known, err = store.Get[store.Key](tx, key(patrolAtTable, f.Before)); err != nil || !known {
				if err == nil {
					err = station.ErrNotFound.At("patrol/" + f.Before)
				}
				return err
			}
		}
		return store.EachBefore(tx, patrolTable, before, func(_ store.Key, p station.Patrol) error {
			if p.Started.Before(f.From) {
				return store.ErrStop
			}
			if err := maskPatrol(tx, actor, &p); err != nil {
				return err
			}
			if !f.passes(p) {
				return nil
			}
			if len(list) == f.Limit {
				more = true
				return store.ErrStop
			}
			list = append(list, p)
			return nil
		})
	})
	return list, more, err
}

func maskPatrol(tx *store.Tx, actor station.Actor, p *station.Patrol) error {
	kept, err := onlySeen(tx, actor, p.Views, func(v station.PatrolView) string { return v.Camera })
	p.Unseen += len(p.Views) - len(kept)
	p.Views = kept
	return err
}

// maskPatrolEvent masks the round in an event; false where it cannot be read.
func maskPatrolEvent(tx *store.Tx, actor station.Actor, ev station.Event) (_ station.Event, ok bool, err error) {
	var p station.Patrol
	if json.Unmarshal(ev.Data, &p) != nil {
		return ev, false, nil
	}
	if err := maskPatrol(tx, actor, &p); err != nil || p.Unseen == 0 {
		return ev, err == nil, err
	}
	ev.Data, err = json.Marshal(p)
	return ev, true, err
}
