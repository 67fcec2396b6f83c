package agent

import (
	"context"
	"encoding/json"
	"strings"

	"stationd/agent/station"
	"stationd/agent/store"
)

// announceBytes bounds the records of one transaction of the announcement: a
// large station has more than fits into one.
const announceBytes = 128 << 10

// Announce journals everything that is set up and every live alarm once more.
// The wiring calls it when a target is forwarded to for the first time: what was
// set up before may have left the journal long ago. It is several transactions;
// one that was cut off is begun again from the start.
func (a *Agent) Announce(ctx context.Context) error {
	type record struct {
		key  store.Key
		size int
	}
	var all []record
	err := a.store.View(func(tx *store.Tx) error {
		for _, table := range []store.Key{nodeTable, belowTable, sensorTable, cameraTable} {
			err := store.Each(tx, table, func(k store.Key, raw json.RawMessage) error {
				all = append(all, record{k, len(raw)})
				return nil
			})
			if err != nil {
				return err
			}
		}
		return store.Each(tx, liveTable, func(_ store.Key, id string) error {
			raw, _, err := store.Get[json.RawMessage](tx, key(alarmTable, id))
			all = append(all, record{key(alarmTable, id), len(raw)})
			return err
		})
	})
	if err != nil {
		return err
	}
	for len(all) > 0 {
		n := 0
		for size := 0; n < len(all) && (n == 0 || size+all[n].size <= announceBytes); n++ {
			size += all[n].size
		}
		err := a.store.Update(ctx, station.LaneNormal, func(tx *store.Tx) error {
			for _, r := range all[:n] {
				if err := a.announce(tx, r.key); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		all = all[n:]
	}
	return nil
}

// announce journals one record as it is now, if it still is.
func (a *Agent) announce(tx *store.Tx, k store.Key) error {
	now := a.now()
	switch {
	case strings.HasPrefix(string(k), string(nodeTable)), strings.HasPrefix(string(k), string(belowTable)):
		n, ok, err := store.Get[station.Node](tx, k)
		if err != nil || !ok {
			return err
		}
		return appendEvent(tx, station.LaneNormal, station.EventNodeState, "node/"+string(n.ID), "", now, n)
	case strings.HasPrefix(string(k), string(sensorTable)):
		s, ok, err := store.Get[station.Sensor](tx, k)
		if err != nil || !ok {
			return err
		}
		return appendEvent(tx, station.LaneNormal, station.EventSensorChanged, "sensor/"+s.ID, "", now, s)
	case strings.HasPrefix(string(k), string(cameraTable)):
		c, ok, err := store.Get[station.Camera](tx, k)
		if err != nil || !ok {
			return err
		}
		if err := appendEvent(tx, station.LaneNormal, station.EventCameraChanged, "camera/"+c.ID, "", now, c); err != nil {
			return err
		}
		st, ok, err := store.Get[station.CameraState](tx, key(camStTable, c.ID))
		if err != nil || !ok {
			return err
		}
		return appendEvent(tx, station.LaneNormal, station.EventCameraState, "camera/"+c.ID, "", now, st)
	default:
		alarm, ok, err := store.Get[station.Alarm](tx, k)
		if err != nil || !ok || !alarm.Live() {
			return err
		}
		return appendEvent(tx, station.LaneUrgent, station.EventAlarmRaised, "alarm/"+alarm.ID, "", now, alarm)
	}
}
