package station_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"stationd/agent/station"
)

// Every way to end an alarm, and every way not to.
func TestSettle(t *testing.T) {
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	answers := func(kinds ...station.AnswerKind) (out []station.Answer) {
		for _, k := range kinds {
			out = append(out, station.Answer{Kind: k})
		}
		return out
	}
	for _, c := range []struct {
		kind    station.AlarmKind
		ended   bool
		answers []station.Answer
		want    station.AlarmState
	}{
		{station.KindSmoke, false, nil, station.StateRaised},
		{station.KindSmoke, false, answers(station.AnswerReceived), station.StateAcknowledged},
		{station.KindSmoke, false, answers(station.AnswerFalse), station.StateAcknowledged},
		{station.KindSmoke, true, nil, station.StateRaised},
		{station.KindSmoke, true, answers(station.AnswerReceived, station.AnswerCalled), station.StateAcknowledged},
		{station.KindSmoke, true, answers(station.AnswerReceived, station.AnswerTest), station.StateCleared},
		{station.KindSmoke, true, []station.Answer{{Kind: station.AnswerReal, Undone: true}}, station.StateRaised},
		{station.KindDoor, false, nil, station.StateRaised},
		{station.KindDoor, false, answers(station.AnswerCalled), station.StateAcknowledged},
		{station.KindDoor, true, nil, station.StateCleared},
	} {
		a := station.Alarm{Kind: c.kind, Answers: c.answers}
		if c.ended {
			a.ReturnedAt = at
		}
		a.Settle(at)
		if a.State != c.want || a.Live() != (c.want != station.StateCleared) || a.ClearedAt.IsZero() == (c.want == station.StateCleared) {
			t.Errorf("%s ended %v %v: %s, want %s", c.kind, c.ended, c.answers, a.State, c.want)
		}
	}
}

// A secret shows itself to nobody who does not ask for it by name.
func TestSecretIsMasked(t *testing.T) {
	order := station.CameraOrder{Password: "Sehr-Geheim"}
	b, err := json.Marshal(order)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "password", order.Password, "order", order)
	for _, text := range []string{string(b), log.String(), fmt.Sprint(order), fmt.Sprintf("%v %+v %#v %s %q", order, order, order.Password, order.Password, order.Password)} {
		if strings.Contains(text, "Geheim") {
			t.Errorf("shown in %s", text)
		}
	}
	var back station.CameraOrder
	if err := json.Unmarshal([]byte(`{"password":"neu"}`), &back); err != nil || back.Password.Reveal() != "neu" {
		t.Error(back.Password.Reveal(), err)
	}
	if err := json.Unmarshal(b, &back); err != nil || !back.Password.Unchanged() {
		t.Error("what is shown does not come back as unchanged")
	}
}

func TestIDsAreOrderedByTime(t *testing.T) {
	var ids []string
	for range 5 {
		ids = append(ids, station.NewID())
		time.Sleep(2 * time.Millisecond) // they are ordered by the millisecond
	}
	if !slices.IsSorted(ids) || len(slices.Compact(ids)) != 5 || ids[0][14] != '7' {
		t.Error(ids)
	}
}

func TestNodeID(t *testing.T) {
	for id, good := range map[station.NodeID]bool{"village-1": true, "": false, "Village": false, "a/b": false, "a.b": false, "村": false, station.NodeID(strings.Repeat("x", 64)): false} {
		if err := id.Validate(); (err == nil) != good {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestProblems(t *testing.T) {
	cause := errors.New("cause")
	p := station.ErrNoSpace.At("video").Because(cause)
	if !errors.Is(p, station.ErrNoSpace) || !errors.Is(p, cause) || errors.Is(p, station.ErrNotFound) {
		t.Error(p)
	}
	if station.ErrNoSpace.Place != "" {
		t.Error("a copy changed the original")
	}
	joined := station.Under("store", errors.Join(station.Errorf(400, "a", "", "x").At("space.low"), errors.Join(station.Errorf(400, "b", "", "y"))))
	places := []string{}
	for _, e := range station.Faults(joined) {
		p, _ := station.AsProblem(e)
		places = append(places, p.Place)
	}
	if strings.Join(places, " ") != "store.space.low store" {
		t.Error(places)
	}
}
