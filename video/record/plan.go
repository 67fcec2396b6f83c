package record

import (
	"time"

	"stationd/agent/station"
)

// A camera that is not recorded now goes into the pre-roll instead, a few minutes
// of all such cameras together on the disk. So nothing waits for a clock: a
// fragment is cut when the pictures say so, and only where it is put depends on the
// hour; when somebody sets the clock, the fragments from then on go where the new
// hour says.

// plan is when a camera is recorded.
type plan struct {
	recorded  bool
	recording station.Recording
	hours     station.Schedule
}

// Apply takes over when the cameras are recorded. A camera that it does not name is
// recorded always.
func (a *Archive) Apply(cameras []station.Camera) {
	plans := make(map[string]plan, len(cameras))
	for _, c := range cameras {
		plans[c.ID] = plan{c.Record, c.Recording, station.Schedule{ID: c.ID, Windows: c.RecordHours}}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.plans = plans
}

// class is where a camera's fragment that begins at a moment goes.
func (p plan) class(at time.Time) Class {
	switch {
	case p.recording == station.RecordEvents:
		return PreRoll
	case p.recording == station.RecordHours && !p.hours.Watches(at):
		return PreRoll
	}
	return Continuous
}

// classOf is where a camera's fragment goes; before is where the last one went. It
// changes before key pictures only, so that what goes elsewhere can be played from
// there.
func (a *Archive) classOf(camera string, f *fragment, before Class) Class {
	if before != "" && !f.head.key() {
		return before
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.plans[camera].class(fromIndex(f.start))
}
