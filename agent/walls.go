package agent

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"stationd/agent/account"
	"stationd/agent/station"
	"stationd/agent/store"
)

// Walls, groups of cameras and tours: how the pictures are looked at. All three are
// data that the people of the duty room keep themselves.

const (
	maxArrangements = 200 // of each kind
	maxWallCameras  = 64
	maxTourSteps    = 64
)

var layouts = []int{1, 4, 9, 16}

// arrangement is what walls, groups and tours have in common.
type arrangement[T any] struct {
	kind  string // in resources: "wall"
	table store.Key
	// id is the record's ID and name.
	id func(*T) (id, name *string)
	// check reports the first fault; cameras are those that it names.
	check   func(tx *store.Tx, v *T) error
	cameras func(*T) []string
}

var (
	walls = arrangement[station.Wall]{
		kind: "wall", table: wallTable, id: func(w *station.Wall) (*string, *string) { return &w.ID, &w.Name },
		cameras: func(w *station.Wall) []string { return w.Cameras },
		check: func(_ *store.Tx, w *station.Wall) error {
			if !slices.Contains(layouts, w.Layout) {
				return invalid("layout", "use 1, 4, 9 or 16", "a wall cannot have %d pictures", w.Layout)
			}
			if len(w.Cameras) > maxWallCameras {
				return invalid("cameras", "make two walls of it", "a wall has at most %d tiles", maxWallCameras)
			}
			return nil
		},
	}
	groups = arrangement[station.CameraGroup]{
		kind: "camera-group", table: groupTable, id: func(g *station.CameraGroup) (*string, *string) { return &g.ID, &g.Name },
		cameras: func(g *station.CameraGroup) []string { return g.Cameras },
		check: func(_ *store.Tx, g *station.CameraGroup) error {
			if len(g.Cameras) > maxWallCameras {
				return invalid("cameras", "make two groups of it", "a group has at most %d cameras", maxWallCameras)
			}
			return nil
		},
	}
	tours = arrangement[station.Tour]{
		kind: "tour", table: tourTable, id: func(t *station.Tour) (*string, *string) { return &t.ID, &t.Name },
		cameras: func(t *station.Tour) (ids []string) {
			for _, s := range t.Steps {
				ids = append(ids, s.Camera)
			}
			return ids
		},
		check: checkTour,
	}
)

func checkTour(tx *store.Tx, t *station.Tour) error {
	dwells := func(seconds int) bool { return seconds >= 3 && seconds <= 600 }
	switch {
	case len(t.Steps) == 0:
		return invalid("steps", "add a camera or a group", "the tour goes nowhere")
	case len(t.Steps) > maxTourSteps:
		return invalid("steps", "make two tours of it", "a tour has at most %d steps", maxTourSteps)
	case !dwells(t.Dwell):
		return invalid("dwell", "use 3 to 600 seconds", "a picture cannot be looked at for %d seconds", t.Dwell)
	case t.Confirm != "" && t.Confirm != station.ConfirmStep && t.Confirm != station.ConfirmRound:
		return invalid("confirm", "use step or round", "%q cannot be confirmed", t.Confirm)
	case t.Every < 0 || t.Every > 24*60:
		return invalid("every", "use 0 to 1440 minutes", "a tour cannot be due every %d minutes", t.Every)
	case len(t.Hours) > 50:
		return invalid("hours", "use at most 50 spans", "the tour has too many hours")
	}
	if err := (station.Schedule{Windows: t.Hours}).Validate(); err != nil {
		return err
	}
	for i, s := range t.Steps {
		at := fmt.Sprintf("steps[%d]", i)
		if (s.Camera == "") == (s.Group == "") {
			return invalid(at, "name a camera or a group", "step %d of the tour is neither one camera nor one group", i+1)
		}
		if s.Dwell != 0 && !dwells(s.Dwell) {
			return invalid(at+".dwell", "use 3 to 600 seconds", "a picture cannot be looked at for %d seconds", s.Dwell)
		}
		if err := checkText(at+".preset", s.Preset, 64); err != nil {
			return err
		}
		if s.Group == "" {
			continue
		}
		if _, ok, err := store.Get[station.CameraGroup](tx, key(groupTable, s.Group)); err != nil || !ok {
			if err == nil {
				err = invalid(at+".group", "choose one that exists", "there is no group %q", s.Group)
			}
			return err
		}
	}
	return nil
}

// notDisplay refuses what only people decide.
func notDisplay(actor station.Actor) error {
	if actor.Role != account.RoleDisplay {
		return nil
	}
	return station.Errorf(http.StatusForbidden, "display.fixed", "sign in at a seat", "a display shows walls and tours and does not change them")
}

// checkCameras refuses cameras that are not there, and those that who sets something
// up may not see.
func checkCameras(tx *store.Tx, actor station.Actor, ids []string) error {
	for _, id := range ids {
		if id == "" {
			continue
		}
		if ok, err := sees(tx, actor, id); err != nil || !ok {
			if err == nil {
				err = station.ErrUnseen.At("camera/" + id)
			}
			return err
		}
		if _, ok, err := store.Get[station.Camera](tx, key(cameraTable, id)); err != nil || !ok {
			if err == nil {
				err = invalid("cameras", "choose one that exists", "there is no camera %q", id)
			}
			return err
		}
	}
	return nil
}

func (k arrangement[T]) preparePut(a *Agent, cmd station.Command) (plan, error) {
	if err := notDisplay(cmd.Actor); err != nil {
		return plan{}, err
	}
	v, err := decodeBody[T](cmd)
	if err != nil {
		return plan{}, err
	}
	id, name := k.id(&v)
	if err := checkID("id", *id); err != nil {
		return plan{}, err
	}
	if *name = strings.TrimSpace(*name); *name == "" {
		return plan{}, invalid("name", "give it the name that people know it by", "it has no name")
	}
	if err := checkText("name", *name, 40); err != nil {
		return plan{}, err
	}
	now := a.now()
	return plan{subject: k.kind + "/" + *id, detail: *name, lane: station.LaneNormal, apply: func(tx *store.Tx) (any, error) {
		if err := k.check(tx, &v); err != nil {
			return nil, err
		}
		if err := checkCameras(tx, cmd.Actor, k.cameras(&v)); err != nil {
			return nil, err
		}
		n := 0
		if err := store.Each(tx, k.table, func(at store.Key, _ T) error {
			if at != key(k.table, *id) {
				n++
			}
			return nil
		}); err != nil {
			return nil, err
		}
		if n >= maxArrangements {
			return nil, station.Errorf(http.StatusConflict, k.kind+".many", "remove one that is not used", "there are %d already", n)
		}
		if err := store.Put(tx, key(k.table, *id), v); err != nil {
			return nil, err
		}
		return v, setupEvent(tx, k.kind+"/"+*id, cmd.Actor, now, map[string]string{"id": *id})
	}}, nil
}

func (k arrangement[T]) prepareRemove(a *Agent, cmd station.Command) (plan, error) {
	if err := notDisplay(cmd.Actor); err != nil {
		return plan{}, err
	}
	now := a.now()
	return plan{subject: k.kind + "/" + cmd.Subject, lane: station.LaneNormal, apply: func(tx *store.Tx) (any, error) {
		if _, ok, err := store.Get[T](tx, key(k.table, cmd.Subject)); err != nil || !ok {
			if err == nil {
				err = station.ErrNotFound.At(k.kind + "/" + cmd.Subject)
			}
			return nil, err
		}
		if k.kind == groups.kind {
			if err := groupUnused(tx, cmd.Subject); err != nil {
				return nil, err
			}
		}
		if err := tx.Delete(key(k.table, cmd.Subject)); err != nil {
			return nil, err
		}
		return nil, setupEvent(tx, k.kind+"/"+cmd.Subject, cmd.Actor, now, map[string]any{"id": cmd.Subject, "removed": true})
	}}, nil
}

// groupUnused refuses to remove a group that a tour goes to.
func groupUnused(tx *store.Tx, id string) error {
	return store.Each(tx, tourTable, func(_ store.Key, t station.Tour) error {
		if slices.ContainsFunc(t.Steps, func(s station.TourStep) bool { return s.Group == id }) {
			return station.Errorf(http.StatusConflict, "camera-group.used", "take it out of the tour first", "the tour %s goes to this group", t.Name)
		}
		return nil
	})
}

// Walls lists the walls as actor may see them, as Groups and Tours do theirs: a
// camera that is not for them leaves an empty tile, and no trace in a group or tour.
func (a *Agent) Walls(actor station.Actor) ([]station.Wall, error) {
	list, err := all[station.Wall](a, wallTable)
	if err != nil {
		return nil, err
	}
	return list, a.store.View(func(tx *store.Tx) error {
		for _, w := range list {
			for i, c := range w.Cameras {
				ok, err := sees(tx, actor, c)
				if err != nil {
					return err
				}
				if !ok {
					w.Cameras[i] = ""
				}
			}
		}
		return nil
	})
}

// Groups lists the groups of cameras; see Walls.
func (a *Agent) Groups(actor station.Actor) ([]station.CameraGroup, error) {
	list, err := all[station.CameraGroup](a, groupTable)
	if err != nil {
		return nil, err
	}
	return list, a.store.View(func(tx *store.Tx) (err error) {
		for i := range list {
			list[i].Cameras, err = onlySeen(tx, actor, list[i].Cameras, func(c string) string { return c })
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// onlySeen keeps those of a list whose camera actor may see.
func onlySeen[T any](tx *store.Tx, actor station.Actor, list []T, camera func(T) string) ([]T, error) {
	kept := make([]T, 0, len(list))
	for _, v := range list {
		ok, err := sees(tx, actor, camera(v))
		if err != nil {
			return nil, err
		}
		if ok {
			kept = append(kept, v)
		}
	}
	return kept, nil
}

// takeCameraFromWalls leaves nothing of a camera that is gone in walls, groups and
// tours; a tour that would go nowhere stays as it is.
func takeCameraFromWalls(tx *store.Tx, camera string) error {
	err := changeEach(tx, wallTable, func(w *station.Wall) bool {
		found := false
		for i, c := range w.Cameras {
			if c == camera {
				w.Cameras[i], found = "", true
			}
		}
		return found
	})
	if err != nil {
		return err
	}
	err = changeEach(tx, groupTable, func(g *station.CameraGroup) bool {
		before := len(g.Cameras)
		g.Cameras = slices.DeleteFunc(g.Cameras, func(c string) bool { return c == camera })
		return len(g.Cameras) != before
	})
	if err != nil {
		return err
	}
	return changeEach(tx, tourTable, func(t *station.Tour) bool {
		kept := slices.DeleteFunc(slices.Clone(t.Steps), func(s station.TourStep) bool { return s.Camera == camera })
		if len(kept) == 0 || len(kept) == len(t.Steps) {
			return false
		}
		t.Steps = kept
		return true
	})
}

func changeEach[T any](tx *store.Tx, table store.Key, change func(*T) bool) error {
	changed := map[store.Key]T{}
	err := store.Each(tx, table, func(k store.Key, v T) error {
		if change(&v) {
			changed[k] = v
		}
		return nil
	})
	if err != nil {
		return err
	}
	for k, v := range changed {
		if err := store.Put(tx, k, v); err != nil {
			return err
		}
	}
	return nil
}
