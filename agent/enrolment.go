package agent

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"stationd/agent/account"
	"stationd/agent/station"
	"stationd/agent/store"
)

// Who may come in below: a centre's operator makes a code for a named station, the
// station comes with it once, and has a certificate from then on. The code itself is
// kept by its digest alone. What the certificates are is for the wiring to know;
// here they are serial numbers, and whether each is good.

const (
	// codeLife is how long a code can be used that does not say.
	codeLife = 24 * time.Hour
	maxHours = 168
	// keepCodes is how long it is told what became of a code.
	keepCodes = 30 * 24 * time.Hour
	// maxCertificates bounds what is remembered of one station.
	maxCertificates = 8
)

// usedCode is a code that was made, by its digest.
type usedCode struct {
	Node    station.NodeID    `json:"node"`
	State   station.CodeState `json:"state"`
	Expires time.Time         `json:"expires"`
	// Key is the print of the key by which it was used, Certificate what was
	// answered: an answer that was lost on the line is given again, to that key alone.
	Key         string `json:"key,omitempty"`
	Certificate string `json:"certificate,omitempty"`
}

// Doorkeeper is what the wiring gives a centre so that stations can be enrolled.
type Doorkeeper struct {
	// Draw makes a code: what is shown, and the secret in it.
	Draw func() (code, secret string, err error)
	// Addresses are where stations find this centre.
	Addresses func() []string
	// Recheck has the open connections looked at again.
	Recheck func()
}

// SignedCertificate is a certificate that was just signed.
type SignedCertificate struct {
	Certificate, Serial string
	Expires             time.Time
}

var (
	errCodeUnknown   = station.Problem{Code: "enrol.code-unknown", Status: http.StatusForbidden, Message: "this centre does not know the code", Hint: "compare it letter by letter, and ask whether it was made at this centre"}
	errCodeUsed      = station.Problem{Code: "enrol.code-used", Status: http.StatusConflict, Message: "the code was used already, by another computer", Hint: "if that was not you, have the station revoked at the centre; ask for a new code"}
	errCodeExpired   = station.Problem{Code: "enrol.code-expired", Status: http.StatusGone, Message: "the time of the code is over", Hint: "ask the centre for a new one"}
	errCodeWithdrawn = station.Problem{Code: "enrol.code-withdrawn", Status: http.StatusGone, Message: "the centre has withdrawn the code", Hint: "ask the centre for a new one"}
	errShutOut       = station.Problem{Code: "enrol.revoked", Status: http.StatusForbidden, Message: "this certificate was revoked", Hint: "ask the centre for a new code if the station may come again"}
)

func (a *Agent) noDoor() error {
	if a.door == nil {
		return station.Errorf(http.StatusConflict, "enrol.none", "do it at the centre; a centre needs centre.listen and centre.clips_listen", "no stations are let in here")
	}
	return nil
}

func prepareMakeEnrolment(a *Agent, cmd station.Command) (plan, error) {
	if err := a.noDoor(); err != nil {
		return plan{}, err
	}
	o, err := decodeBody[station.EnrolmentOrder](cmd)
	if err != nil {
		return plan{}, err
	}
	node := station.NodeID(cmd.Subject)
	if err := node.Validate(); err != nil {
		return plan{}, invalid("node", "use a-z, 0-9 and '-', at most 63", "%v", err)
	}
	o.Name = strings.TrimSpace(o.Name)
	if err := checkText("name", o.Name, 120); err != nil {
		return plan{}, err
	}
	life := codeLife
	if o.Hours != 0 {
		life = time.Duration(o.Hours) * time.Hour
	}
	switch {
	case o.Hours < 0 || o.Hours > maxHours:
		return plan{}, invalid("hours", fmt.Sprintf("use 1 to %d", maxHours), "a code cannot live for %d hours", o.Hours)
	case node == a.store.Node():
		return plan{}, invalid("node", "name the station", "this is the centre itself")
	}
	code, secret, err := a.door.Draw()
	if err != nil {
		return plan{}, err
	}
	now := a.now()
	ticket := station.EnrolmentTicket{Node: node, Addresses: a.door.Addresses(), Expires: now.Add(life)}
	shown := ticket
	shown.Code = code
	return plan{subject: "enrolment/" + string(node), detail: fmt.Sprintf("for %s", life), lane: station.LaneNormal, kept: ticket, apply: func(tx *store.Tx) (any, error) {
		if err := a.forgetCodes(tx, node, now); err != nil {
			return nil, err
		}
		err := store.Put(tx, key(codeTable, account.Digest(secret)), usedCode{Node: node, State: station.CodeWaiting, Expires: ticket.Expires})
		if err != nil {
			return nil, err
		}
		return shown, a.changeEnrolment(tx, node, cmd.Actor.Account, func(e *station.Enrolment) {
			if o.Name != "" {
				e.Name = o.Name
			}
			e.Code = station.EnrolmentCode{State: station.CodeWaiting, By: cmd.Actor.Account, ByName: cmd.Actor.Name, MadeAt: now, Expires: ticket.Expires}
		})
	}}, nil
}

func prepareWithdrawEnrolment(a *Agent, cmd station.Command) (plan, error) {
	if err := a.noDoor(); err != nil {
		return plan{}, err
	}
	node := station.NodeID(cmd.Subject)
	return plan{subject: "enrolment/" + cmd.Subject, lane: station.LaneUrgent, apply: func(tx *store.Tx) (any, error) {
		e, known, err := store.Get[station.Enrolment](tx, key(enrolmentTable, string(node)))
		if err != nil {
			return nil, err
		}
		if !known || codeState(e.Code, a.now()) != station.CodeWaiting {
			return nil, station.Errorf(http.StatusConflict, "enrol.no-code", "look at the list again", "the station has no code that could be used")
		}
		if err := a.endCodes(tx, node); err != nil {
			return nil, err
		}
		return nil, a.changeEnrolment(tx, node, cmd.Actor.Account, func(e *station.Enrolment) { e.Code.State = station.CodeWithdrawn })
	}}, nil
}

func prepareRevokeEnrolment(a *Agent, cmd station.Command) (plan, error) {
	if err := a.noDoor(); err != nil {
		return plan{}, err
	}
	o, err := decodeBody[station.RevocationOrder](cmd)
	if err != nil {
		return plan{}, err
	}
	o.Why = strings.TrimSpace(o.Why)
	if o.Why == "" {
		return plan{}, invalid("why", "say in a few words why the station is shut out", "there is no reason")
	}
	if err := checkText("why", o.Why, 200); err != nil {
		return plan{}, err
	}
	node := station.NodeID(cmd.Subject)
	recheck := func() error { a.door.Recheck(); return nil }
	return plan{subject: "enrolment/" + cmd.Subject, detail: o.Why, lane: station.LaneUrgent, after: recheck, apply: func(tx *store.Tx) (any, error) {
		_, enrolled, err := store.Get[station.Enrolment](tx, key(enrolmentTable, string(node)))
		if err != nil {
			return nil, err
		}
		_, seen, err := store.Get[station.Node](tx, key(nodeTable, string(node)))
		if err != nil {
			return nil, err
		}
		if !enrolled && !seen {
			return nil, station.ErrNotFound.At("enrolment/" + cmd.Subject)
		}
		if err := a.endCodes(tx, node); err != nil {
			return nil, err
		}
		now := a.now()
		return nil, a.changeEnrolment(tx, node, cmd.Actor.Account, func(e *station.Enrolment) {
			e.EnrolledOnly, e.ClosedAt, e.ClosedBy, e.ClosedWhy = true, now, cmd.Actor.Account, o.Why
			if e.Code.State == station.CodeWaiting {
				e.Code.State = station.CodeWithdrawn
			}
			revokeBefore(e, len(e.Certificates), now, "revoked")
		})
	}}, nil
}

// revokeBefore revokes what is good among the first n certificates.
func revokeBefore(e *station.Enrolment, n int, now time.Time, why string) {
	for i := range e.Certificates[:n] {
		if c := &e.Certificates[i]; c.RevokedAt.IsZero() {
			c.RevokedAt, c.RevokedWhy = now, why
		}
	}
}

// changeEnrolment stores what change makes of a station's row, and tells of it.
func (a *Agent) changeEnrolment(tx *store.Tx, node station.NodeID, actor string, change func(*station.Enrolment)) error {
	k := key(enrolmentTable, string(node))
	e, _, err := store.Get[station.Enrolment](tx, k)
	if err != nil {
		return err
	}
	e.Node = node
	change(&e)
	if n := len(e.Certificates) - maxCertificates; n > 0 {
		e.Certificates = e.Certificates[n:] // what is not in the list is no good
		e.EnrolledOnly = true
	}
	if err := store.Put(tx, k, e); err != nil {
		return err
	}
	return appendEvent(tx, station.LaneNormal, station.EventSetupChanged, "enrolment/"+string(node), actor, a.now(), e)
}

// forgetCodes ends the station's earlier codes, and forgets those of all stations
// whose time is long over.
func (a *Agent) forgetCodes(tx *store.Tx, node station.NodeID, now time.Time) error {
	if err := a.endCodes(tx, node); err != nil {
		return err
	}
	var gone []store.Key
	err := store.Each(tx, codeTable, func(k store.Key, c usedCode) error {
		if now.Sub(c.Expires) > keepCodes {
			gone = append(gone, k)
		}
		return nil
	})
	for _, k := range gone {
		if err == nil {
			err = tx.Delete(k)
		}
	}
	return err
}

// endCodes makes a station's codes useless.
func (a *Agent) endCodes(tx *store.Tx, node station.NodeID) error {
	ended := map[store.Key]usedCode{}
	err := store.Each(tx, codeTable, func(k store.Key, c usedCode) error {
		if c.Node == node && (c.State == station.CodeWaiting || c.Certificate != "") {
			ended[k] = c
		}
		return nil
	})
	for k, c := range ended {
		if c.State == station.CodeWaiting {
			c.State = station.CodeWithdrawn
		}
		c.Certificate = "" // a used one is not answered again either
		if err == nil {
			err = store.Put(tx, k, c)
		}
	}
	return err
}

// RedeemCode uses a code up: the key with that print has a certificate of the
// station for which the code was made. box is who the station is already, empty for
// one that takes any name. The same key may come again with the same code until the
// code's time is over, and gets the same certificate.
func (a *Agent) RedeemCode(ctx context.Context, secret string, box station.NodeID, keyPrint, address string, sign func(station.NodeID) (SignedCertificate, error)) (node station.NodeID, certificate string, expires time.Time, err error) {
	if err := a.noDoor(); err != nil {
		return "", "", expires, err
	}
	if err := a.codes.allow(address); err != nil {
		return "", "", expires, err
	}
	k := key(codeTable, account.Digest(secret))
	subject := "enrolment"
	err = a.store.Update(ctx, station.LaneUrgent, func(tx *store.Tx) error {
		c, known, err := store.Get[usedCode](tx, k)
		if err != nil {
			return err
		}
		now := a.now()
		if known {
			node, subject = c.Node, "enrolment/"+string(c.Node)
		}
		switch {
		case !known:
			return &errCodeUnknown
		case c.State == station.CodeWithdrawn:
			return &errCodeWithdrawn
		case c.State == station.CodeUsed && (c.Key != keyPrint || c.Certificate == ""):
			return &errCodeUsed
		case now.After(c.Expires):
			return &errCodeExpired
		case box != "" && box != c.Node:
			return station.Errorf(http.StatusConflict, "enrol.other-node", "ask for a code for "+string(box)+", or begin with an empty data directory", "the code is for %s, and this station is %s", c.Node, box).
				With(map[string]string{"node": string(c.Node), "box": string(box)})
		case c.State == station.CodeUsed:
			certificate = c.Certificate
			return nil
		}
		signed, err := sign(c.Node)
		if err != nil {
			return err
		}
		certificate, expires = signed.Certificate, signed.Expires
		c.State, c.Key, c.Certificate = station.CodeUsed, keyPrint, certificate
		if err := store.Put(tx, k, c); err != nil {
			return err
		}
		if err := a.changeEnrolment(tx, c.Node, "", func(e *station.Enrolment) {
			e.Code.State, e.Code.UsedAt, e.Code.UsedFrom = station.CodeUsed, now, address
			e.Certificates = append(e.Certificates, station.NodeCertificate{Serial: signed.Serial, Issued: now, Expires: signed.Expires})
		}); err != nil {
			return err
		}
		return appendAudit(tx, station.Audit{At: now, Actor: station.Actor{Account: "node:" + string(c.Node), Address: address}, Action: "enrolment.use", Subject: subject, Result: "ok", Detail: "certificate " + signed.Serial})
	})
	if err != nil && ctx.Err() != nil {
		return "", "", time.Time{}, err // it may still be running
	}
	if err != nil {
		a.Refused(ctx, station.Actor{Address: address}, "enrolment.use", subject, err)
		return "", "", expires, err
	}
	return node, certificate, expires, nil
}

// RenewCertificate gives a station that came with one good certificate its next.
func (a *Agent) RenewCertificate(ctx context.Context, node station.NodeID, serial string, sign func(station.NodeID) (SignedCertificate, error)) (signed SignedCertificate, err error) {
	err = a.store.Update(ctx, station.LaneUrgent, func(tx *store.Tx) error {
		e, _, err := store.Get[station.Enrolment](tx, key(enrolmentTable, string(node)))
		if err != nil {
			return err
		}
		if !good(e, serial) {
			return &errShutOut
		}
		if signed, err = sign(node); err != nil {
			return err
		}
		now := a.now()
		if err := a.changeEnrolment(tx, node, "", func(e *station.Enrolment) {
			e.Certificates = append(e.Certificates, station.NodeCertificate{Serial: signed.Serial, Issued: now, Expires: signed.Expires, Renewal: true})
		}); err != nil {
			return err
		}
		return appendAudit(tx, station.Audit{At: now, Actor: station.Actor{Account: "node:" + string(node)}, Action: "enrolment.renew", Subject: "enrolment/" + string(node), Result: "ok", Detail: "certificate " + signed.Serial})
	})
	if err != nil {
		return SignedCertificate{}, err // it may still be running
	}
	return signed, nil
}

// good tells whether a certificate of the station is let in.
func good(e station.Enrolment, serial string) bool {
	for _, c := range e.Certificates {
		if c.Serial == serial {
			return c.RevokedAt.IsZero()
		}
	}
	return !e.EnrolledOnly
}

// AdmitNode tells whether a station with that certificate may come in.
func (a *Agent) AdmitNode(node station.NodeID, serial string) error {
	_, err := a.admitNode(node, serial)
	return err
}

// admitNode also tells whether the certificate was never used yet.
func (a *Agent) admitNode(node station.NodeID, serial string) (fresh bool, err error) {
	err = a.store.View(func(tx *store.Tx) error {
		e, known, err := store.Get[station.Enrolment](tx, key(enrolmentTable, string(node)))
		if err != nil || !known {
			return err
		}
		if !good(e, serial) {
			return &errShutOut
		}
		for _, c := range e.Certificates {
			fresh = fresh || c.Serial == serial && c.UsedAt.IsZero()
		}
		return nil
	})
	return fresh, err
}

// NodeEnters is AdmitNode for a station that has proven to hold the certificate's
// key. The first use of a certificate that came by a code ends all earlier ones: the
// station has a new computer.
func (a *Agent) NodeEnters(ctx context.Context, node station.NodeID, serial string) error {
	fresh, err := a.admitNode(node, serial)
	if err != nil || !fresh {
		return err
	}
	if err := a.noteFirstUse(ctx, node, serial); err != nil {
		// It is noted at the next connection: a station is not kept out for it.
		a.log.Error("the first use of a certificate is not noted", "node", node, "err", err)
	}
	return nil
}

func (a *Agent) noteFirstUse(ctx context.Context, node station.NodeID, serial string) error {
	replaced := false
	err := a.store.Update(ctx, station.LaneUrgent, func(tx *store.Tx) error {
		replaced = false
		return a.changeEnrolment(tx, node, "", func(e *station.Enrolment) {
			for i := range e.Certificates {
				c := &e.Certificates[i]
				if c.Serial != serial || !c.UsedAt.IsZero() || !c.RevokedAt.IsZero() {
					continue
				}
				c.UsedAt = a.now()
				if !c.Renewal {
					replaced = true
					revokeBefore(e, i, c.UsedAt, "replaced")
					e.EnrolledOnly, e.ClosedAt, e.ClosedBy, e.ClosedWhy = true, time.Time{}, "", ""
				}
			}
		})
	})
	if err == nil && replaced && a.door != nil {
		a.door.Recheck()
	}
	return err
}

func codeState(c station.EnrolmentCode, now time.Time) station.CodeState {
	if c.State == station.CodeWaiting && now.After(c.Expires) {
		return station.CodeExpired
	}
	return c.State
}

// Enrolments lists the stations that have a code or came by one.
func (a *Agent) Enrolments() ([]station.Enrolment, error) {
	list, err := all[station.Enrolment](a, enrolmentTable)
	for i := range list {
		list[i].Code.State = codeState(list[i].Code, a.now())
	}
	return list, err
}

type enrolmentList struct {
	Enrolments []station.Enrolment `json:"enrolments"`
	// Addresses are where stations find this centre.
	Addresses []string `json:"addresses"`
}

func (a *Agent) enrolmentRoutes() []station.Route {
	if a.door == nil {
		return nil
	}
	const one = "/api/v1/enrolments/{id}"
	read := func(v []station.Enrolment) any { return enrolmentList{v, a.door.Addresses()} }
	return []station.Route{
		{Pattern: "GET /api/v1/enrolments", Permission: station.PermAccounts, Summary: "List how stations may come in: codes and certificates", Reply: enrolmentList{}, Handler: list(a.Enrolments, read)},
		{Pattern: "POST " + one + "/code", Permission: station.PermAccounts, Resource: "enrolment/{id}", Summary: "Make a code with which the named station can enrol, once; the code is shown this once", Body: station.EnrolmentOrder{}, Reply: station.EnrolmentTicket{}, Params: commandParams, Handler: a.order(station.CommandMakeEnrolment)},
		{Pattern: "DELETE " + one + "/code", Permission: station.PermAccounts, Resource: "enrolment/{id}", Summary: "Withdraw a code that was not used", Status: http.StatusNoContent, Params: commandParams, Handler: a.remove(station.CommandWithdrawEnrolment)},
		{Pattern: "POST " + one + "/revocation", Permission: station.PermAccounts, Resource: "enrolment/{id}", Summary: "Shut a station out: its certificates are revoked and its connections cut", Status: http.StatusNoContent, Body: station.RevocationOrder{}, Params: commandParams, Handler: a.revoke()},
	}
}

func (a *Agent) revoke() http.Handler {
	return station.Handler(func(w http.ResponseWriter, r *http.Request) error {
		var body station.RevocationOrder
		if err := station.ReadJSON(w, r, &body); err != nil {
			return err
		}
		if err := a.command(r, station.CommandRevokeEnrolment, r.PathValue("id"), body, nil); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	})
}

// Bare tells whether nothing is set up here that bears the node's name: it may still
// take another.
func (a *Agent) Bare() (bare bool, err error) {
	bare = true
	err = a.store.View(func(tx *store.Tx) error {
		for _, table := range []store.Key{sensorTable, cameraTable, nodeTable, enrolmentTable} {
			err := store.Each(tx, table, func(store.Key, struct{}) error { bare = false; return store.ErrStop })
			if err != nil {
				return err
			}
		}
		return nil
	})
	return bare, err
}
