package uplinktest

import (
	"context"
	"sync"

	"stationd/agent/station"
	"stationd/uplink/pki"
	"stationd/uplink/protocol"
)

// Enrolments are a centre's codes and revocations in memory.
type Enrolments struct {
	// Lose, when set, is asked after a code was used; its error is what the station
	// gets in the place of its certificate.
	Lose func() error

	authority *pki.Authority
	mu        sync.Mutex
	codes     map[string]station.NodeID // by secret
	used      map[string]string         // secret → print of the key
	revoked   map[string]bool           // by serial
}

// NewEnrolments are those of w's authority; w lets nobody in any other way from then
// on.
func (w *World) NewEnrolments() *Enrolments {
	e := &Enrolments{authority: w.Authority, codes: map[string]station.NodeID{}, used: map[string]string{}, revoked: map[string]bool{}}
	w.Enrolments = e
	return e
}

// Code makes a code for node.
func (e *Enrolments) Code(node station.NodeID) protocol.ClaimCode {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := protocol.NewClaimCode(e.authority.PublicKey())
	e.codes[c.Secret()] = node
	return c
}

// Revoke shuts a certificate out.
func (e *Enrolments) Revoke(serial string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.revoked[serial] = true
}

func (e *Enrolments) Authority() []byte { return e.authority.Certificate() }

func (e *Enrolments) Redeem(_ context.Context, _ string, o protocol.Enrolment) (protocol.Enrolled, error) {
	key, err := pki.RequestKey([]byte(o.Request))
	if err != nil {
		return protocol.Enrolled{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	node, known := e.codes[o.Code]
	by, used := e.used[o.Code]
	switch {
	case !known:
		return protocol.Enrolled{}, station.Errorf(403, "enrol.code-unknown", "ask again", "the code is not known")
	case used && by != key:
		return protocol.Enrolled{}, station.Errorf(409, "enrol.code-used", "ask again", "the code was used")
	case o.Node != "" && o.Node != node:
		return protocol.Enrolled{}, station.Errorf(409, "enrol.other-node", "ask again", "the code is another's")
	}
	e.used[o.Code] = key
	s, err := e.authority.SignNode([]byte(o.Request), node)
	if err == nil && e.Lose != nil {
		err = e.Lose()
	}
	return protocol.Enrolled{Node: node, ParentName: "中心", Certificate: string(s.Certificate), Expires: s.Expires}, err
}

func (e *Enrolments) Renew(_ context.Context, node station.NodeID, _ string, request []byte) (protocol.Enrolled, error) {
	s, err := e.authority.SignNode(request, node)
	return protocol.Enrolled{Node: node, Certificate: string(s.Certificate), Expires: s.Expires}, err
}

func (e *Enrolments) Enter(_ context.Context, node station.NodeID, serial string) error {
	return e.Admit(node, serial)
}

func (e *Enrolments) Admit(_ station.NodeID, serial string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.revoked[serial] {
		return station.Errorf(403, "enrol.revoked", "ask for a code", "the certificate was revoked")
	}
	return nil
}
