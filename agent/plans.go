package agent

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"stationd/agent/station"
	"stationd/agent/store"
)

// Plans: pictures of floors and streets on which sensors and cameras have their
// places. The record is data like all else; the picture is a file (picture.go).

const maxPlans = 200

func checkPlan(p station.Plan) error {
	if err := checkID("id", p.ID); err != nil {
		return err
	}
	if strings.TrimSpace(p.Name) == "" {
		return invalid("name", "give the name that the screen shows", "the plan has no name")
	}
	if err := checkText("name", p.Name, 60); err != nil {
		return err
	}
	return checkText("floor", p.Floor, 30)
}

func preparePutPlan(a *Agent, cmd station.Command) (plan, error) {
	p, err := decodeBody[station.Plan](cmd)
	if err != nil {
		return plan{}, err
	}
	p.ID, p.Removed = cmd.Subject, false
	if err := checkPlan(p); err != nil {
		return plan{}, err
	}
	now := a.now()
	return plan{subject: "plan/" + p.ID, lane: station.LaneNormal, apply: func(tx *store.Tx) (any, error) {
		p := p
		before, known, err := store.Get[station.Plan](tx, key(planTable, p.ID))
		if err != nil {
			return nil, err
		}
		if !known {
			n := 0
			if err := store.Each(tx, planTable, func(store.Key, station.Plan) error { n++; return nil }); err != nil {
				return nil, err
			}
			if n >= maxPlans {
				return nil, station.Errorf(http.StatusConflict, "plan.many", "remove one that is not used", "there are %d plans already", n)
			}
		}
		p.Picture = before.Picture // it has an order of its own
		if err := store.Put(tx, key(planTable, p.ID), p); err != nil {
			return nil, err
		}
		return p, setupEvent(tx, "plan/"+p.ID, cmd.Actor, now, p)
	}}, nil
}

// preparePutPicture lets a plan have a picture whose bytes are on the disk already.
func preparePutPicture(a *Agent, cmd station.Command) (plan, error) {
	pic, err := decodeBody[station.Picture](cmd)
	if err != nil {
		return plan{}, err
	}
	if err := a.hasPicture(pic); err != nil {
		return plan{}, err
	}
	now := a.now()
	pic.At = now
	return plan{subject: "plan/" + cmd.Subject, detail: "picture", lane: station.LaneNormal, apply: func(tx *store.Tx) (any, error) {
		p, ok, err := store.Get[station.Plan](tx, key(planTable, cmd.Subject))
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, station.ErrNotFound.At("plan/" + cmd.Subject)
		}
		p.Picture = &pic
		if err := store.Put(tx, key(planTable, p.ID), p); err != nil {
			return nil, err
		}
		return p, setupEvent(tx, "plan/"+p.ID, cmd.Actor, now, p)
	}}, nil
}

// prepareRemovePlan takes the plan away at once. That nothing stands on it any
// more follows in tidyPlans: a town's plan may have more on it than one
// transaction holds.
func prepareRemovePlan(a *Agent, cmd station.Command) (plan, error) {
	now := a.now()
	return plan{
		subject: "plan/" + cmd.Subject, lane: station.LaneNormal, registry: true,
		apply: func(tx *store.Tx) (any, error) {
			p, ok, err := store.Get[station.Plan](tx, key(planTable, cmd.Subject))
			if err != nil {
				return nil, err
			}
			if !ok {
				return nil, station.ErrNotFound.At("plan/" + cmd.Subject)
			}
			if err := tx.Delete(key(planTable, p.ID)); err != nil {
				return nil, err
			}
			return nil, setupEvent(tx, "plan/"+p.ID, cmd.Actor, now, station.Plan{ID: p.ID, Name: p.Name, Removed: true})
		},
		after: func() error { return a.tidyPlans(context.Background()) },
	}, nil
}

// tidyAtOnce bounds how many records one transaction of tidyPlans changes.
const tidyAtOnce = 100

// tidyPlans takes away the positions on plans that are gone, and the pictures that
// no plan has. It is called after a removal and at the start, in case the program
// ended in between.
func (a *Agent) tidyPlans(ctx context.Context) error {
	for done := false; !done; {
		err := a.store.Update(ctx, station.LaneNormal, func(tx *store.Tx) (err error) {
			done, err = a.clearPositions(tx)
			return err
		})
		if err != nil {
			return err
		}
	}
	return a.tidyPictures()
}

// clearPositions clears some positions that are on no plan, and tells whether
// there are none left.
func (a *Agent) clearPositions(tx *store.Tx) (done bool, err error) {
	plans := map[string]bool{}
	err = store.Each(tx, planTable, func(_ store.Key, p station.Plan) error {
		plans[p.ID] = true
		return nil
	})
	if err != nil {
		return false, err
	}
	lost := func(node station.NodeID, p *station.Position) bool { return node == "" && p != nil && !plans[p.Plan] }
	var sensors []station.Sensor
	var cameras []station.Camera
	err = store.Each(tx, sensorTable, func(_ store.Key, s station.Sensor) error {
		if lost(s.Node, s.Position) {
			sensors = append(sensors, s)
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	err = store.Each(tx, cameraTable, func(_ store.Key, c station.Camera) error {
		if lost(c.Node, c.Position) {
			cameras = append(cameras, c)
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	done = len(sensors)+len(cameras) <= tidyAtOnce
	now := a.now()
	for _, s := range sensors[:min(len(sensors), tidyAtOnce)] {
		s.Position = nil
		if err := store.Put(tx, key(sensorTable, s.ID), s); err != nil {
			return false, err
		}
		if err := appendEvent(tx, station.LaneNormal, station.EventSensorChanged, "sensor/"+s.ID, "", now, s); err != nil {
			return false, err
		}
	}
	for _, c := range cameras[:min(len(cameras), tidyAtOnce)] {
		c.Position = nil
		if err := store.Put(tx, key(cameraTable, c.ID), c); err != nil {
			return false, err
		}
		if err := appendEvent(tx, station.LaneNormal, station.EventCameraChanged, "camera/"+c.ID, "", now, c); err != nil {
			return false, err
		}
	}
	return done, nil
}

// Plans lists the plans in their order.
func (a *Agent) Plans() ([]station.Plan, error) {
	plans, err := all[station.Plan](a, planTable)
	slices.SortStableFunc(plans, func(x, y station.Plan) int { return x.Order - y.Order })
	return plans, err
}

func (a *Agent) plan(id string) (station.Plan, error) {
	var p station.Plan
	err := a.store.View(func(tx *store.Tx) error {
		var ok bool
		var err error
		if p, ok, err = store.Get[station.Plan](tx, key(planTable, id)); err == nil && !ok {
			err = station.ErrNotFound.At("plan/" + id)
		}
		return err
	})
	return p, err
}

type planList struct {
	Plans []station.Plan `json:"plans"`
}

func (a *Agent) planRoutes() []station.Route {
	const path, one = "/api/v1/plans", "/api/v1/plans/{id}"
	return []station.Route{
		{Pattern: "GET " + path, Permission: station.PermWatch, Resource: "plans", Summary: "List the plans", Reply: planList{}, Handler: list(a.Plans, func(v []station.Plan) any { return planList{v} })},
		{Pattern: "GET " + one, Permission: station.PermWatch, Resource: "plan/{id}", Summary: "One plan", Reply: station.Plan{}, Handler: station.Handler(func(w http.ResponseWriter, r *http.Request) error {
			p, err := a.plan(r.PathValue("id"))
			if err != nil {
				return err
			}
			return station.WriteJSON(w, http.StatusOK, p)
		})},
		{Pattern: "PUT " + one, Permission: station.PermConfigure, Resource: "plan/{id}", Summary: "Add or change a plan", Body: station.Plan{}, Reply: station.Plan{}, Params: commandParams, Handler: a.order(station.CommandPutPlan)},
		{Pattern: "DELETE " + one, Permission: station.PermConfigure, Resource: "plan/{id}", Summary: "Remove a plan with its picture; nothing stands on it any more", Status: http.StatusNoContent, Params: commandParams, Handler: a.remove(station.CommandRemovePlan)},
		{Pattern: "GET " + one + "/picture", Permission: station.PermWatch, Resource: "plan/{id}", Summary: "The picture of a plan", Params: []station.Param{{Name: "v", In: "query", Type: "string", Summary: "the picture's digest; the answer may then be kept for ever"}}, ReplyType: "image/*", Handler: station.Handler(a.getPicture)},
		{Pattern: "PUT " + one + "/picture", Permission: station.PermConfigure, Resource: "plan/{id}", Summary: "Give a plan its picture: PNG, JPEG or WebP, at most 8 MiB", BodyType: "image/*", Reply: station.Plan{}, Params: commandParams, Handler: station.Handler(a.putPicture)},
	}
}
