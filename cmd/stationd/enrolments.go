package main

import (
	"context"

	"stationd/agent"
	"stationd/agent/station"
	"stationd/uplink/pki"
	"stationd/uplink/protocol"
)

// The centre's end of an enrolment: the core decides who may come in, the authority
// signs.

// doorkeeper is what a centre's core needs so that stations can be enrolled; nil at
// one whose certificates come from elsewhere, or that has no HTTPS port.
func (n *node) doorkeeper() *agent.Doorkeeper {
	own := ownAuthority(n.cfg.Data)
	if !n.cfg.Centre.Enabled() || n.cfg.Centre.ClipsListen == "" || n.cfg.Centre.Certificate != own.server().Certificate {
		return nil
	}
	return &agent.Doorkeeper{
		Draw: func() (code, secret string, err error) {
			a, err := pki.Open(own.dir())
			if err != nil {
				return "", "", err
			}
			c := protocol.NewClaimCode(a.PublicKey())
			return c.String(), c.Secret(), nil
		},
		Addresses: n.centreAddresses,
		Recheck: func() {
			if n.centre != nil {
				n.centre.Recheck()
			}
		},
	}
}

// enrolments is the centre's door, by the core's word and the authority's hand.
type enrolments struct {
	agent     *agent.Agent
	authority *pki.Authority
}

func (e enrolments) Authority() []byte { return e.authority.Certificate() }

func (e enrolments) Admit(node station.NodeID, serial string) error {
	return e.agent.AdmitNode(node, serial)
}

func (e enrolments) Enter(ctx context.Context, node station.NodeID, serial string) error {
	return e.agent.NodeEnters(ctx, node, serial)
}

func (e enrolments) sign(request []byte) func(station.NodeID) (agent.SignedCertificate, error) {
	return func(node station.NodeID) (agent.SignedCertificate, error) {
		s, err := e.authority.SignNode(request, node)
		return agent.SignedCertificate{Certificate: string(s.Certificate), Serial: s.Serial, Expires: s.Expires}, err
	}
}

func (e enrolments) Redeem(ctx context.Context, from string, o protocol.Enrolment) (protocol.Enrolled, error) {
	key, err := pki.RequestKey([]byte(o.Request))
	if err != nil {
		return protocol.Enrolled{}, err
	}
	node, certificate, expires, err := e.agent.RedeemCode(ctx, o.Code, o.Node, key, from, e.sign([]byte(o.Request)))
	return protocol.Enrolled{Node: node, ParentName: e.agent.Name(), Certificate: certificate, Expires: expires}, err
}

func (e enrolments) Renew(ctx context.Context, node station.NodeID, serial string, request []byte) (protocol.Enrolled, error) {
	s, err := e.agent.RenewCertificate(ctx, node, serial, e.sign(request))
	return protocol.Enrolled{Node: node, ParentName: e.agent.Name(), Certificate: s.Certificate, Expires: s.Expires}, err
}
