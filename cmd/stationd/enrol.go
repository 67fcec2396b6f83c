package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"stationd/agent/station"
	"stationd/uplink/enrol"
	"stationd/uplink/pki"
)

// The station's end of an enrolment: a code that was typed at the console or at the
// command line becomes the certificate of the uplink, and the node starts its rooms
// anew with it.

// errEnrolled ends a run of the node so that another begins, under the name and with
// the parent of the enrolment.
var errEnrolled = errors.New("enrolled")

// parted is how long an answer has to leave before the rooms close.
const parted = 500 * time.Millisecond

func (c Config) uplinkPlace() enrol.Place { return enrol.Place(filepath.Join(c.Data, uplinkFolder)) }

// settleEnrolment puts the enrolment's parent in the place of one that the
// configuration does not name. One that cannot be read is a fault: the station would
// be without its centre, and nobody would know why.
func (c *Config) settleEnrolment() error {
	if c.Uplink.Enabled() {
		return nil
	}
	r, err := c.uplinkPlace().Record()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return station.Errorf(400, "config.invalid", "let the daemon's account read it, or remove it and enrol again", "the enrolment cannot be read: %v", err).At(string(c.uplinkPlace()))
	}
	if c.Node == "" {
		c.Node = r.Node
	}
	c.Store.Was = r.Was
	files := c.uplinkPlace().Files(r)
	c.Uplink.URL, c.Uplink.Target = r.URL, r.Target
	c.Uplink.Certificate, c.Uplink.Key, c.Uplink.Authority = files.Certificate, files.Key, files.Authority
	return nil
}

// enrolmentView is what the station's console shows.
type enrolmentView struct {
	Node station.NodeID `json:"node"`
	// Free tells that the station takes the name that the code is for.
	Free bool `json:"free"`
	// Configured tells that the parent stands in the configuration file.
	Configured bool `json:"configured"`
	// Parent is empty without one.
	Parent     station.NodeID `json:"parent,omitempty"`
	ParentName string         `json:"parentName,omitempty"`
	Address    string         `json:"address,omitempty"`
	At         time.Time      `json:"at,omitzero"`
	// Expires is when the certificate ends; it is renewed long before.
	Expires time.Time `json:"expires,omitzero"`
}

// enrolOrder is what is typed at the station.
type enrolOrder struct {
	Code   string `json:"code"`
	Centre string `json:"centre,omitempty"`
}

func (n *node) enrolRoutes() []station.Route {
	const path = "/api/v1/uplink/enrolment"
	return []station.Route{
		{Pattern: "GET " + path, Permission: station.PermConfigure, Summary: "Below which centre this station is", Reply: enrolmentView{}, Handler: station.Handler(func(w http.ResponseWriter, _ *http.Request) error {
			v, err := n.enrolment()
			if err != nil {
				return err
			}
			return station.WriteJSON(w, http.StatusOK, v)
		})},
		{Pattern: "POST " + path, Permission: station.PermAccounts, Summary: "Enrol this station at a centre with the code that the centre made; the program starts its rooms anew", Body: enrolOrder{}, Reply: enrolmentView{}, Handler: station.Handler(func(w http.ResponseWriter, r *http.Request) error {
			var o enrolOrder
			if err := station.ReadJSON(w, r, &o); err != nil {
				return err
			}
			if err := n.enrol(r.Context(), station.ActorFrom(r.Context()), o); err != nil {
				return err
			}
			v, err := n.enrolment()
			if err != nil {
				return err
			}
			return station.WriteJSON(w, http.StatusOK, v)
		})},
	}
}

func (n *node) enrolment() (enrolmentView, error) {
	place := n.cfg.uplinkPlace()
	v := enrolmentView{Node: n.store.Node()}
	r, err := place.Record()
	switch {
	case err == nil:
		v.Parent, v.ParentName, v.Address, v.At = r.Parent, r.ParentName, r.Address, r.At
		if leaf, err := pki.Leaf(place.Files(r).Certificate); err == nil {
			v.Expires = leaf.NotAfter
		}
		if v.Node != r.Node {
			v.Node = r.Node // it is about to take it
		}
	case !errors.Is(err, fs.ErrNotExist):
		return v, err
	case n.cfg.Uplink.Enabled():
		v.Configured, v.Address = true, n.cfg.Uplink.URL
	}
	v.Free, err = n.free()
	return v, err
}

// free tells whether the station may take another name: it has drawn its own, and
// nothing is set up under it.
func (n *node) free() (bool, error) {
	if n.cfg.Node != "" {
		return false, nil
	}
	return n.agent.Bare()
}

// enrol carries out what was typed. When it returns without an error, the node is
// about to start its rooms anew.
func (n *node) enrol(ctx context.Context, who station.Actor, o enrolOrder) (err error) {
	defer func() {
		if err != nil {
			n.agent.Refused(context.WithoutCancel(ctx), who, "uplink.enrol", "uplink", err)
		}
	}()
	place := n.cfg.uplinkPlace()
	if _, err := place.Record(); n.cfg.Uplink.Enabled() && errors.Is(err, fs.ErrNotExist) {
		return station.Errorf(http.StatusConflict, "enrol.configured", "take uplink.url out of the configuration and start the program again; then use the code", "the configuration names the parent %s", n.cfg.Uplink.URL)
	}
	n.enrolling.Lock()
	defer n.enrolling.Unlock()
	free, err := n.free()
	if err != nil {
		return err
	}
	r, err := enrol.Enrolment{Place: place}.Enrol(ctx, enrol.Order{Code: o.Code, Centre: o.Centre, Node: n.store.Node(), Free: free, Software: version()})
	if err != nil {
		return err
	}
	n.log.Info("enrolled; the rooms start anew", "node", r.Node, "parent", r.Parent, "address", r.Address)
	if err := n.agent.Done(context.WithoutCancel(ctx), who, "uplink.enrol", "uplink", fmt.Sprintf("%s below %s at %s", r.Node, r.Parent, r.Address)); err != nil {
		n.log.Warn("enrolment not audited", "err", err)
	}
	time.AfterFunc(parted, func() {
		select {
		case n.enrolled <- struct{}{}:
		default:
		}
	})
	return nil
}

// awaitEnrolment ends the run when the station was enrolled. It also looks for a
// code that the command line has left.
func (n *node) awaitEnrolment(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-n.enrolled:
			return errEnrolled
		case <-tick.C:
			n.takeDropped(ctx)
		}
	}
}

// The command line's own way to the daemon, which alone may open the store and must
// own what it writes: a file with the code, and one with the answer.
const (
	droppedFile  = "code.json"
	answeredFile = "code-answer.json"
)

type dropped struct {
	ID string `json:"id"`
	enrolOrder
}

type droppedAnswer struct {
	ID      string           `json:"id"`
	Node    station.NodeID   `json:"node,omitempty"`
	Parent  string           `json:"parent,omitempty"`
	Problem *station.Problem `json:"problem,omitempty"`
}

// takeDropped carries out what the command line left, once.
func (n *node) takeDropped(ctx context.Context) {
	name := filepath.Join(string(n.cfg.uplinkPlace()), droppedFile)
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err == nil {
		err = os.Remove(name)
	}
	var o dropped
	if err == nil {
		err = json.Unmarshal(text, &o)
	}
	if err != nil {
		n.log.Warn("the code that was left cannot be read", "file", name, "err", err)
		return
	}
	answer := droppedAnswer{ID: o.ID}
	if err := n.enrol(ctx, station.System(), o.enrolOrder); err != nil {
		p, ok := station.AsProblem(err)
		if !ok {
			n.log.Error("enrolment failed", "err", err)
			p = station.Errorf(500, "internal", "look into the daemon's log", "the enrolment failed inside")
		}
		answer.Problem = p
	} else if v, err := n.enrolment(); err == nil {
		answer.Node, answer.Parent = v.Node, fmt.Sprintf("%s (%s)", v.ParentName, v.Parent)
	}
	if text, err = json.Marshal(answer); err == nil {
		err = pki.WriteFile(filepath.Join(string(n.cfg.uplinkPlace()), answeredFile), text, 0o644)
	}
	if err != nil {
		n.log.Warn("the command line is not answered", "err", err)
	}
}

// How long the command line waits for the daemon to take the code, and for its
// answer.
const (
	takenWithin    = 10 * time.Second
	answeredWithin = 90 * time.Second
)

// enrolCommand hands a code to the daemon and says what came of it.
func enrolCommand(ctx context.Context, opts serviceOptions, centre, code string, out io.Writer) error {
	if code == "" {
		return station.Errorf(400, "enrol.usage", "stationd enrol [--centre HOST[:PORT]] CODE", "name the code that the centre made")
	}
	cfg, err := loadConfig(opts)
	if err != nil {
		return err
	}
	place := string(cfg.uplinkPlace())
	name, answered := filepath.Join(place, droppedFile), filepath.Join(place, answeredFile)
	o := dropped{station.NewID(), enrolOrder{code, centre}}
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	_ = os.Remove(answered)
	if err := errors.Join(os.MkdirAll(place, 0o700), writeWhole(name, text), giveTo(cfg.Data, place, name)); err != nil {
		return station.Errorf(403, "enrol.place", "run it as root or as the daemon's account, with the daemon's --config and --data", "the code cannot be handed to the daemon").Because(err)
	}
	began := time.Now()
	for {
		if text, err := os.ReadFile(answered); err == nil {
			var a droppedAnswer
			if err := json.Unmarshal(text, &a); err == nil && a.ID == o.ID {
				_ = os.Remove(answered)
				if a.Problem != nil {
					return a.Problem
				}
				fmt.Fprintf(out, "enrolled: this station is %s, below %s\nthe daemon starts its rooms anew; see 'stationd status' and the console\n", a.Node, a.Parent)
				return nil
			}
		}
		_, err := os.Stat(name)
		switch waited := time.Since(began); {
		case err == nil && waited > takenWithin:
			fmt.Fprintf(out, "the daemon does not run on %s; the code waits there and is used when it starts (stationd start)\n", cfg.Data)
			return notRunning{"the code waits"}
		case waited > answeredWithin:
			return station.Errorf(504, "enrol.silent", "look into the daemon's log", "the daemon took the code and did not answer")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// centreAddresses are where stations find this centre: the names of its certificate
// that are not this machine alone, at the HTTPS port.
func (n *node) centreAddresses() []string {
	_, port, err := net.SplitHostPort(n.cfg.Centre.ClipsListen)
	if err != nil {
		return nil
	}
	if n.centre != nil {
		if tcp, ok := n.centre.HTTPAddr().(*net.TCPAddr); ok {
			port = fmt.Sprint(tcp.Port)
		}
	}
	hosts := slices.DeleteFunc(slices.Clone(n.cfg.Centre.Hosts), func(h string) bool {
		ip, err := netip.ParseAddr(h)
		return h == "localhost" || err == nil && ip.IsLoopback()
	})
	if len(hosts) == 0 {
		hosts = n.cfg.Centre.Hosts // a trial on one machine
	}
	all := make([]string, 0, len(hosts))
	for _, h := range hosts {
		all = append(all, net.JoinHostPort(strings.Trim(h, "[]"), port))
	}
	return all
}
