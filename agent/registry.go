package agent

import (
	"context"
	"errors"
	"time"

	"stationd/agent/station"
	"stationd/agent/store"
)

// registryChanged asks for the registry to be applied afresh.
func (a *Agent) registryChanged() {
	select {
	case a.changed <- struct{}{}:
	default: // asked for already
	}
}

// runRegistry hands the registry to devices and video, at the start and after
// every change, until ctx ends.
func (a *Agent) runRegistry(ctx context.Context) error {
	for {
		r, err := a.Registry()
		if err != nil {
			return err
		}
		a.apply(r)
		select {
		case <-ctx.Done():
			return nil
		case <-a.changed:
		}
	}
}

// Registry reads all that is set up, with its passwords.
func (a *Agent) Registry() (Registry, error) {
	var r Registry
	err := a.store.View(func(tx *store.Tx) error {
		now, err := a.moment(tx)
		if err != nil {
			return err
		}
		r.RanUntil = a.ranUntil()
		err = store.Each(tx, sensorTable, func(_ store.Key, s station.Sensor) error {
			if s.Node != "" {
				return nil // a child's
			}
			r.Sensors = append(r.Sensors, s)
			state, ok, err := store.Get[station.SensorState](tx, key(stateTable, s.ID))
			if ok {
				if state.Heard != 0 { // how long it has been silent is not for the wall clock to say
					state.LastSeen = now.Wall.Add(state.Heard - time.Duration(now.Tick))
				}
				r.States = append(r.States, state)
			}
			return err
		})
		if err != nil {
			return err
		}
		if err := a.withTemplates(tx, r.Sensors); err != nil {
			return err
		}
		err = store.Each(tx, cameraTable, func(_ store.Key, c station.Camera) error {
			if c.Node != "" {
				r.Remote = append(r.Remote, c)
				return nil
			}
			c, password, err := a.cameraLogin(tx, c)
			r.Cameras = append(r.Cameras, CameraLink{Camera: c, Password: password})
			return err
		})
		if err != nil {
			return err
		}
		err = store.Each(tx, brokerTable, func(_ store.Key, b station.Broker) error {
			password, err := a.password(tx, brokerSecret(b.ID))
			r.Brokers = append(r.Brokers, BrokerLink{Broker: b, Password: password})
			return err
		})
		if err != nil {
			return err
		}
		joining, _, err := store.Get[station.Joining](tx, joiningKey)
		if err != nil {
			return err
		}
		if joining.Open(a.now()) {
			r.JoiningUntil = joining.Until
		}
		return store.Each(tx, deviceTable, func(_ store.Key, acc station.BrokerAccount) error {
			r.Accounts = append(r.Accounts, acc)
			return nil
		})
	})
	return r, err
}

// password is a kept password. Where the key that sealed it is lost there is
// none: that camera stays dark, but everything else goes on.
func (a *Agent) password(tx *store.Tx, name string) (station.Secret, error) {
	password, _, err := tx.Secret(name)
	if errors.Is(err, store.ErrNoKey) || errors.Is(err, store.ErrWrongKey) {
		a.log.Error("kept password cannot be opened", "secret", name, "err", err)
		return "", nil
	}
	return password, err
}

// HandleCameraState stores how a camera's source is, when it changed.
func (a *Agent) HandleCameraState(ctx context.Context, st station.CameraState) error {
	return a.store.Update(ctx, station.LaneNormal, func(tx *store.Tx) error {
		if _, ok, err := store.Get[station.Camera](tx, key(cameraTable, st.Camera)); err != nil || !ok {
			return err // removed in the meantime
		}
		before, known, err := store.Get[station.CameraState](tx, key(camStTable, st.Camera))
		if err != nil || (known && sameCameraState(before, st)) {
			return err
		}
		if err := store.Put(tx, key(camStTable, st.Camera), st); err != nil {
			return err
		}
		if err := noteUp(tx, a.now(), upCamera, st.Camera, upOfCamera(st)); err != nil {
			return err
		}
		return appendEvent(tx, station.LaneNormal, station.EventCameraState, "camera/"+st.Camera, "", a.now(), st)
	})
}

func sameCameraState(x, y station.CameraState) bool {
	x.Since = y.Since
	return x == y
}
