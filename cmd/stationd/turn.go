package main

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"stationd/agent/station"
	"stationd/uplink/protocol"
)

// Turning a station's camera from its centre. The order goes down as a command that
// lives for seconds; the station turns the camera as for its own people, and stops it
// when no further order comes: a line that breaks leaves nothing turning.

const (
	// turnLife is how long an order to turn is good for, and waited for.
	turnLife = 3 * time.Second
	// turnWithin is how long the station's camera may take for one.
	turnWithin = 2500 * time.Millisecond
	// turnPause is after how long a further order is another movement, of which the
	// audit tells.
	turnPause = 2 * time.Second
	// mostTurns bounds what is remembered of movements.
	mostTurns = 1000
)

// turns remembers movements: who last ordered one from here, and how new the last
// order from above was.
type turns struct {
	mu      sync.Mutex
	ordered map[string]time.Time // by camera and account
	taken   map[string]time.Time // by camera, by the parent's clock
}

// news tells whether an order begins a movement.
func (t *turns) news(key string, now time.Time, stops bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ordered == nil || len(t.ordered) >= mostTurns {
		t.ordered = map[string]time.Time{}
	}
	last := t.ordered[key]
	if stops {
		delete(t.ordered, key)
		return false
	}
	t.ordered[key] = now
	return now.Sub(last).Abs() > turnPause
}

// inOrder tells whether nothing newer was taken: what is sent again after the camera
// was stopped must not turn it.
func (t *turns) inOrder(camera string, issued time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.taken == nil || len(t.taken) >= mostTurns {
		t.taken = map[string]time.Time{}
	}
	if last := t.taken[camera]; issued.Before(last) && last.Sub(issued) < time.Minute {
		return false // further back the parent's clock was set
	}
	t.taken[camera] = issued
	return true
}

// turnBelow has a station turn its camera; false where the camera is no station's
// that is directly below.
func (n *node) turnBelow(ctx context.Context, camera string, o station.TurnOrder, who station.Actor) (report station.TurnReport, below bool, err error) {
	at, ok := (*n.remotes.Load())[camera]
	if !ok || n.centre == nil {
		return report, false, nil
	}
	own := strings.TrimPrefix(camera, string(at)+".")
	body, err := json.Marshal(o)
	if err != nil {
		return report, true, err
	}
	now := time.Now()
	cmd := station.Command{
		ID: station.NewID(), Type: station.CommandTurnCamera, Subject: own, Issued: now, Expires: now.Add(turnLife), Body: body,
		Actor: station.Actor{Account: who.Account, Name: strings.TrimSpace(n.cfg.Station.Name + " " + who.Name), Role: parent.Role},
	}
	receipt, err := n.order(ctx, at, cmd)
	switch {
	case errors.Is(err, protocol.ErrExpired):
		return report, true, station.Errorf(504, "ptz.away", "look whether its line is up; the camera stops by itself", "the station %s has not answered in time", at)
	case err != nil:
		return report, true, err
	case receipt.Problem != nil:
		return report, true, receipt.Problem
	}
	if len(receipt.Result) > 0 {
		if err := json.Unmarshal(receipt.Result, &report); err != nil {
			return report, true, err
		}
	}
	still := o.Pan == 0 && o.Tilt == 0 && o.Zoom == 0
	switch {
	case o.Look:
	case o.Preset != "":
		err = n.agent.Done(ctx, who, "camera.preset.goto", "camera/"+camera, o.Preset)
	case n.turning.news(camera+"\x00"+who.Account, now, still):
		err = n.agent.Done(ctx, who, "camera.move", "camera/"+camera, "")
	}
	return report, true, err
}

// turnForParent turns a camera of this node for the parent, if that may see it.
func (n *node) turnForParent(ctx context.Context, cmd station.Command) station.Receipt {
	report, err := n.turnOwn(ctx, cmd)
	r := station.Receipt{Command: cmd.ID, At: time.Now()}
	if err == nil {
		r.Result, err = json.Marshal(report)
	}
	if err == nil {
		return r
	}
	var known bool
	if r.Problem, known = station.OneProblem(err); !known {
		n.log.Warn("a camera was not turned for the parent", "camera", cmd.Subject, "err", err)
		r.Problem = station.Errorf(500, "internal", "try again; if it stays, look into the station's log", "the camera was not turned")
	}
	n.agent.Refused(ctx, cmd.Actor, cmd.Type, "camera/"+cmd.Subject, r.Problem)
	return r
}

func (n *node) turnOwn(ctx context.Context, cmd station.Command) (report station.TurnReport, err error) {
	if err := n.agent.TakesFromParent(station.ClassTurn); err != nil {
		return report, err
	}
	if err := n.agent.Authorize(cmd.Actor, station.PermNode, "camera/"+cmd.Subject); err != nil {
		return report, err
	}
	var o station.TurnOrder
	if err := json.Unmarshal(cmd.Body, &o); err != nil {
		return report, station.Errorf(400, "command.body", "give an order to turn as the body", "the body cannot be read")
	}
	if !o.Look && !n.turning.inOrder(cmd.Subject, cmd.Issued) {
		return report, station.Errorf(409, "command.overtaken", "", "a newer order has been carried out")
	}
	ctx, cancel := context.WithTimeout(ctx, turnWithin)
	defer cancel()
	report, err = n.onvif.Turn(ctx, cmd.Subject, o, cmd.Actor)
	if errors.Is(err, context.DeadlineExceeded) {
		err = station.Errorf(504, "ptz.slow", "look whether the camera is there", "the camera has not answered in time")
	}
	return report, err
}
