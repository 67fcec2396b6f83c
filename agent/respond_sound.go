package agent

import (
	"context"
	"net/http"
	"time"

	"stationd/agent/station"
	"stationd/agent/store"
)

// The station's own loudspeaker: what it is to call, and an alarm when it cannot.

// Loudspeaker sounds on the node's own audio output; devices/sound implements it.
type Loudspeaker interface {
	// Sound says what is to be called from now on; the zero Sounding is silence.
	// It does not block.
	Sound(station.Sounding)
	// Test plays a short tone, and reports why it could not.
	Test(ctx context.Context) error
	// State is what is known of the output.
	State() station.SoundState
}

// handedLoud bounds how long a centre calls for an alarm that a child has handed
// over: it cannot be answered here.
const handedLoud = 5 * time.Minute

// callOut tells the loudspeaker what to call.
func (a *Agent) callOut() {
	if a.loudspeaker == nil {
		return
	}
	var loudest station.Sounding
	err := a.store.View(func(tx *store.Tx) error {
		return store.Each(tx, liveTable, func(_ store.Key, id string) error {
			alarm, ok, err := store.Get[station.Alarm](tx, key(alarmTable, id))
			if err != nil || !ok {
				return err
			}
			ours, since, err := a.ours(tx, alarm)
			if err != nil || !ours {
				return err
			}
			if s := sounding(alarm, since); louder(s, loudest) {
				loudest = s
			}
			return nil
		})
	})
	if err != nil {
		a.log.Error("what is to be called is not known", "err", err)
		return
	}
	a.loudspeaker.Sound(loudest)
}

// ours tells whether an alarm is this node's to call out, and since when: its
// own, or one that a child has just handed over.
func (a *Agent) ours(tx *store.Tx, alarm station.Alarm) (bool, time.Time, error) {
	if alarm.Node == a.store.Node() {
		return true, alarm.RaisedAt, nil
	}
	if alarm.Answered() || !alarm.CentreTakenAt.IsZero() || alarm.TakenBy != nil {
		return false, time.Time{}, nil
	}
	resp, _, err := store.Get[station.Response](tx, key(responseTable, alarm.ID))
	if err != nil || !resp.Parent {
		return false, time.Time{}, err
	}
	for _, t := range resp.Tellings {
		if t.Kind == station.TellingParent && a.now().Sub(t.At).Abs() < handedLoud {
			return true, t.At, nil
		}
	}
	return false, time.Time{}, nil
}

// sounding is how an alarm calls: not at all when it was answered, is late or
// hidden, or is about the loudspeaker itself, and never worse than major when it
// is only a test.
func sounding(al station.Alarm, since time.Time) station.Sounding {
	if al.Answered() || al.Late || al.Shelf != nil || al.Suppressed != "" || al.Severity == station.SeverityMinor || al.Kind == station.KindSound {
		return station.Sounding{}
	}
	s := station.Sounding{Alarm: al.ID, Severity: al.Severity, Since: since}
	if al.Test {
		s.Severity = station.SeverityMajor
	}
	return s
}

// louder orders by severity, then the longest waiting.
func louder(x, y station.Sounding) bool {
	if d := loudness(x.Severity) - loudness(y.Severity); d != 0 {
		return d > 0
	}
	return x.Alarm != "" && x.Since.Before(y.Since)
}

func loudness(s station.Severity) int {
	switch s {
	case station.SeverityCritical:
		return 2
	case station.SeverityMajor:
		return 1
	}
	return 0
}

// keptSound is what the node remembers of its sound output.
type keptSound struct {
	Had   bool      `json:"had"` // it has had one
	State string    `json:"state"`
	Since time.Time `json:"since"`
}

// SoundChanged notes how the sound output is, raises the alarm when it is gone or
// muted, and ends it when it is back. A machine that has never had one is left in
// peace unless required.
func (a *Agent) SoundChanged(ctx context.Context, st station.SoundState, required bool) error {
	now := a.now()
	return a.store.Update(ctx, station.LaneUrgent, func(tx *store.Tx) error {
		kept, _, err := store.Get[keptSound](tx, soundKey)
		if err != nil {
			return err
		}
		was := kept
		kept.Had = kept.Had || st.State == station.SoundOK || st.State == station.SoundMuted
		if kept.State != st.State {
			kept.State, kept.Since = st.State, now
		}
		if kept != was {
			if err := store.Put(tx, soundKey, kept); err != nil {
				return err
			}
		}
		if st.State == station.SoundOK || st.State == station.SoundOff || !kept.Had && !required {
			return a.endOwnAlarm(tx, station.KindSound, now)
		}
		return a.ownAlarm(tx, station.KindSound, "", now, map[string]station.Value{"state": st.State, "device": st.Device, "cause": st.Cause})
	})
}

// SoundState is how the sound output is. Needed tells that its absence matters.
func (a *Agent) SoundState() (station.SoundState, error) {
	if a.loudspeaker == nil {
		return station.SoundState{State: station.SoundOff}, nil
	}
	st := a.loudspeaker.State()
	err := a.store.View(func(tx *store.Tx) error {
		kept, _, err := store.Get[keptSound](tx, soundKey)
		st.Needed = st.Needed || kept.Had
		if kept.State == st.State {
			st.Since = kept.Since
		}
		return err
	})
	return st, err
}

// SoundLamp is the lamp of the sound output.
func (a *Agent) SoundLamp() station.Lamp {
	st, err := a.SoundState()
	l := station.Lamp{ID: "loudspeaker", State: station.LampOK, Code: "sound." + st.State, Args: map[string]any{"device": st.Device}}
	switch {
	case err != nil:
		l.State, l.Code = station.LampWarn, "sound.missing"
	case st.State == station.SoundOff || st.State == station.SoundMissing && !st.Needed:
		l.State = station.LampOff
	case st.State != station.SoundOK:
		l.State = station.LampBad
	}
	if l.State != station.LampOK {
		l.Hint = "sound.check"
	}
	return l
}

func prepareTestSound(a *Agent, _ station.Command) (plan, error) {
	if a.loudspeaker == nil {
		return plan{}, station.Errorf(http.StatusConflict, "sound.off", "switch it on in the configuration", "this node has no sound")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	if err := a.loudspeaker.Test(ctx); err != nil {
		return plan{}, err
	}
	return plan{subject: "sound", lane: station.LaneNormal, apply: func(*store.Tx) (any, error) { return a.loudspeaker.State(), nil }}, nil
}
