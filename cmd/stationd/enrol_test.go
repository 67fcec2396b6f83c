//go:build linux

package main_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stationd/agent/station"
)

// An operator makes a code, an installer types it: a station that had no name and no
// parent is below the centre, by its name. It is shut out, comes again with another
// code on another computer, and the first computer stays out. No code and no key is
// in what was printed.
func TestEnrol(t *testing.T) {
	t.Parallel()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	centre := enrolCentre(t)
	centre.start()
	centre.claim()
	var codes []string
	code := func() station.EnrolmentTicket {
		t.Helper()
		var ticket station.EnrolmentTicket
		centre.must(http.MethodPost, "/api/v1/enrolments/village-7/code", station.EnrolmentOrder{Name: "示范村"}, &ticket)
		if ticket.Code == "" || len(ticket.Addresses) != 1 {
			t.Fatalf("%+v", ticket)
		}
		codes = append(codes, ticket.Code, strings.ReplaceAll(ticket.Code, "-", ""))
		return ticket
	}
	enrol := func(n *node, args ...string) (string, error) {
		out, err := exec.Command(path, append([]string{"enrol", "--config", n.config, "--data", n.data}, args...)...).CombinedOutput()
		return string(out), err
	}
	online := func(want bool) {
		t.Helper()
		eventually(t, time.Minute, fmt.Sprintf("the centre sees the station: %v", want), func() error {
			var v struct{ Nodes []station.Node }
			centre.get("/api/v1/nodes", &v)
			if len(v.Nodes) != 1 || v.Nodes[0].ID != "village-7" || v.Nodes[0].Online != want {
				return fmt.Errorf("%+v", v.Nodes)
			}
			return nil
		})
	}

	first := enrolBox(t, "first")
	first.start()
	ticket := code()
	if out, err := enrol(first, ticket.Addresses[0]+"/"+ticket.Code); err != nil || !strings.Contains(out, "this station is village-7, below 示范镇城运中心 (town)") {
		t.Fatalf("%v: %s", err, out)
	}
	online(true)

	if status, text, err := centre.do(http.MethodPost, "/api/v1/enrolments/village-7/revocation", station.RevocationOrder{Why: "电脑被偷"}, nil); err != nil || status != http.StatusNoContent {
		t.Fatalf("%d %s %v", status, text, err)
	}
	online(false)

	second := enrolBox(t, "second")
	second.start()
	if out, err := enrol(second, ticket.Addresses[0]+"/"+ticket.Code); err == nil || !strings.Contains(out, "used already") {
		t.Errorf("a code is used twice: %v: %s", err, out)
	}
	next := code()
	if out, err := enrol(second, "--centre", next.Addresses[0], next.Code); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	online(true)
	var list struct{ Enrolments []station.Enrolment }
	centre.get("/api/v1/enrolments", &list)
	if len(list.Enrolments) != 1 || len(list.Enrolments[0].Certificates) != 2 || list.Enrolments[0].Certificates[0].RevokedWhy != "revoked" || !list.Enrolments[0].ClosedAt.IsZero() || list.Enrolments[0].Code.State != station.CodeUsed {
		t.Errorf("%+v", list.Enrolments)
	}
	eventually(t, time.Minute, "the first computer says why it is out", func() error {
		found := first.log.all(0, `uplink lost.*certificate`)
		if len(found) == 0 {
			return errors.New("nothing of it in its log")
		}
		return nil
	})
	for _, n := range []*node{centre, first, second} {
		for _, secret := range append(codes, "PRIVATE KEY") {
			if strings.Contains(n.log.String(), secret) {
				t.Errorf("%s prints %s", n.id, secret)
			}
		}
	}
}

// enrolCentre is a centre at which nobody is enrolled yet.
func enrolCentre(t *testing.T) *node {
	t.Helper()
	return newNode(t, "town", filepath.Join(t.TempDir(), "centre"), fmt.Sprintf(`
station: {name: 示范镇城运中心}
devices: {broker: {listen: ""}}
video: {peer: {udp_listen: "127.0.0.1:0", tcp_listen: "127.0.0.1:0"}}
centre: {listen: %q, clips_listen: %q, hosts: [127.0.0.1]}
record: {min_free: 512MiB, clips_min_free: 128MiB}
store: {space: {low: 512MiB}}
`, freePort(t), freePort(t)))
}

// enrolBox is a computer that will be a station: nobody has given it a name.
func enrolBox(t *testing.T, name string) *node {
	t.Helper()
	n := newNode(t, name, filepath.Join(t.TempDir(), name), `
station: {name: 示范村工作站}
devices: {broker: {listen: ""}}
video: {peer: {udp_listen: "127.0.0.1:0", tcp_listen: "127.0.0.1:0"}}
record: {min_free: 512MiB, clips_min_free: 128MiB}
store: {space: {low: 512MiB}}
`)
	text, err := os.ReadFile(n.config)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\n")
	if err := os.WriteFile(n.config, []byte(rest), 0o600); err != nil {
		t.Fatal(err)
	}
	return n
}
