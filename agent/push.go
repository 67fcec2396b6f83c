package agent

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"stationd/agent/account"
	"stationd/agent/station"
	"stationd/agent/store"
)

// A centre gives its rule templates to its stations. For each template and station
// one row is kept: what is wished, and what the station has said. The wish is sent
// until its receipt comes, however long the station is away and whoever restarts;
// it has no time at which it is given up, because rules do not grow old. A newer
// wish takes the place of an older one.

// maxOver bounds the words by which a station names what it has.
const maxOver = 120

// pushAll is what every station is to have, those too that come later.
type pushAll struct {
	Template string `json:"template"`
	Version  int    `json:"version"`
	By       string `json:"by"`
	Name     string `json:"name"`
	Note     string `json:"note,omitempty"`
}

func pushKey(template string, node station.NodeID) store.Key {
	return key(pushTable, template, string(node))
}

func pushingKey(template string, node station.NodeID) store.Key {
	return key(pushingTable, template, string(node))
}

func preparePushTemplate(a *Agent, cmd station.Command) (plan, error) {
	body, err := decodeBody[station.PushOrder](cmd)
	if err != nil {
		return plan{}, err
	}
	body.Note = strings.TrimSpace(body.Note)
	switch {
	case a.orderBelow == nil:
		return plan{}, station.Errorf(http.StatusConflict, "push.none", "do it at the centre", "no stations are below this node")
	case len(body.Nodes) == 0 && !body.All:
		return plan{}, invalid("nodes", "choose stations, or all", "no station is chosen")
	case body.Over != "" && (body.All || len(body.Nodes) != 1 || len(body.Over) > maxOver):
		return plan{}, invalid("over", "decide for each station by itself", "what a station has can be overwritten at that station alone")
	}
	if err := checkText("note", body.Note, 500); err != nil {
		return plan{}, err
	}
	detail := fmt.Sprintf("to %d stations", len(body.Nodes))
	if body.All {
		detail = "to all stations"
	}
	if body.Withdraw {
		detail = "taken back: " + detail
	}
	if body.Over != "" {
		detail += ", over " + body.Over
	}
	return plan{subject: "rule-template/" + cmd.Subject, detail: detail, lane: station.LaneNormal, after: a.wakeAsked, apply: func(tx *store.Tx) (any, error) {
		t, err := lastTemplate(tx, cmd.Subject)
		if err != nil {
			return nil, err
		}
		if t.Version == 0 || t.Removed && !body.Withdraw {
			return nil, station.ErrNotFound.At("rule-template/" + cmd.Subject)
		}
		nodes := body.Nodes
		if body.All {
			var err error
			if nodes, err = children(tx); err != nil {
				return nil, err
			}
			if err := a.putPushAll(tx, t, body, cmd.Actor); err != nil {
				return nil, err
			}
		}
		rows := []station.TemplatePush{}
		for _, node := range nodes {
			if _, known, err := store.Get[station.Node](tx, key(nodeTable, string(node))); err != nil || !known {
				if err == nil {
					err = invalid("nodes", "choose stations of the list", "there is no station %q", node)
				}
				return nil, err
			}
			row, err := a.wishPush(tx, t, node, body, cmd.Actor)
			if err != nil {
				return nil, err
			}
			rows = append(rows, row)
		}
		return rows, nil
	}}, nil
}

// putPushAll keeps what stations get that come later.
func (a *Agent) putPushAll(tx *store.Tx, t station.RuleTemplate, o station.PushOrder, who station.Actor) error {
	k := key(pushAllTable, t.ID)
	if o.Withdraw {
		return tx.Delete(k)
	}
	return store.Put(tx, k, pushAll{Template: t.ID, Version: t.Version, By: who.Account, Name: who.Name, Note: o.Note})
}

// wishPush notes that a station is to have t, or to have it no more.
func (a *Agent) wishPush(tx *store.Tx, t station.RuleTemplate, node station.NodeID, o station.PushOrder, who station.Actor) (station.TemplatePush, error) {
	k := pushKey(t.ID, node)
	row, known, err := store.Get[station.TemplatePush](tx, k)
	if err != nil {
		return row, err
	}
	same := known && row.Version == t.Version && row.Withdraw == o.Withdraw && row.Over == o.Over
	if same && (row.State == station.PushWaiting || row.State == station.PushDone && row.Local == nil) {
		return row, nil
	}
	now := a.now()
	row = station.TemplatePush{
		Template: t.ID, Class: t.Class, Node: node, Version: t.Version, Withdraw: o.Withdraw, Over: o.Over,
		Command: station.NewID(), By: who.Account, Name: who.Name, Note: o.Note, At: now, State: station.PushWaiting, StateAt: now,
		Accepted: row.Accepted, AcceptedAt: row.AcceptedAt, Local: row.Local,
	}
	if err := store.Put(tx, pushingKey(t.ID, node), t.ID); err != nil {
		return row, err
	}
	return row, putPush(tx, row, who.Account)
}

func putPush(tx *store.Tx, row station.TemplatePush, actor string) error {
	if err := store.Put(tx, pushKey(row.Template, row.Node), row); err != nil {
		return err
	}
	return appendEvent(tx, station.LaneNormal, station.EventSetupChanged, "rule-push/"+row.Template, actor, row.StateAt, row)
}

// lastTemplate is the newest version of a template, removed ones too; the zero
// template where there has never been one.
func lastTemplate(tx *store.Tx, id string) (t station.RuleTemplate, err error) {
	err = store.Each(tx, key(oldTemplateTable, id)+"/", func(_ store.Key, v station.RuleTemplate) error {
		if v.Version > t.Version {
			t = v
		}
		return nil
	})
	return t, err
}

// pushesOf are the rows of one template.
func pushesOf(tx *store.Tx, template string) (rows []station.TemplatePush, err error) {
	err = store.Each(tx, key(pushTable, template)+"/", func(_ store.Key, x station.TemplatePush) error {
		rows = append(rows, x)
		return nil
	})
	return rows, err
}

// withdrawAll takes a template that was removed here back from every station that
// has it or may have it.
func (a *Agent) withdrawAll(tx *store.Tx, t station.RuleTemplate, who station.Actor) error {
	if err := tx.Delete(key(pushAllTable, t.ID)); err != nil {
		return err
	}
	rows, err := pushesOf(tx, t.ID)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if row.Withdraw || row.Accepted == 0 && row.State == station.PushRefused {
			continue
		}
		if _, err := a.wishPush(tx, t, row.Node, station.PushOrder{Withdraw: true}, who); err != nil {
			return err
		}
	}
	return nil
}

// pushToNewcomer gives a station that came what every station is to have.
func (a *Agent) pushToNewcomer(tx *store.Tx, node station.NodeID) error {
	if a.orderBelow == nil {
		return nil
	}
	return store.Each(tx, pushAllTable, func(_ store.Key, all pushAll) error {
		if _, known, err := store.Get[station.TemplatePush](tx, pushKey(all.Template, node)); err != nil || known {
			return err
		}
		t, err := templateVersion(tx, all.Template, all.Version)
		if err != nil || t.Version == 0 {
			return err
		}
		_, err = a.wishPush(tx, t, node, station.PushOrder{Note: all.Note}, station.Actor{Account: all.By, Name: all.Name})
		return err
	})
}

// pushAgain sends what a station has once more: its store began a new life, perhaps
// from a backup or on an empty disk, and what it holds is not known.
func (a *Agent) pushAgain(tx *store.Tx, node station.NodeID) error {
	var rows []station.TemplatePush
	err := store.Each(tx, pushTable, func(_ store.Key, x station.TemplatePush) error {
		if x.Node == node && x.State == station.PushDone && !x.Withdraw && x.Local == nil {
			rows = append(rows, x)
		}
		return nil
	})
	for _, x := range rows {
		if err != nil {
			return err
		}
		x.Command, x.State, x.StateAt, x.Over = station.NewID(), station.PushWaiting, a.now(), ""
		if err = store.Put(tx, pushingKey(x.Template, node), x.Template); err == nil {
			err = putPush(tx, x, "")
		}
	}
	return err
}

// templateVersion is a version as it was made.
func templateVersion(tx *store.Tx, id string, version int) (station.RuleTemplate, error) {
	t, _, err := store.Get[station.RuleTemplate](tx, key(oldTemplateTable, id, strconv.Itoa(version)))
	return t, err
}

// wantedPushes are the wishes that can be sent now.
func (a *Agent) wantedPushes(wanted map[store.Key]wish) error {
	if a.orderBelow == nil {
		return nil
	}
	return a.store.View(func(tx *store.Tx) error {
		return store.Each(tx, pushingTable, func(k store.Key, _ string) error {
			x, known, err := store.Get[station.TemplatePush](tx, pushTable+k[len(pushingTable):])
			if err != nil || !known || x.State != station.PushWaiting {
				return err
			}
			n, _, err := store.Get[station.Node](tx, key(nodeTable, string(x.Node)))
			if n.Online {
				wanted[k] = wish{command: x.Command, patient: true, send: func(ctx context.Context) { a.sendPush(ctx, x) }}
			}
			return err
		})
	})
}

// pushCommand is the command that goes to the station.
func (a *Agent) pushCommand(x station.TemplatePush) (cmd station.Command, err error) {
	o := station.TakeTemplateOrder{Withdraw: x.Withdraw, Over: x.Over, By: x.By, Note: x.Note}
	err = a.store.View(func(tx *store.Tx) error {
		o.Template, err = templateVersion(tx, x.Template, x.Version)
		return err
	})
	if err != nil {
		return cmd, err
	}
	o.Template.From = nil // what is above us is not its affair
	cmd = station.Command{
		ID: x.Command, Type: station.CommandTakeTemplate, Subject: x.Template, Issued: x.At,
		Actor: station.Actor{Account: x.By, Name: strings.TrimSpace(a.cfg.Name + " " + x.Name), Role: account.RoleNode},
	}
	cmd.Body, err = marshalResult(o)
	return cmd, err
}

func (a *Agent) sendPush(ctx context.Context, x station.TemplatePush) {
	cmd, err := a.pushCommand(x)
	var receipt station.Receipt
	if err == nil {
		receipt, err = a.orderBelow(ctx, x.Node, cmd)
	}
	if err == nil {
		switch p := receipt.Problem; {
		case p == nil:
			err = a.settlePush(ctx, x, nil)
		case p.Status >= 500 && p.Status != http.StatusNotImplemented:
			err = p
		default:
			err = a.settlePush(ctx, x, p)
		}
	}
	if err != nil && ctx.Err() == nil {
		a.log.Warn("a station has not said what it does with a rule template", "node", x.Node, "template", x.Template, "err", err)
		sleep(ctx, askAgain)
	}
}

// settlePush notes what a station has said, unless another wish has taken this
// one's place.
func (a *Agent) settlePush(ctx context.Context, x station.TemplatePush, problem *station.Problem) error {
	return a.store.Update(ctx, station.LaneNormal, func(tx *store.Tx) error {
		now := a.now()
		last, known, err := store.Get[station.TemplatePush](tx, pushKey(x.Template, x.Node))
		if err != nil || !known || last.Command != x.Command || last.State != station.PushWaiting {
			return err
		}
		last.State, last.StateAt, last.Problem = station.PushDone, now, problem
		row := station.Audit{At: now, Actor: station.System(), Action: station.CommandPushTemplate, Subject: "rule-template/" + x.Template, Result: "ok", Detail: fmt.Sprintf("for %s: %s has version %d", x.By, x.Node, x.Version)}
		switch {
		case problem != nil:
			last.State = station.PushRefused
			row.Result, row.Detail = problem.Code, fmt.Sprintf("for %s: %s: %s", x.By, x.Node, problem.Message)
		case x.Withdraw:
			last.Accepted, last.AcceptedAt, last.Local = 0, now, nil
			row.Detail = fmt.Sprintf("for %s: %s has it no more", x.By, x.Node)
		default:
			last.Accepted, last.AcceptedAt, last.Local = x.Version, now, nil
		}
		if err := tx.Delete(pushingKey(x.Template, x.Node)); err != nil {
			return err
		}
		if err := putPush(tx, last, x.By); err != nil {
			return err
		}
		return appendAudit(tx, row)
	})
}

// templateChanged notes what a child says about its own templates: what its people
// have put in the place of one that it was given.
func (c childTx) templateChanged(t station.RuleTemplate) error {
	return store.Each(c.tx, pushTable, func(_ store.Key, row station.TemplatePush) error {
		if row.Node != c.node || row.Class != t.Class {
			return nil
		}
		local := &station.LocalTemplate{Version: t.Version, Name: t.ByName, At: t.At, Removed: t.Removed}
		if t.From != nil {
			local = nil
		} else if row.Accepted == 0 {
			return nil // it never had ours
		}
		if local == nil && row.Local == nil {
			return nil
		}
		row.Local = local
		return store.Put(c.tx, pushKey(row.Template, row.Node), row)
	})
}

// pushList is what a centre's page shows of a template.
type pushList struct {
	Pushes []station.TemplatePush `json:"pushes"`
	// All tells that stations which come later get it too.
	All bool `json:"all"`
}

func (a *Agent) getPushes(w http.ResponseWriter, r *http.Request) error {
	v := pushList{Pushes: []station.TemplatePush{}}
	id := r.PathValue("id")
	err := a.store.View(func(tx *store.Tx) error {
		rows, err := pushesOf(tx, id)
		if err != nil {
			return err
		}
		v.Pushes = append(v.Pushes, rows...)
		_, v.All, err = store.Get[pushAll](tx, key(pushAllTable, id))
		return err
	})
	if err != nil {
		return err
	}
	slices.SortFunc(v.Pushes, func(x, y station.TemplatePush) int { return strings.Compare(string(x.Node), string(y.Node)) })
	return station.WriteJSON(w, http.StatusOK, v)
}

func (a *Agent) postPush(w http.ResponseWriter, r *http.Request) error {
	var body station.PushOrder
	if err := station.ReadJSON(w, r, &body); err != nil {
		return err
	}
	rows := []station.TemplatePush{}
	if err := a.command(r, station.CommandPushTemplate, r.PathValue("id"), body, &rows); err != nil {
		return err
	}
	return station.WriteJSON(w, http.StatusAccepted, pushList{Pushes: rows, All: body.All && !body.Withdraw})
}
