package agent_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"stationd/agent"
	"stationd/agent/station"
)

// loudspeaker remembers what it is to call.
type loudspeaker struct {
	mu     sync.Mutex
	calls  station.Sounding
	state  station.SoundState
	failed error
}

func (l *loudspeaker) Sound(s station.Sounding) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = s
}

func (l *loudspeaker) Test(context.Context) error { return l.failed }

func (l *loudspeaker) State() station.SoundState { return l.state }

func (l *loudspeaker) calling() station.Sounding {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.calls
}

// The gravest unanswered alarm is called out, the longest waiting first, until it
// is answered; what is minor, late or answered is not.
func TestWhatIsCalledOut(t *testing.T) {
	speaker := &loudspeaker{}
	r := responding(t, &outbox{}, func(_ *agent.Config, d *agent.Deps) { d.Loudspeaker = speaker })
	for _, id := range []string{"door", "hot", "smoke", "late"} {
		r.addSensor(id, station.ClassSmoke)
	}
	r.run()
	r.report("door", station.KindDoor, true)
	r.report("late", station.KindSmoke, true, func(rep *station.Report) { rep.Late = true; rep.DeviceTime = r.clock.now().Add(-time.Hour) })
	r.report("hot", station.KindTemperature, true)
	until(t, "the major one", func() bool { return speaker.calling().Severity == station.SeverityMajor })
	r.clock.add(time.Second)
	r.report("smoke", station.KindSmoke, true)
	until(t, "the critical one", func() bool { return speaker.calling().Severity == station.SeverityCritical })
	for _, al := range r.live() {
		if al.Sensor == "smoke" {
			if got := speaker.calling(); got.Alarm != al.ID || !got.Since.Equal(al.RaisedAt) {
				t.Errorf("%+v", got)
			}
			r.must(r.answer(al.ID, station.AnswerReceived))
		}
	}
	until(t, "the major one again", func() bool { return speaker.calling().Severity == station.SeverityMajor })
	r.report("hot", station.KindTemperature, false)
	until(t, "silence", func() bool { return speaker.calling() == station.Sounding{} })
}

// A missing or muted output is an alarm of its own, on a machine that has had one
// or must have one; it ends when the output is back, across restarts.
func TestMissingSoundIsAnAlarm(t *testing.T) {
	dir := t.TempDir()
	changed := func(r *rig, state string, required bool) (kinds []station.AlarmKind) {
		r.t.Helper()
		if err := r.SoundChanged(context.Background(), station.SoundState{State: state, Device: "default", Cause: "no such device"}, required); err != nil {
			r.t.Fatal(err)
		}
		for _, al := range r.live() {
			if al.Severity != station.SeverityMajor || al.Sensor != "" {
				r.t.Errorf("%+v", al)
			}
			kinds = append(kinds, al.Kind)
		}
		return kinds
	}
	lamp := func(r *rig) string { l := r.SoundLamp(); return l.Code + " " + string(l.State) }
	t.Run("never had one", func(t *testing.T) {
		speaker := &loudspeaker{state: station.SoundState{State: station.SoundMissing}}
		r := newRigOn(t, dir, nil, func(_ *agent.Config, d *agent.Deps) { d.Loudspeaker = speaker })
		if k := changed(r, station.SoundMissing, false); len(k) != 0 {
			t.Error(k)
		}
		if got := lamp(r); got != "sound.missing off" {
			t.Error(got)
		}
		if k := changed(r, station.SoundMissing, true); len(k) != 1 {
			t.Error("required, missing, and no alarm")
		}
		if k := changed(r, station.SoundOK, true); len(k) != 0 {
			t.Error(k)
		}
	})
	t.Run("had one", func(t *testing.T) {
		speaker := &loudspeaker{state: station.SoundState{State: station.SoundMissing}}
		r := newRigOn(t, dir, nil, func(_ *agent.Config, d *agent.Deps) { d.Loudspeaker = speaker })
		for range 2 { // told twice, raised once
			if k := changed(r, station.SoundMissing, false); len(k) != 1 || k[0] != station.KindSound {
				t.Error(k)
			}
		}
		if got := lamp(r); got != "sound.missing bad" {
			t.Error(got)
		}
		if k := changed(r, station.SoundMuted, false); len(k) != 1 {
			t.Error(k)
		}
		if k := changed(r, station.SoundOK, false); len(k) != 0 {
			t.Error(k)
		}
		if k := changed(r, station.SoundMuted, false); len(k) != 1 {
			t.Error(k)
		}
		speaker.state.State = station.SoundMuted
		if got := lamp(r); got != "sound.muted bad" {
			t.Error(got)
		}
		if k := changed(r, station.SoundOff, false); len(k) != 0 {
			t.Error("switched off on purpose, and an alarm")
		}
	})
}
