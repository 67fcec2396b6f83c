package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"stationd/agent/station"
	"stationd/agent/store"
)

// Adoption: one order makes a device that appeared by itself one of the station's
// sensors. What it said of itself (source, maker, model) stays; what only people
// know is given: its name, where it is, who sees it.

func prepareAdoptSensor(a *Agent, cmd station.Command) (plan, error) {
	o, err := decodeBody[station.AdoptionOrder](cmd)
	if err != nil {
		return plan{}, err
	}
	now := a.now()
	return plan{subject: "sensor/" + cmd.Subject, lane: station.LaneNormal, registry: true, apply: func(tx *store.Tx) (any, error) {
		s, err := ownSensor(tx, cmd.Subject)
		if err != nil {
			return nil, err
		}
		if s.Adopted {
			return nil, station.Errorf(http.StatusConflict, "sensor.adopted", "change it instead", "the sensor is one of the station's already, by the name of %q", s.Name)
		}
		before := s
		s.Adopted = true
		s.Name, s.Place = strings.TrimSpace(o.Name), strings.TrimSpace(o.Place)
		s.Cameras, s.Important, s.Position, s.Rules = o.Cameras, o.Important, o.Position, o.Rules
		if o.Class != "" {
			s.Class = o.Class
		}
		if o.Bridge != "" {
			s.Bridge = o.Bridge
		}
		if o.SilentAfter != 0 {
			s.SilentAfter = o.SilentAfter
		}
		if o.Power != "" {
			s.Power = o.Power
		}
		if err := errors.Join(a.validSensor(s), checkSurroundings(tx, s)); err != nil {
			return nil, err
		}
		if err := store.Put(tx, key(sensorTable, s.ID), s); err != nil {
			return nil, err
		}
		if before.Class != s.Class || len(s.Rules) > 0 {
			if err := a.endUnwatched(tx, s, watchedBy(s)); err != nil {
				return nil, err
			}
		}
		return s, appendEvent(tx, station.LaneNormal, station.EventSensorChanged, "sensor/"+s.ID, cmd.Actor.Account, now, s)
	}}, nil
}

// ownSensor is the node's own sensor of that ID; a child's is changed at the child.
func ownSensor(tx *store.Tx, id string) (station.Sensor, error) {
	s, ok, err := store.Get[station.Sensor](tx, key(sensorTable, id))
	switch {
	case err != nil:
		return s, err
	case !ok:
		return s, station.ErrNotFound.At("sensor/" + id)
	case s.Node != "":
		return s, station.Errorf(http.StatusConflict, "sensor.elsewhere", "change it at the station", "the sensor belongs to the station %s", s.Node)
	}
	return s, nil
}

// checkSurroundings reports every thing that the sensor names and that is not
// there: cameras, its bridge, the plan that it is on.
func checkSurroundings(tx *store.Tx, s station.Sensor) error {
	var faults []error
	for i, c := range s.Cameras {
		_, ok, err := store.Get[station.Camera](tx, key(cameraTable, c))
		switch {
		case err != nil:
			return err
		case !ok:
			faults = append(faults, invalid(fmt.Sprintf("cameras[%d]", i), "add the camera first", "there is no camera %q", c))
		case slices.Contains(s.Cameras[:i], c):
			faults = append(faults, invalid(fmt.Sprintf("cameras[%d]", i), "name each camera once", "the camera %q is named twice", c))
		}
	}
	if s.Bridge != "" {
		b, ok, err := store.Get[station.Sensor](tx, key(sensorTable, s.Bridge))
		switch {
		case err != nil:
			return err
		case s.Bridge == s.ID:
			faults = append(faults, invalid("bridge", "leave it empty", "a sensor cannot be its own gateway"))
		case !ok || b.Node != "":
			faults = append(faults, invalid("bridge", "choose a gateway of this station, or leave it empty", "there is no sensor %q", s.Bridge))
		case b.Bridge != "":
			faults = append(faults, invalid("bridge", "choose the gateway itself", "%q speaks through a gateway too", b.Name))
		}
	}
	if err := checkPosition(tx, s.Position); err != nil {
		if _, ok := station.AsProblem(err); !ok {
			return err
		}
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

// checkPosition reports a position that is on no plan or beyond its edges.
func checkPosition(tx *store.Tx, p *station.Position) error {
	if p == nil {
		return nil
	}
	if !(p.X >= 0 && p.X <= 1 && p.Y >= 0 && p.Y <= 1) {
		return invalid("position", "0 is the left or top edge of the picture, 1 the right or bottom", "the position lies beyond the plan")
	}
	_, ok, err := store.Get[station.Plan](tx, key(planTable, p.Plan))
	if err == nil && !ok {
		err = invalid("position.plan", "add the plan first", "there is no plan %q", p.Plan)
	}
	return err
}

// maxSilent bounds how long a sensor may be allowed to be silent.
const maxSilent = 90 * 24 * time.Hour

// checkSilence reports a silence that can never be noticed, or always is.
func checkSilence(d time.Duration) error {
	if d > 0 && (d < 30*time.Second || d > maxSilent) {
		return invalid("silentAfter", "use 30 s to 90 days in nanoseconds, 0 for the default of its class, -1 for never", "the sensor cannot be missed after %s", d)
	}
	return nil
}

func checkPower(p station.Power) error {
	switch p {
	case "", station.PowerMains, station.PowerBattery, station.PowerLoRa:
		return nil
	}
	return invalid("power", "use mains, battery or lora, or leave it empty", "there is no power %q", p)
}

func (a *Agent) sensorRoutes() []station.Route {
	const one = "/api/v1/sensors/{id}"
	return []station.Route{
		{Pattern: "POST " + one + "/adoption", Permission: station.PermConfigure, Resource: "sensor/{id}", Summary: "Adopt a device that appeared by itself", Body: station.AdoptionOrder{}, Reply: station.Sensor{}, Params: commandParams, Handler: a.order(station.CommandAdoptSensor)},
		{Pattern: "POST " + one + "/credential", Permission: station.PermConfigure, Resource: "sensor/{id}", Summary: "Make an account at the built-in broker for one sensor, with the topics that it needs; the password is shown this once", Reply: station.DeviceCredential{}, Params: commandParams, Handler: a.put(station.CommandPutCredential, "")},
		{Pattern: "POST " + one + "/replacement", Permission: station.PermConfigure, Resource: "sensor/{id}", Summary: "Put a new device in the place of a broken one; name, rules and history stay", Body: station.ReplacementOrder{}, Reply: station.Sensor{}, Params: commandParams, Handler: a.order(station.CommandReplaceSensor)},
		{Pattern: "GET " + one + "/service", Permission: station.PermWatch, Resource: "sensor/{id}", Summary: "A sensor's maintenance or test, and what it has reported in a maintenance so far", Reply: station.ServiceView{}, Handler: station.Handler(a.getService)},
		{Pattern: "PUT " + one + "/service", Permission: station.PermConfigure, Resource: "sensor/{id}", Summary: "Take a sensor out of ordinary service for a time: maintenance or test", Body: station.ServiceOrder{}, Reply: station.Sensor{}, Params: commandParams, Handler: a.order(station.CommandServiceSensor)},
		{Pattern: "DELETE " + one + "/service", Permission: station.PermConfigure, Resource: "sensor/{id}", Summary: "Put a sensor back into ordinary service", Status: http.StatusNoContent, Params: commandParams, Handler: a.remove(station.CommandEndService)},
	}
}

func (a *Agent) getService(w http.ResponseWriter, r *http.Request) error {
	v, err := a.ServiceOf(r.PathValue("id"))
	if err != nil {
		return err
	}
	return station.WriteJSON(w, http.StatusOK, v)
}

// order serves a request whose body is the command's body as it is.
func (a *Agent) order(kind string) http.Handler {
	return station.Handler(func(w http.ResponseWriter, r *http.Request) error {
		var body, result json.RawMessage
		if err := station.ReadJSON(w, r, &body); err != nil {
			return err
		}
		if err := a.command(r, kind, r.PathValue("id"), body, &result); err != nil {
			return err
		}
		return station.WriteJSON(w, http.StatusOK, result)
	})
}
