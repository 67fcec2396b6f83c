package agent

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"stationd/agent/account"
	"stationd/agent/station"
	"stationd/agent/store"
)

// What an officer of a centre orders a station to do. The order is stored and goes to
// the station until its receipt comes or its time is over, across restarts of both
// (asked_run.go); the station carries it out once, however often it comes. Both ends
// write into their audit who ordered it and what came of it. It is a fact when the
// station's own events say so.

// instruction is a command that can be given to stations.
type instruction struct {
	// permission is what the officer needs here.
	permission station.Permission
	// camera tells that the subject is a camera of the station.
	camera bool
	// keep is how long it is sent where nobody says so.
	keep time.Duration
}

var instructions = map[string]instruction{
	station.CommandAnswerAlarm:  {permission: station.PermAnswer, keep: time.Hour},
	station.CommandRecordClip:   {permission: station.PermVideo, camera: true, keep: 24 * time.Hour},
	station.CommandPutCard:      {permission: station.PermConfigure, keep: 7 * 24 * time.Hour},
	station.CommandPutSchedule:  {permission: station.PermConfigure, keep: 7 * 24 * time.Hour},
	station.CommandPutMode:      {permission: station.PermAnswer, keep: 10 * time.Minute},
	station.CommandPutBroadcast: {permission: station.PermAnswer, keep: 24 * time.Hour},
}

const (
	longestInstruction = 30 * 24 * time.Hour
	// maxInstructions bounds those that wait; keepInstructions how many are kept that
	// do not.
	maxInstructions  = 1000
	keepInstructions = 1000
	maxInstructBody  = 64 << 10
)

func prepareInstruct(a *Agent, cmd station.Command) (plan, error) {
	o, err := decodeBody[station.InstructOrder](cmd)
	if err != nil {
		return plan{}, err
	}
	kind, known := instructions[o.Type]
	keep := kind.keep
	if o.Minutes != 0 {
		keep = time.Duration(o.Minutes) * time.Minute
	}
	switch {
	case a.orderBelow == nil:
		return plan{}, station.Errorf(http.StatusConflict, "push.none", "do it at the centre", "no stations are below this node")
	case !known:
		return plan{}, station.Errorf(http.StatusBadRequest, "order.unknown", "use one that the API document names", "stations cannot be ordered to do %q", o.Type).At("type")
	case len(o.Nodes) == 0 && !o.All:
		return plan{}, invalid("nodes", "choose stations, or all", "no station is chosen")
	case kind.camera && (o.All || len(o.Nodes) != 1):
		return plan{}, invalid("nodes", "choose the one station whose camera it is", "a camera belongs to one station")
	case keep <= 0 || keep > longestInstruction:
		return plan{}, invalid("minutes", "use up to 43200", "the order cannot be kept for %d minutes", o.Minutes)
	case len(o.Body) > maxInstructBody || len(o.Subject) > 128:
		return plan{}, invalid("body", "send at most 64 KiB", "the order is too large")
	case cmd.Actor.Role == account.RoleDisplay:
		return plan{}, station.Errorf(http.StatusForbidden, "access.denied", "sign in with an account of your own", "nobody in particular sits before a display")
	}
	resource := "node"
	if kind.camera {
		o.Subject = strings.TrimPrefix(o.Subject, string(o.Nodes[0])+".")
		resource = "camera/" + Qualify(o.Nodes[0], o.Subject)
	}
	if err := a.Authorize(cmd.Actor, kind.permission, resource); err != nil {
		return plan{}, err
	}
	if o.Subject == "" && o.Type == station.CommandPutBroadcast {
		o.Subject = station.NewID()
	}
	detail := o.Type + " " + o.Subject
	return plan{subject: "node", detail: detail, lane: station.LaneUrgent, after: a.wakeAsked, apply: func(tx *store.Tx) (any, error) {
		nodes := o.Nodes
		if o.All {
			var err error
			if nodes, err = children(tx); err != nil {
				return nil, err
			}
		}
		if err := makeRoomForInstructions(tx, len(nodes)); err != nil {
			return nil, err
		}
		now := a.now()
		out := []station.Instruction{}
		for _, node := range nodes {
			if _, known, err := store.Get[station.Node](tx, key(nodeTable, string(node))); err != nil || !known {
				if err == nil {
					err = invalid("nodes", "choose stations of the list", "there is no station %q", node)
				}
				return nil, err
			}
			x := station.Instruction{
				ID: station.NewID(), Node: node, Type: o.Type, Subject: o.Subject, Body: o.Body, Class: fromAbove[o.Type],
				By: cmd.Actor.Account, Name: cmd.Actor.Name, At: now, Until: now.Add(keep), State: station.AskedWaiting, StateAt: now,
			}
			if err := store.Put(tx, key(orderingTable, x.ID), x.ID); err != nil {
				return nil, err
			}
			if err := putInstruction(tx, x); err != nil {
				return nil, err
			}
			out = append(out, x)
		}
		return out, nil
	}}, nil
}

// children are the nodes that are directly below this one.
func children(tx *store.Tx) (nodes []station.NodeID, err error) {
	err = store.Each(tx, nodeTable, func(_ store.Key, n station.Node) error {
		nodes = append(nodes, n.ID)
		return nil
	})
	return nodes, err
}

func putInstruction(tx *store.Tx, x station.Instruction) error {
	if err := store.Put(tx, key(orderedTable, x.ID), x); err != nil {
		return err
	}
	return appendEvent(tx, station.LaneNormal, station.EventInstruction, "node/"+string(x.Node), x.By, x.StateAt, x)
}

// makeRoomForInstructions forgets the oldest that are settled, and refuses what would
// make too many wait.
func makeRoomForInstructions(tx *store.Tx, more int) error {
	waiting := 0
	var settled []store.Key
	err := store.Each(tx, orderedTable, func(k store.Key, x station.Instruction) error {
		if x.State == station.AskedWaiting {
			waiting++
		} else {
			settled = append(settled, k)
		}
		return nil
	})
	if err == nil && waiting+more > maxInstructions {
		err = station.Errorf(http.StatusConflict, "order.many", "wait until stations have answered", "%d orders wait for receipts", waiting)
	}
	for _, k := range settled[:max(0, len(settled)-keepInstructions)] {
		if err == nil {
			err = tx.Delete(k)
		}
	}
	return err
}

// wantedInstructions are the orders that can be sent now. Those whose time is over are
// given up.
func (a *Agent) wantedInstructions(ctx context.Context, wanted map[store.Key]wish) error {
	var late []station.Instruction
	now := a.now()
	err := a.store.View(func(tx *store.Tx) error {
		return store.Each(tx, orderingTable, func(k store.Key, id string) error {
			x, known, err := store.Get[station.Instruction](tx, key(orderedTable, id))
			if err != nil || !known || x.State != station.AskedWaiting {
				return err
			}
			if !x.Until.After(now) {
				late = append(late, x)
				return nil
			}
			n, _, err := store.Get[station.Node](tx, key(nodeTable, string(x.Node)))
			if n.Online && a.orderBelow != nil {
				wanted[k] = wish{command: x.ID, send: func(ctx context.Context) { a.sendInstruction(ctx, x) }}
			}
			return err
		})
	})
	for _, x := range late {
		if err == nil {
			err = a.settleInstruction(ctx, x, station.AskedExpired, station.Receipt{})
		}
	}
	return err
}

// sendInstruction sends one order and notes the receipt. Who orders travels as a name
// to be shown: there, it has a node's rights and no other.
func (a *Agent) sendInstruction(ctx context.Context, x station.Instruction) {
	receipt, err := a.orderBelow(ctx, x.Node, station.Command{
		ID: x.ID, Type: x.Type, Subject: x.Subject, Issued: x.At, Expires: x.Until, Body: x.Body,
		Actor: station.Actor{Account: x.By, Name: strings.TrimSpace(a.cfg.Name + " " + x.Name), Role: account.RoleNode},
	})
	if err == nil {
		switch p := receipt.Problem; {
		case p == nil:
			err = a.settleInstruction(ctx, x, station.AskedDone, receipt)
		case p.Status == http.StatusGone:
			err = a.settleInstruction(ctx, x, station.AskedExpired, receipt)
		case p.Status >= 500 && p.Status != http.StatusNotImplemented:
			err = p
		default:
			err = a.settleInstruction(ctx, x, station.AskedRefused, receipt)
		}
	}
	if err != nil && ctx.Err() == nil {
		a.log.Warn("a station has not confirmed an order", "node", x.Node, "type", x.Type, "err", err)
		sleep(ctx, askAgain)
	}
}

// settleInstruction notes what became of an order.
func (a *Agent) settleInstruction(ctx context.Context, x station.Instruction, state station.AskedState, r station.Receipt) error {
	return a.store.Update(ctx, station.LaneUrgent, func(tx *store.Tx) error {
		last, known, err := store.Get[station.Instruction](tx, key(orderedTable, x.ID))
		if err != nil || !known || last.State != station.AskedWaiting {
			return err
		}
		now := a.now()
		last.State, last.StateAt, last.Problem, last.Result = state, now, r.Problem, r.Result
		if err := tx.Delete(key(orderingTable, x.ID)); err != nil {
			return err
		}
		if err := putInstruction(tx, last); err != nil {
			return err
		}
		row := station.Audit{At: now, Actor: station.System(), Action: station.CommandInstruct, Subject: "node/" + string(x.Node), Result: "ok", Detail: "for " + x.By + ": " + x.Type + " " + x.Subject}
		switch state {
		case station.AskedExpired:
			row.Result, row.Detail = "command.expired", row.Detail+": not confirmed in time"
		case station.AskedRefused:
			row.Result, row.Detail = r.Problem.Code, row.Detail+": "+r.Problem.Message
		case station.AskedWaiting, station.AskedDone:
		}
		return appendAudit(tx, row)
	})
}

// Instructions lists orders, newest first, of one station or of all.
func (a *Agent) Instructions(node station.NodeID, limit int) (list []station.Instruction, err error) {
	list = []station.Instruction{}
	err = a.store.View(func(tx *store.Tx) error {
		return store.EachReverse(tx, orderedTable, func(_ store.Key, x station.Instruction) error {
			if node != "" && x.Node != node {
				return nil
			}
			if list = append(list, x); len(list) == limit {
				return store.ErrStop
			}
			return nil
		})
	})
	return list, err
}

type instructionList struct {
	Orders []station.Instruction `json:"orders"`
}

func (a *Agent) instructRoutes() []station.Route {
	const path = "/api/v1/station-orders"
	return []station.Route{
		{Pattern: "GET " + path, Permission: station.PermAnswer, Resource: "node", Summary: "What stations were ordered to do, newest first, and what came of it", Reply: instructionList{}, Params: []station.Param{
			{Name: "node", In: "query", Type: "string", Summary: "of this station only"}, limitParam,
		}, Handler: station.Handler(func(w http.ResponseWriter, r *http.Request) error {
			limit, err := limitOf(r)
			if err != nil {
				return err
			}
			v, err := a.Instructions(station.NodeID(r.URL.Query().Get("node")), limit)
			if err != nil {
				return err
			}
			v = slices.DeleteFunc(v, func(x station.Instruction) bool {
				return instructions[x.Type].camera && a.Authorize(station.ActorFrom(r.Context()), station.PermWatch, "camera/"+Qualify(x.Node, x.Subject)) != nil
			})
			return station.WriteJSON(w, http.StatusOK, instructionList{v})
		})},
		{Pattern: "POST " + path, Permission: station.PermAnswer, Resource: "node", Summary: "Order stations to do something; it goes to them when they can be reached, until its time is over", Status: http.StatusAccepted, Body: station.InstructOrder{}, Reply: instructionList{}, Params: commandParams, Handler: station.Handler(a.postInstruction)},
		{Pattern: "GET /api/v1/parent-policy", Permission: station.PermWatch, Summary: "What this station does not take from above", Reply: station.ParentPolicy{}, Handler: list(a.ParentPolicy, func(p station.ParentPolicy) any { return p })},
		{Pattern: "PUT /api/v1/parent-policy", Permission: station.PermConfigure, Resource: "parent-policy", Summary: "Say which classes of orders are not taken from above", Body: station.ParentPolicy{}, Reply: station.ParentPolicy{}, Params: commandParams, Handler: a.order(station.CommandPutParentPolicy)},
		{Pattern: "POST /api/v1/cameras/{id}/clips", Permission: station.PermVideo, Resource: "camera/{id}", Summary: "Have a piece of the record made a clip, which the centre gets too", Body: station.RecordOrder{}, Reply: station.Clip{}, Params: commandParams, Handler: a.order(station.CommandRecordClip)},
	}
}

func (a *Agent) postInstruction(w http.ResponseWriter, r *http.Request) error {
	var body json.RawMessage
	if err := station.ReadJSON(w, r, &body); err != nil {
		return err
	}
	rows := []station.Instruction{}
	if err := a.command(r, station.CommandInstruct, "", body, &rows); err != nil {
		return err
	}
	return station.WriteJSON(w, http.StatusAccepted, instructionList{rows})
}
