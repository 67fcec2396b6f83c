package agent

import (
	"stationd/agent/station"
	"stationd/agent/store"
)

// alarmEntered is called in the transaction that raises an alarm.
func (a *Agent) alarmEntered(*store.Tx, station.Alarm) error { return nil }

// alarmChanged is called in the transaction of every later change of an alarm:
// an answer, its end, a shelf, a suppression, somebody who takes it.
func (a *Agent) alarmChanged(*store.Tx, station.Alarm) error { return nil }
