package agent_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"stationd/agent"
	"stationd/agent/station"
)

// gate is a centre's core, whose authority numbers what it signs.
type gate struct {
	*rig
	rechecked atomic.Int32
	drawn     int
}

func newGate(t *testing.T) *gate {
	g := &gate{}
	g.rig = newRig(t, func(_ *agent.Config, d *agent.Deps) {
		d.Door = &agent.Doorkeeper{
			Draw: func() (string, string, error) {
				g.drawn++
				s := fmt.Sprintf("secret-%d", g.drawn)
				return "CODE-" + s, s, nil
			},
			Addresses: func() []string { return []string{"centre:8884"} },
			Recheck:   func() { g.rechecked.Add(1) },
		}
	})
	return g
}

func (g *gate) code(node string) string {
	g.t.Helper()
	var ticket station.EnrolmentTicket
	if err := json.Unmarshal(g.must(g.do(station.CommandMakeEnrolment, node, station.EnrolmentOrder{Name: "村"})).Result, &ticket); err != nil || ticket.Code == "" {
		g.t.Fatal(ticket, err)
	}
	return strings.TrimPrefix(ticket.Code, "CODE-")
}

func (g *gate) redeem(secret, box, key, from, serial string) (station.NodeID, string, error) {
	node, certificate, _, err := g.RedeemCode(context.Background(), secret, station.NodeID(box), key, from, func(station.NodeID) (agent.SignedCertificate, error) {
		return agent.SignedCertificate{Certificate: "certificate " + serial, Serial: serial, Expires: g.clock.now().Add(time.Hour)}, nil
	})
	return node, certificate, err
}

func problemCode(err error) string {
	if p, ok := station.AsProblem(err); ok {
		return p.Code
	}
	return fmt.Sprint(err)
}

// A code works once, for the station that it was made for, within its time; the key
// that used it may hear its answer again, and no other.
func TestEnrolmentCodeWorksOnce(t *testing.T) {
	g := newGate(t)
	secret := g.code("village-7")
	try := func(what, want, secret, box, key string) {
		t.Helper()
		_, _, err := g.redeem(secret, box, key, "10.0.0."+what, "s-"+what)
		if got := problemCode(err); got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	try("1", "enrol.code-unknown", "another", "", "k1")
	try("2", "enrol.other-node", secret, "village-8", "k1")
	if node, cert, err := g.redeem(secret, "village-7", "k1", "10.0.0.3", "s1"); err != nil || node != "village-7" || cert != "certificate s1" {
		t.Fatalf("%s %q %v", node, cert, err)
	}
	if _, cert, err := g.redeem(secret, "", "k1", "10.0.0.3", "s2"); err != nil || cert != "certificate s1" {
		t.Errorf("an answer that was lost is not given again: %q %v", cert, err)
	}
	try("4", "enrol.code-used", secret, "", "k2")

	late := g.code("village-7")
	try("5", "enrol.code-used", secret, "", "k1") // a newer code ends what the older may still do
	g.clock.add(25 * time.Hour)
	try("6", "enrol.code-expired", late, "", "k3")
	withdrawn := g.code("village-7")
	g.must(g.do(station.CommandWithdrawEnrolment, "village-7", nil))
	try("7", "enrol.code-withdrawn", withdrawn, "", "k3")
	first := g.code("village-7")
	g.code("village-7")
	try("8", "enrol.code-withdrawn", first, "", "k3")

	list, err := g.Enrolments()
	if err != nil || len(list) != 1 || list[0].Code.State != station.CodeWaiting || len(list[0].Certificates) != 1 {
		t.Errorf("%+v %v", list, err)
	}
	for _, s := range []string{secret, late, withdrawn, first} {
		if file := grep(t, g.dir, s); file != "" {
			t.Errorf("%s lies in %s", s, file)
		}
	}
}

// Whoever guesses is told to wait long before the guesses could matter, and nobody
// else is.
func TestEnrolmentCodesCannotBeGuessed(t *testing.T) {
	g := newGate(t)
	secret := g.code("village-7")
	refused := map[string]int{}
	for i := range 100 {
		_, _, err := g.redeem(fmt.Sprintf("guess-%d", i), "", "k", "10.9.9.9", "s")
		refused[problemCode(err)]++
	}
	// Ten at once, and one in six seconds: however slow this machine is.
	if refused["enrol.code-unknown"] > 50 || refused["enrol.code-unknown"]+refused["login.slow-down"] != 100 {
		t.Errorf("%v", refused)
	}
	if _, _, err := g.redeem(secret, "", "k", "10.1.1.1", "s"); err != nil {
		t.Errorf("another address suffers for it: %v", err)
	}
}

// A station's new computer ends the old one's certificates when it first comes, and
// not before; a revoked one is out until another code is used.
func TestCertificatesOfAStation(t *testing.T) {
	g := newGate(t)
	ctx := context.Background()
	admitted := func(serial string, want bool) {
		t.Helper()
		if err := g.NodeEnters(ctx, "village-7", serial); (err == nil) != want {
			t.Errorf("%s: %v, want %v", serial, err, want)
		}
	}
	admitted("by-hand", true)
	if _, _, err := g.redeem(g.code("village-7"), "", "k1", "a", "s1"); err != nil {
		t.Fatal(err)
	}
	admitted("by-hand", true)
	admitted("s1", true)
	admitted("by-hand", false)
	if g.rechecked.Load() != 1 {
		t.Errorf("open connections were looked at %d times", g.rechecked.Load())
	}

	signed, err := g.RenewCertificate(ctx, "village-7", "s1", func(station.NodeID) (agent.SignedCertificate, error) {
		return agent.SignedCertificate{Serial: "s1-next"}, nil
	})
	if err != nil || signed.Serial != "s1-next" {
		t.Fatal(err)
	}
	admitted("s1-next", true)
	admitted("s1", true) // its connection may still be open

	if _, _, err := g.redeem(g.code("village-7"), "", "k2", "a", "s2"); err != nil {
		t.Fatal(err)
	}
	admitted("s1", true)
	admitted("s2", true)
	for _, old := range []string{"s1", "s1-next", "by-hand"} {
		admitted(old, false)
	}
	if _, err := g.RenewCertificate(ctx, "village-7", "s1", nil); problemCode(err) != "enrol.revoked" {
		t.Errorf("a replaced certificate is renewed: %v", err)
	}

	if r := g.do(station.CommandRevokeEnrolment, "village-7", station.RevocationOrder{}); r.Problem == nil || r.Problem.Place != "why" {
		t.Errorf("revoked without a reason: %+v", r.Problem)
	}
	before := g.rechecked.Load()
	waiting := g.code("village-7")
	g.must(g.do(station.CommandRevokeEnrolment, "village-7", station.RevocationOrder{Why: "电脑丢了"}))
	admitted("s2", false)
	if g.rechecked.Load() != before+1 {
		t.Error("open connections are not looked at")
	}
	if _, _, err := g.redeem(waiting, "", "k3", "a", "s3"); problemCode(err) != "enrol.code-withdrawn" {
		t.Errorf("a code outlives the revocation: %v", err)
	}
	if _, _, err := g.redeem(g.code("village-7"), "", "k3", "a", "s4"); err != nil {
		t.Fatal(err)
	}
	admitted("s4", true)
	list, err := g.Enrolments()
	if err != nil || !list[0].ClosedAt.IsZero() || list[0].Name != "村" {
		t.Errorf("%+v %v", list, err)
	}
	if err := g.VerifyAudit(); err != nil {
		t.Error(err)
	}
	rows, err := g.Audit(0, 100)
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]int{}
	for _, row := range rows {
		said[row.Action+" "+row.Result]++
	}
	if said["enrolment.make ok"] != 4 || said["enrolment.use ok"] != 3 || said["enrolment.revoke ok"] != 1 || said["enrolment.renew ok"] != 1 || said["enrolment.use enrol.code-withdrawn"] != 1 {
		t.Errorf("the audit: %v", said)
	}
}
