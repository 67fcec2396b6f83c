package agent

import (
	"stationd/agent/station"
	"stationd/agent/store"
)

// noteAbout takes over what a device says of itself: its model, its firmware, its
// bridge. The registry is applied afresh then, so that it is not said again.
func (a *Agent) noteAbout(tx *store.Tx, sensor *station.Sensor, r station.Report, change *reportChange) error {
	if r.About == nil {
		return nil
	}
	next, news := r.About.Changes(*sensor)
	if !news {
		return nil
	}
	*sensor, change.registry = next, true
	if err := store.Put(tx, key(sensorTable, next.ID), next); err != nil {
		return err
	}
	return appendEvent(tx, station.LaneNormal, station.EventSensorChanged, "sensor/"+next.ID, "", r.Received, next)
}
