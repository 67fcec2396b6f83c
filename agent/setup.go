package agent

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"stationd/agent/station"
	"stationd/agent/store"
)

// The commands that set up sensors and cameras. All of it is data: it is edited
// live and takes effect without a restart.

func invalid(place, hint, format string, args ...any) error {
	return station.Errorf(http.StatusBadRequest, "setup.invalid", hint, format, args...).At(place)
}

// checkID accepts what can stand in a path, a topic and a qualified ID.
func checkID(place, id string) error {
	if len(id) == 0 || len(id) > 64 || strings.ContainsFunc(id, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}) {
		return invalid(place, "use 1 to 64 of a-z, 0-9, '-' and '_'", "the ID %q cannot be used", id)
	}
	return nil
}

func checkText(place, text string, most int) error {
	if n := utf8.RuneCountInString(text); n > most {
		return invalid(place, fmt.Sprintf("use at most %d characters", most), "the text has %d characters", n)
	}
	return nil
}

func (a *Agent) validSensor(s station.Sensor) error {
	faults := []error{
		checkText("name", s.Name, 60), checkText("place", s.Place, 120),
		checkText("maker", s.Maker, 60), checkText("model", s.Model, 60), checkText("firmware", s.Firmware, 60),
		checkSilence(s.SilentAfter), checkPower(s.Power),
	}
	if strings.TrimSpace(s.Name) == "" {
		faults = append(faults, invalid("name", "give the name that the desk shows", "the sensor has no name"))
	}
	if s.Source.Broker == "" {
		faults = append(faults, invalid("source.broker", "name the broker; the built-in one is "+station.EmbeddedBroker, "the sensor has no broker"))
	}
	if len(s.Rules) > maxRules {
		faults = append(faults, invalid("rules", "use fewer rules", "a sensor has at most %d rules, and this one has %d", maxRules, len(s.Rules)))
	}
	return errors.Join(append(faults, a.checkSensor(s))...)
}

func preparePutSensor(a *Agent, cmd station.Command) (plan, error) {
	s, err := decodeBody[station.Sensor](cmd)
	if err != nil {
		return plan{}, err
	}
	s.Node = ""
	if err := a.validSensor(s); err != nil {
		return plan{}, err
	}
	now := a.now()
	return plan{subject: "sensor/" + s.ID, lane: station.LaneNormal, registry: true, apply: func(tx *store.Tx) (any, error) {
		// A device that appeared by itself keeps the ID it came with.
		before, known, err := store.Get[station.Sensor](tx, key(sensorTable, s.ID))
		if err != nil {
			return nil, err
		}
		if !known {
			if err := checkID("id", s.ID); err != nil {
				return nil, err
			}
		}
		if before.Node != "" {
			return nil, station.Errorf(http.StatusConflict, "sensor.elsewhere", "change it at the station", "the sensor belongs to the station %s", before.Node)
		}
		s := s
		if err := checkSurroundings(tx, s); err != nil {
			return nil, err
		}
		s.Adopted = true
		s.Rules = countVersions(before.Rules, s.Rules)
		s.Service, s.Was = before.Service, before.Was // these have orders of their own
		if s.Maker == "" && s.Model == "" && s.Firmware == "" {
			s.Maker, s.Model, s.Firmware = before.Maker, before.Model, before.Firmware
		}
		if err := store.Put(tx, key(sensorTable, s.ID), s); err != nil {
			return nil, err
		}
		if before.Class != s.Class || !reflect.DeepEqual(before.Rules, s.Rules) {
			if err := a.endUnwatched(tx, s, watchedBy(s)); err != nil {
				return nil, err
			}
		}
		return s, appendEvent(tx, station.LaneNormal, station.EventSensorChanged, "sensor/"+s.ID, cmd.Actor.Account, now, s)
	}}, nil
}

// watchedBy tells which kinds a sensor with other rules than before still judges
// for certain. What it turns out to judge beyond that, by the default rules of its
// class, its next report tells.
func watchedBy(s station.Sensor) func(station.AlarmKind) bool {
	return func(kind station.AlarmKind) bool {
		return kind == station.KindOffline || len(s.Rules) == 0 && kind.LifeSafety() ||
			slices.ContainsFunc(s.Rules, func(r station.Rule) bool { return r.Kind == kind && !r.Disabled })
	}
}

func prepareRemoveSensor(a *Agent, cmd station.Command) (plan, error) {
	now := a.now()
	return plan{subject: "sensor/" + cmd.Subject, lane: station.LaneNormal, registry: true, apply: func(tx *store.Tx) (any, error) {
		s, ok, err := store.Get[station.Sensor](tx, key(sensorTable, cmd.Subject))
		if err != nil {
			return nil, err
		}
		if !ok || s.Node != "" {
			return nil, station.ErrNotFound.At("sensor/" + cmd.Subject)
		}
		if err := tx.Delete(key(sensorTable, s.ID)); err != nil {
			return nil, err
		}
		if err := errors.Join(tx.Delete(key(stateTable, s.ID)), endUp(tx, now, upSensor, s.ID)); err != nil {
			return nil, err
		}
		if err := tx.DeleteSecret(peopleSecret(s.ID)); err != nil {
			return nil, err
		}
		if err := removeCredentials(tx, s.ID); err != nil {
			return nil, err
		}
		if err := a.history.Erase(tx, s.ID, now); err != nil {
			return nil, err
		}
		if err := a.sensorGone(tx, s); err != nil {
			return nil, err
		}
		return nil, appendEvent(tx, station.LaneNormal, station.EventSensorRemoved, "sensor/"+s.ID, cmd.Actor.Account, now, s)
	}}, nil
}

// splitCredentials takes user name and password out of an address.
func splitCredentials(raw string) (clean, user string, password station.Secret, err error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		// What cannot be taken apart is not repeated: a password may be in it.
		return "", "", "", invalid("url", "write scheme://address/path", "the address cannot be read")
	}
	if u.User != nil {
		p, _ := u.User.Password()
		user, password = u.User.Username(), station.Secret(p)
		u.User = nil
	}
	return u.String(), user, password, nil
}

func cameraSecret(id string) string { return "camera/" + id }
func brokerSecret(id string) string { return "broker/" + id }

func preparePutCamera(a *Agent, cmd station.Command) (plan, error) {
	o, err := decodeBody[station.CameraOrder](cmd)
	if err != nil {
		return plan{}, err
	}
	c, password, err := checkCamera(o.Camera, o.Password)
	if err != nil {
		return plan{}, err
	}
	now := a.now()
	return plan{subject: "camera/" + c.ID, lane: station.LaneNormal, registry: true, apply: func(tx *store.Tx) (any, error) {
		return putCamera(tx, c, password, cmd.Actor, now)
	}}, nil
}

// sameHost tells whether a kept password still goes where it was given for. A
// changed address asks for the password anew: otherwise whoever may edit a
// camera could have its password sent to a machine of theirs.
func sameHost(a, b string) bool {
	x, err1 := url.Parse(a)
	y, err2 := url.Parse(b)
	return err1 == nil && err2 == nil && x.Host == y.Host && x.Scheme == y.Scheme
}

// putSecret keeps, replaces or removes a password, and tells whether there is
// one now. The mask keeps what is kept, where that may still be used.
func putSecret(tx *store.Tx, name string, password station.Secret, mayKeep bool) (bool, error) {
	switch {
	case password.Unchanged() && mayKeep:
		return true, nil
	case password.Unchanged():
		return false, invalid("password", "type the password again", "the kept password belongs to another address or user name")
	case password == "":
		return false, tx.DeleteSecret(name)
	}
	return true, tx.PutSecret(name, password)
}

func prepareRemoveCamera(a *Agent, cmd station.Command) (plan, error) {
	now := a.now()
	return plan{subject: "camera/" + cmd.Subject, lane: station.LaneNormal, registry: true, apply: func(tx *store.Tx) (any, error) {
		c, ok, err := store.Get[station.Camera](tx, key(cameraTable, cmd.Subject))
		if err != nil {
			return nil, err
		}
		if !ok || c.Node != "" {
			return nil, station.ErrNotFound.At("camera/" + cmd.Subject)
		}
		return nil, removeCamera(tx, c, cmd.Actor.Account, now)
	}}, nil
}

// takeCameraFromSensors lets no sensor wait for clips of a camera that is gone.
func takeCameraFromSensors(tx *store.Tx, camera, actor string, now time.Time) error {
	var seen []station.Sensor
	err := store.Each(tx, sensorTable, func(_ store.Key, s station.Sensor) error {
		if slices.Contains(s.Cameras, camera) {
			seen = append(seen, s)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, s := range seen {
		s.Cameras = slices.DeleteFunc(s.Cameras, func(c string) bool { return c == camera })
		if err := store.Put(tx, key(sensorTable, s.ID), s); err != nil {
			return err
		}
		if err := appendEvent(tx, station.LaneNormal, station.EventSensorChanged, "sensor/"+s.ID, actor, now, s); err != nil {
			return err
		}
	}
	return nil
}
