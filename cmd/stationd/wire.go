package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stationd/agent"
	"stationd/agent/account"
	"stationd/agent/console"
	"stationd/agent/station"
	"stationd/agent/store"
	"stationd/agent/store/disk"
	"stationd/devices/onvif"
	"stationd/uplink"
	"stationd/uplink/centre"
	"stationd/uplink/protocol"
	"stationd/video"
	"stationd/video/record"
)

// The plugs: where one room's words differ from another's, they are turned into
// each other here.

// journal is the journal as the uplink reads it.
type journal struct {
	*agent.Agent
	store *store.Store
	// parent tells that the target is the parent: what it has got is noted on the
	// alarms.
	parent bool
}

func (j journal) Epoch() station.Epoch { return j.store.Epoch() }
func (j journal) Head() uint64         { return j.store.Head() }

func (j journal) Read(after uint64, limit int, lanes ...station.Lane) ([]station.Event, error) {
	events, err := j.store.Read(after, limit, lanes...)
	for i := range events {
		if err == nil {
			events[i], err = j.EventUp(events[i])
		}
	}
	return events, err
}

func (j journal) Changed(after uint64) <-chan struct{} { return j.store.Changed(after) }

func (j journal) Cursor(target string, lane station.Lane) (uplink.Cursor, error) {
	c, err := cursorOf(j.store, target, lane)
	return uplink.Cursor{Target: c.Target, Lane: c.Lane, Epoch: c.Epoch, Seq: c.Seq, Hop: c.Hop}, err
}

func (j journal) Advance(ctx context.Context, c uplink.Cursor) error {
	at := store.Cursor{Target: c.Target, Lane: c.Lane, Epoch: c.Epoch, Seq: c.Seq, Hop: c.Hop}
	if !j.parent {
		return j.AdvanceBeside(ctx, at)
	}
	return j.Agent.Advance(ctx, at)
}

func (j journal) Backlog(target string, lane station.Lane, most int) (int, time.Time, error) {
	return j.store.Backlog(target, lane, most)
}

func cursorOf(st *store.Store, target string, lane station.Lane) (c store.Cursor, err error) {
	err = st.View(func(tx *store.Tx) (err error) {
		c, err = tx.Cursor(target, lane)
		return err
	})
	return c, err
}

// alarmsAt are the alarms in a camera's sight, as playback shows them.
func (n *node) alarmsAt(camera string, from, to time.Time, most int) ([]station.Alarm, error) {
	page, err := n.agent.FindAlarms(agent.AlarmFilter{Camera: camera, From: from, To: to, Limit: most})
	slices.Reverse(page.Alarms)
	return page.Alarms, err
}

// maySee tells whether somebody may see a camera's pictures.
func (n *node) maySee(who station.Actor, camera string) bool {
	return n.agent.Authorize(who, station.PermVideo, "camera/"+camera) == nil
}

// mayTalk tells whether somebody who talks through a camera still may: with the
// role that their account has now.
func (n *node) mayTalk(who station.Actor, camera string) bool {
	accounts, err := n.agent.Accounts()
	if err != nil {
		return false
	}
	i := slices.IndexFunc(accounts, func(a account.Account) bool { return a.Account == who.Account })
	switch {
	case i >= 0 && accounts[i].Disabled:
		return false
	case i >= 0:
		who.Role = accounts[i].Role
	case slices.Contains(account.Roles(), who.Role):
		return false // the account is gone
	}
	return n.agent.Authorize(who, station.PermAnswer, "camera/"+camera) == nil
}

// roomForExports tells whether an export may be written: it leaves as much of the
// disk free as a clip does.
func (n *node) roomForExports(bytes int64) error {
	if n.store.Guard().Spare() < disk.Bytes(bytes)+n.cfg.Record.ClipsMinFree {
		return station.ErrNoSpace
	}
	return nil
}

// outgoing are the clips that the uplink uploads.
type outgoing struct {
	*agent.Agent
	archive *record.Archive
}

func (o outgoing) OpenClip(id string) (uplink.ClipReader, error) { return o.archive.OpenClip(id) }

// fromParent carries out what the parent orders. Who orders is not for the line
// to say: whatever stands in the command, it is another node, with a node's rights.
type fromParent struct {
	agent *agent.Agent
	node  *node
}

func (f fromParent) Handle(ctx context.Context, cmd station.Command) station.Receipt {
	name := cmd.Actor.Name
	cmd.Actor = parent
	cmd.Actor.Name = name
	if cmd.Node != "" && cmd.Node != f.node.store.Node() {
		return f.node.passDown(ctx, cmd)
	}
	if cmd.Type == station.CommandTurnCamera {
		return f.node.turnForParent(ctx, cmd)
	}
	return f.agent.Handle(ctx, cmd)
}

// order takes a command to a station below, through the child that it lies below.
// The centre is made after the core and before anything runs.
func (n *node) order(ctx context.Context, id station.NodeID, cmd station.Command) (station.Receipt, error) {
	via, _, err := n.agent.WayTo(id)
	if err != nil {
		return station.Receipt{}, err
	}
	if via != "" && via != id {
		cmd.Node = id
		return n.centre.Order(ctx, via, cmd)
	}
	return n.centre.Order(ctx, id, cmd)
}

// passedWithin is how long a command from above waits for the receipt of a station
// below; the parent sends it again.
const passedWithin = 10 * time.Second

// passDown hands a command of the parent on to the station that it is for. Both ends
// know it by its ID, so that it may go down twice and is carried out once.
func (n *node) passDown(ctx context.Context, cmd station.Command) station.Receipt {
	refuse := func(p *station.Problem) station.Receipt {
		return station.Receipt{Command: cmd.ID, At: time.Now(), Problem: p}
	}
	_, online, err := n.agent.WayTo(cmd.Node)
	switch {
	case err != nil || n.centre == nil:
		return refuse(station.Errorf(503, "node.none", "look which centre the station is below", "no station is below %s", n.store.Node()))
	case !online:
		return refuse(station.Errorf(503, "node.offline", "it goes down when the station's line is back", "station %s is not connected", cmd.Node))
	}
	ctx, cancel := context.WithTimeout(ctx, passedWithin)
	defer cancel()
	id := cmd.Node
	cmd.Node = ""
	receipt, err := n.order(ctx, id, cmd)
	if p, ok := station.AsProblem(err); ok {
		if p.Status < 500 {
			p = station.Errorf(503, p.Code, p.Hint, "%s", p.Message) // not the station's word: it is tried again
		}
		return refuse(p)
	}
	if err != nil {
		return refuse(station.Errorf(504, "node.silent", "it is tried again by itself", "station %s did not answer", id))
	}
	detail := "ok"
	if receipt.Problem != nil {
		detail = receipt.Problem.Code
	}
	if err := n.agent.Done(ctx, cmd.Actor, cmd.Type, "node/"+string(id), "passed down from above: "+detail); err != nil {
		n.log.Warn("command that was passed down is not audited", "command", cmd.ID, "err", err)
	}
	return receipt
}

// inbox is where a centre stores what its stations send.
type inbox struct{ agent *agent.Agent }

func (i inbox) Mark(ctx context.Context, node station.NodeID, lane station.Lane) (centre.Mark, error) {
	m, err := i.agent.Mark(ctx, node, lane)
	return centre.Mark{Epoch: m.Epoch, Seq: m.Seq, Hop: m.Hop}, err
}

func (i inbox) Accept(ctx context.Context, node station.NodeID, lane station.Lane, events []protocol.Envelope) (centre.Mark, error) {
	arrivals := make([]agent.Arrival, len(events))
	for k, e := range events {
		arrivals[k] = agent.Arrival{Epoch: e.Epoch, Seq: e.Event.Seq, Hop: e.Hop, Event: e.Event}
	}
	m, err := i.agent.Accept(ctx, node, lane, arrivals)
	return centre.Mark{Epoch: m.Epoch, Seq: m.Seq, Hop: m.Hop}, err
}

func (i inbox) NodeSeen(ctx context.Context, node station.NodeID, p station.Presence) error {
	return i.agent.NodeSeen(ctx, node, p)
}

func (i inbox) NodeHeard(ctx context.Context, node station.NodeID, h station.NodeHealth) error {
	return i.agent.NodeHeard(ctx, node, h)
}

func (i inbox) NodeClock(ctx context.Context, node station.NodeID, offset time.Duration) error {
	return i.agent.NodeClock(ctx, node, offset)
}

// incoming is where a centre keeps the clips that its stations upload.
type incoming struct {
	agent   *agent.Agent
	archive *record.Archive
}

func (in incoming) Receive(ctx context.Context, node station.NodeID, id string, size int64, sha256 string) (centre.Receiving, error) {
	if err := in.agent.ClaimClip(ctx, node, id); err != nil {
		return nil, err
	}
	r, err := in.archive.ReceiveClip(id, size, sha256)
	if err != nil {
		return nil, err
	}
	return receivedClip{r, ctx, in.agent, node, id}, nil
}

// receivedClip tells the core when a clip is whole.
type receivedClip struct {
	*record.Receiving
	ctx   context.Context // of the request that Finish ends
	agent *agent.Agent
	node  station.NodeID
	id    string
}

func (r receivedClip) Finish() error {
	if err := r.Receiving.Finish(); err != nil {
		return err
	}
	return r.agent.ClipReceived(r.ctx, r.node, r.id)
}

// soundChanged tells the core how the sound output is.
func (n *node) soundChanged(ctx context.Context, st station.SoundState) error {
	return n.agent.SoundChanged(ctx, st, n.cfg.Sound.Needed())
}

// legs answers a station's offer. The centre is made before the cameras, so it
// asks the node.
type legs struct{ node *node }

func (l legs) AcceptLeg(ctx context.Context, id station.NodeID, session, offer string) (string, error) {
	return l.node.video.AcceptLeg(ctx, id, session, offer)
}

// callUp asks a station for a live picture.
type callUp struct{ *centre.Centre }

func (c callUp) CloseLeg(ctx context.Context, node station.NodeID, session string) {
	// The station ends a leg that nobody answers, so a lost call is no harm.
	_ = c.Centre.CloseLeg(ctx, node, session)
}

func (n *node) remote() video.Remote {
	if n.centre == nil {
		return nil
	}
	return callUp{n.centre}
}

// recorderChannels asks a recorder for its channels.
func (n *node) recorderChannels(ctx context.Context, r station.Recorder, password station.Secret) ([]station.RecorderChannel, error) {
	d, err := n.onvif.Describe(ctx, onvif.Login{URL: r.ONVIF, Username: r.Username, Password: password})
	if err != nil {
		return nil, err
	}
	profiles := map[string]onvif.Profile{}
	for _, p := range d.Profiles {
		profiles[p.Token] = p
	}
	list := make([]station.RecorderChannel, 0, len(d.Channels))
	for _, c := range d.Channels {
		list = append(list, station.RecorderChannel{
			Channel: c.Source, Name: c.Name, URL: profiles[c.Main].URL, Sub: profiles[c.Sub].URL, Profile: c.Main, SubProfile: c.Sub,
		})
	}
	return list, nil
}

// serverTLS is the node's one server certificate, for the sensors' broker.
func serverTLS(cfg Config) (*tls.Config, error) {
	files, err := ownAuthority(cfg.Data).ensureServer(cfg.serverHosts())
	if err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(files.Certificate, files.Key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

// consoleTLS makes the console's certificate from the node's own authority.
func consoleTLS(cfg Config, log *slog.Logger) (*tls.Config, error) {
	files, err := ownAuthority(cfg.Data).ensureServer(cfg.serverHosts())
	if err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(files.Certificate, files.Key)
	if err != nil {
		return nil, err
	}
	authority, err := os.ReadFile(files.Authority)
	if err != nil {
		return nil, err
	}
	if block, _ := pem.Decode(authority); block != nil {
		log.Info("console's authority; install it in the browsers that shall trust this console", "file", files.Authority, "sha256", fmt.Sprintf("%X", sha256.Sum256(block.Bytes)))
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

// statusLife is how old a status may be. Counting what waits for the parent
// walks the journal; a dozen open consoles must not walk it a dozen times.
const statusLife = 900 * time.Millisecond

// status is the health of every room, at most statusLife old.
func (n *node) status() console.Status {
	n.statusMu.Lock()
	defer n.statusMu.Unlock()
	if time.Since(n.statusAt) > statusLife {
		n.statusNow, n.statusAt = n.gatherStatus(), time.Now()
	}
	st := n.statusNow
	st.Now = time.Now()
	return st
}

func (n *node) gatherStatus() console.Status {
	quiet, err := n.agent.QuietSince()
	if err != nil {
		n.log.Error("quiet time not known", "err", err)
	}
	nodes, err := n.agent.Nodes()
	if err != nil {
		n.log.Error("children not known", "err", err)
	}
	space, usage := n.store.Space(), n.archive.Usage()
	st := console.Status{
		Now: time.Now(), QuietSince: quiet, Nodes: nodes, Brokers: []console.BrokerStatus{},
		Storage: console.StorageStatus{
			Free: uint64(space.Free), Total: uint64(space.Total), Level: string(space.Level),
			VideoBytes: int64(usage.Bytes), OldestVideo: usage.Oldest, DaysLeft: usage.DaysKept,
		},
	}
	for _, c := range n.video.States() {
		st.Cameras.Total++
		if c.Status == station.CameraOnline {
			st.Cameras.Online++
		}
	}
	st.Lamps = n.lamps(space, usage, nodes)
	for _, l := range st.Lamps {
		if l.ID == "sensors" && l.Args != nil {
			st.Sensors.Online, _ = l.Args["online"].(int)
			st.Sensors.Total, _ = l.Args["total"].(int)
		}
	}
	for _, l := range n.devices.Links() {
		b := console.BrokerStatus{ID: l.Broker, Connected: l.Connected, Since: l.Since}
		if l.Problem != nil {
			b.LastError, b.Hint = l.Problem.Message, l.Problem.Hint
		}
		st.Brokers = append(st.Brokers, b)
	}
	if n.uplink != nil {
		up := lineOf(n.uplink)
		st.Uplink = &up
	}
	for _, u := range n.beside {
		st.Targets = append(st.Targets, lineOf(u))
	}
	return st
}

// lineOf is how the line to one target is, for people.
func lineOf(u *uplink.Uplink) console.UplinkStatus {
	up := u.Status()
	st := console.UplinkStatus{
		Target: up.Target, URL: up.URL, Parent: up.Parent, Connected: up.Connected, Since: up.Since,
		LastError: up.LastError, Hint: up.Hint, ErrorAt: up.ErrorAt, Sent: up.Sent, ClockOffset: up.ClockOffset, Lanes: []console.LaneStatus{},
	}
	for _, l := range up.Lanes {
		st.Lanes = append(st.Lanes, console.LaneStatus{Lane: l.Lane, Backlog: l.Backlog, Oldest: l.Oldest, Rate: l.Rate, Held: l.Held})
	}
	if up.Second != nil {
		st.Second = &console.SecondStatus{Connected: up.Second.Connected, Since: up.Second.Since, Used: up.Second.Used, LastError: up.Second.LastError}
	}
	return st
}

// metrics are the measurements of all rooms.
func (n *node) metrics() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	gauge := func(name, help string, value func() float64) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "stationd_" + name, Help: help}, value))
	}
	counter := func(name, help string, value func() float64) {
		reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "stationd_" + name, Help: help}, value))
	}
	gauge("journal_head", "Sequence number of the newest event.", func() float64 { return float64(n.store.Head()) })
	gauge("disk_free_bytes", "Free space of the data disk, the reserve not counted.", func() float64 { return float64(n.store.Space().Free) })
	gauge("video_bytes", "Size of the rolling record.", func() float64 { return float64(n.archive.Usage().Bytes) })
	gauge("media_sessions", "Viewers and relay legs.", func() float64 { return float64(n.hub.Usage().Sessions) })
	counter("sensor_messages_total", "Messages from sensors.", func() float64 { return float64(n.devices.Stats().Messages) })
	counter("sensor_reports_total", "Reports stored.", func() float64 { return float64(n.devices.Stats().Reports) })
	counter("sensor_refused_total", "Attempts to store a report that failed.", func() float64 { return float64(n.devices.Stats().Failed) })
	gauge("live_alarms", "Alarms that are not over.", func() float64 {
		live, err := n.agent.LiveAlarms()
		if err != nil {
			return -1
		}
		return float64(len(live))
	})
	if n.uplink != nil {
		n.lineMetrics(reg)
		for _, lane := range station.Lanes() {
			reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: "stationd_uplink_backlog", Help: "Events that the parent has not acknowledged, up to 10000.", ConstLabels: prometheus.Labels{"lane": string(lane)},
			}, func() float64 {
				count, _, err := n.store.Backlog(n.cfg.Uplink.Target, lane, 10_000)
				if err != nil {
					return -1
				}
				return float64(count)
			}))
		}
	}
	return reg
}
