package alarm_test

import (
	"testing"
	"time"

	"stationd/agent/alarm"
	"stationd/agent/station"
)

// Somebody said yesterday that they had heard of the smoke. The detector fell
// silent, and nobody judged it. Smoke of today is news all the same.
func TestWhatComesAgainAfterItWasAnsweredIsNews(t *testing.T) {
	p := newPoint(station.KindSmoke, station.Timing{})
	p.signal(true)
	p.answer(station.AnswerReceived)
	p.wait(time.Minute)
	p.signal(false)
	p.wait(10 * time.Second)
	p.signal(true) // it flickers: those who are on their way know
	if p.State() != alarm.Acked || p.enters != 1 {
		t.Fatalf("%s after a flicker, entered %d times", p.State(), p.enters)
	}
	p.signal(false)
	p.wait(24 * time.Hour)
	p.signal(true)
	if p.State() != alarm.Unacked || p.enters != 2 || len(p.all) != 1 {
		t.Fatalf("%s after a day, entered %d times, %d alarms", p.State(), p.enters, len(p.all))
	}
	p.answer(station.AnswerReceived)
	if p.State() != alarm.Acked {
		t.Fatalf("%s after the second answer", p.State())
	}
	p.signal(false)
	p.answer(station.AnswerReal)
	if p.State() != alarm.Normal {
		t.Fatalf("%s after it was judged", p.State())
	}
}

// Old news and what a broker has kept are no second fire.
func TestOldNewsDoesNotComeAgain(t *testing.T) {
	for name, m := range map[string]alarm.Marks{"late": {Late: true}, "known": {Retained: true, Known: true}} {
		p := newPoint(station.KindSmoke, station.Timing{})
		p.signal(true)
		p.answer(station.AnswerReceived)
		p.signal(false)
		p.wait(24 * time.Hour)
		p.marks = m
		p.signal(true)
		if p.enters != 1 {
			t.Errorf("%s: entered %d times", name, p.enters)
		}
	}
}

// An alarm of a trial lives until it is judged. A fire after the trial must not
// be counted in it as a part of the trial.
func TestAFireAfterATrialIsNoTrial(t *testing.T) {
	for name, answer := range map[string]station.AnswerKind{"nobody answered": "", "received": station.AnswerReceived} {
		t.Run(name, func(t *testing.T) {
			p := newPoint(station.KindSmoke, station.Timing{})
			p.marks.Test = true
			p.signal(true)
			if answer != "" {
				p.answer(answer)
			}
			p.signal(false)
			p.marks.Test = false
			p.signal(true)
			if p.Alarm.Test || p.State() != alarm.Unacked || p.enters != 2 {
				t.Errorf("test %v, %s, entered %d times", p.Alarm.Test, p.State(), p.enters)
			}
		})
	}
	p := newPoint(station.KindSmoke, station.Timing{})
	p.marks.Test = true
	p.signal(true)
	p.answer(station.AnswerTest)
	p.marks.Test = false
	p.signal(true) // there is still smoke in the chamber, and somebody has said why
	if !p.Alarm.Test || p.enters != 1 {
		t.Errorf("the rest of a trial: test %v, entered %d times", p.Alarm.Test, p.enters)
	}
	p.signal(false)
	if p.State() != alarm.Normal {
		t.Errorf("%s after a trial that was judged", p.State())
	}
}
