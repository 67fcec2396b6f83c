package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"stationd/agent"
	"stationd/agent/console"
	"stationd/agent/station"
	"stationd/agent/store"
	"stationd/devices"
	"stationd/devices/broker"
	"stationd/devices/gb26875"
	"stationd/devices/notify"
	"stationd/devices/onvif"
	"stationd/devices/payload"
	"stationd/devices/sound"
	"stationd/devices/sparkplug"
	"stationd/uplink"
	"stationd/uplink/budget"
	"stationd/uplink/centre"
	"stationd/uplink/enrol"
	"stationd/uplink/pki"
	"stationd/video"
	"stationd/video/peer"
	"stationd/video/playback"
	"stationd/video/probe"
	"stationd/video/record"
	"stationd/video/restream"
)

// node is one station or centre: its rooms, plugged together. A process may
// hold several; demo holds two.
type node struct {
	cfg     Config
	log     *slog.Logger
	started time.Time

	store   *store.Store
	archive *record.Archive
	agent   *agent.Agent
	play    *playback.Playback
	devices *devices.Set
	fires   *gb26875.Server // nil where no transmission unit is listened to
	onvif   *onvif.Set
	sound   *sound.Sound
	hub     *peer.Hub
	video   *video.Set
	copies  *restream.Server // nil where cameras are not served over RTSP
	probe   *probe.Prober
	uplink  *uplink.Uplink // nil without a parent
	budget  *budget.Budget // of the line to the parent
	beside  []*uplink.Uplink
	centre  *centre.Centre // nil without children
	console *console.Server
	routes  []station.Route // all that the console serves
	calls   *callable
	eyes    atomic.Pointer[map[string][]string]       // see eyesOf
	remotes atomic.Pointer[map[string]station.NodeID] // whose the cameras below are
	turning turns

	enrolling sync.Mutex    // held while a code is used
	enrolled  chan struct{} // buffered by one; the rooms are to start anew

	statusMu  sync.Mutex // guards what follows
	statusNow console.Status
	statusAt  time.Time
}

// openNode opens the node's stores and plugs its rooms together. Nothing listens
// and nothing runs until Run.
func openNode(cfg Config, log *slog.Logger) (_ *node, err error) {
	n := &node{cfg: cfg, log: log, started: time.Now(), budget: budget.New(cfg.Uplink.Budget, nil), enrolled: make(chan struct{}, 1)}
	n.calls = &callable{node: n, out: map[*outgoingCall]struct{}{}}
	n.eyes.Store(eyesOf(nil))
	n.remotes.Store(&map[string]station.NodeID{})
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Close())
		}
	}()
	if n.store, err = store.Open(cfg.Store, log.With("room", "store")); err != nil {
		return nil, err
	}
	cfg.Record.Space = n.store.Guard()
	if n.archive, err = record.Open(cfg.Record, log.With("room", "record")); err != nil {
		return nil, err
	}
	cfg.Station.Version = version()
	var order func(context.Context, station.NodeID, station.Command) (station.Receipt, error)
	if cfg.Centre.Enabled() {
		order = n.order
	}
	n.sound = sound.New(cfg.Sound, sound.Deps{Changed: n.soundChanged, Log: log.With("room", "sound")})
	n.agent = agent.New(cfg.Station, agent.Deps{
		Store: n.store, Clips: n.archive, Evidence: n.archive, Apply: n.apply, Order: order, Door: n.doorkeeper(), Centre: cfg.Uplink.Enabled(), Log: log.With("room", "agent"),
		Channels:     n.recorderChannels,
		CheckSensor:  func(sn station.Sensor) error { return n.devices.Check(sn) },
		BrokerHealth: n.brokerHealth,
		CameraOf:     n.cameraOf(),
		CheckBroker:  func(b station.Broker) error { return n.devices.CheckBroker(b) },
		CheckExport:  func(x station.Export) error { return n.play.CheckExport(x) },
		Rules:        judging(),
		CheckChannel: notify.Check, Deliver: notify.New(cfg.Notify, notify.Deps{Publish: n.publish}).Send, Loudspeaker: n.sound,
	})
	if cfg.Devices.Broker.ListenTLS != "" {
		if cfg.Devices.Broker.TLS, err = serverTLS(cfg); err != nil {
			return nil, err
		}
	}
	cfg.Devices.Broker.Retained = broker.NewFile(filepath.Join(cfg.Data, "broker", "retained"))
	families := familiesOf(filepath.Join(cfg.Data, "families"))
	for _, p := range families.Problems() {
		log.Warn("mapping file cannot be used", "file", p.File, "line", p.Line, "problem", p.Message, "hint", p.Hint)
	}
	n.devices = devices.New(cfg.Devices, devices.Deps{
		Node: n.store.Node(), Sink: sink{n.agent, n}, GivenUp: n.agent.ReadingGivenUp, Families: families, Feeds: []string{gb26875.FamilyName, onvif.FamilyName, agent.CentreFamily}, Log: log.With("room", "devices"),
	})
	if cfg.FireAlarm.Listen != "" {
		n.fires = n.openFireAlarm()
	}
	n.onvif = n.openONVIF()
	n.hub = peer.New(cfg.Video.Peer, log.With("room", "media"))
	if cfg.Centre.Enabled() {
		if err := n.openCentre(); err != nil {
			return nil, err
		}
	}
	n.play = playback.New(cfg.Playback, playback.Deps{Archive: n.archive, Alarms: n.alarmsAt, Exports: n.agent, May: n.maySee, Room: n.roomForExports, Snapshot: n.onvif.Snapshot, Log: log.With("room", "playback")})
	n.video = video.New(cfg.Video, video.Deps{
		Hub: n.hub, Archive: n.archive, Events: n.agent, Remote: n.remote(), Keys: n.onvif, MayTalk: n.mayTalk, Note: n.agent.Done, Log: log.With("room", "video"),
	})
	n.probe = n.openProbe()
	if cfg.Video.Restream.Enabled() {
		if err := n.openRestream(); err != nil {
			return nil, err
		}
	}
	if cfg.Uplink.Enabled() {
		n.uplink = uplink.New(cfg.Uplink, uplink.Deps{
			Version: version(), Journal: journal{n.agent, n.store, true}, Clips: outgoing{n.agent, n.archive},
			Live: n.calls, Commands: fromParent{n.agent, n}, Health: n.health, Budget: n.budget, Log: log.With("room", "uplink"),
		})
	}
	for _, t := range cfg.Targets {
		n.beside = append(n.beside, uplink.New(cfg.Uplink.Beside(t), uplink.Deps{
			Version: version(), Journal: journal{n.agent, n.store, false}, Budget: n.budget, Log: log.With("room", "uplink"),
		}))
	}
	return n, n.openConsole()
}

// cameraOf tells of the rooms' own kinds of resource to which camera they belong,
// once the rooms are there.
func (n *node) cameraOf() map[string]func(id string) string {
	return map[string]func(id string) string{
		"whep": func(id string) string { return n.video.CameraOf(id) },
		"talk": func(id string) string { return n.video.TalkThrough(id) },
	}
}

// brokerHealth is how the brokers are, as the list of them shows it.
func (n *node) brokerHealth() map[string]station.BrokerHealth {
	all := map[string]station.BrokerHealth{}
	for _, l := range n.devices.Links() {
		all[l.Broker] = station.BrokerHealth{
			Connected: l.Connected, Since: l.Since, Version: l.Version, Received: l.Received, Dropped: l.Dropped, Problem: l.Problem, Warnings: l.Warnings,
		}
	}
	return all
}

// publish reaches the sirens, by whatever broker they listen to.
func (n *node) publish(ctx context.Context, broker, topic string, payload []byte, retain bool) error {
	return n.devices.Publish(ctx, broker, topic, payload, retain)
}

// openFireAlarm prepares the end of the fire-alarm line. What a unit says stands
// under the unit's address, with which all its devices' names begin.
func (n *node) openFireAlarm() *gb26875.Server {
	return gb26875.New(n.cfg.FireAlarm, gb26875.Deps{
		Handle: func(ctx context.Context, readings ...payload.Reading) error {
			if len(readings) == 0 {
				return nil
			}
			unit, _, _ := strings.Cut(readings[0].Device, "/")
			return n.devices.Take(ctx, gb26875.FamilyName, unit, readings...)
		},
		Odd: func(remote string, frame []byte, err error) { n.devices.Odd(gb26875.FamilyName, remote, frame, err) },
		Log: n.log.With("room", "fire alarm"),
	})
}

// openONVIF prepares the conversations with cameras. What one detects stands under
// the camera's ID, with which the names of what is behind it begin.
func (n *node) openONVIF() *onvif.Set {
	return onvif.New(n.cfg.ONVIF, onvif.Deps{
		Handle: func(ctx context.Context, camera string, readings ...payload.Reading) error {
			n.detectedBy(ctx, camera, readings)
			return n.devices.Take(ctx, onvif.FamilyName, camera, readings...)
		},
		Odd:   func(device string, raw []byte, err error) { n.devices.Odd(onvif.FamilyName, device, raw, err) },
		Note:  n.agent.Done,
		Below: n.turnBelow,
		Log:   n.log.With("room", "onvif"),
	})
}

// openProbe prepares the examination of cameras.
func (n *node) openProbe() *probe.Prober {
	return probe.New(probe.Config{RTSP: n.cfg.Video.RTSP, SkipVoice: n.cfg.Video.TalkMost == 0}, probe.Deps{
		Kept: func(id string) (probe.Source, error) {
			c, err := n.agent.CameraLink(id)
			return probe.Source{Camera: c.Camera, Password: c.Password}, err
		},
		State: func(id string) (station.CameraState, bool) {
			for _, st := range n.video.States() {
				if st.Camera == id {
					return st, true
				}
			}
			return station.CameraState{}, false
		},
		Live: n.video.Watch, Examine: n.onvif.Examine, Log: n.log.With("room", "probe"),
	})
}

// familiesOf are the program's payload families and those of a folder.
func familiesOf(folder string) *payload.Catalogue { return payload.Families(folder, sparkplug.New()) }

// openCentre prepares the centre's end; a centre without certificates of its
// own makes them.
func (n *node) openCentre() error {
	own := ownAuthority(n.cfg.Data)
	deps := centre.Deps{
		Node: n.store.Node(), Version: version(),
		Inbox: inbox{n.agent}, Clips: incoming{n.agent, n.archive}, Live: legs{n}, Log: n.log.With("room", "centre"),
	}
	if n.cfg.Centre.Config.Certificate == own.server().Certificate {
		if _, err := own.ensureServer(n.cfg.serverHosts()); err != nil {
			return fmt.Errorf("make the centre's certificate: %w", err)
		}
		authority, err := pki.Open(own.dir())
		if err != nil {
			return err
		}
		deps.Enrolments = enrolments{n.agent, authority}
	}
	n.centre = centre.New(n.cfg.Centre.Config, deps)
	return nil
}

func (n *node) openConsole() (err error) {
	var certs *tls.Config
	if n.cfg.Console.TLS == console.TLSAuto {
		if certs, err = consoleTLS(n.cfg, n.log); err != nil {
			return err
		}
	}
	routes := n.agent.Routes()
	routes = append(routes, n.video.Routes()...)
	routes = append(routes, n.probe.Routes()...)
	routes = append(routes, n.archive.Routes()...)
	routes = append(routes, n.play.Routes()...)
	routes = append(routes, n.devices.Routes()...)
	routes = append(routes, n.onvif.Routes()...)
	if n.uplink != nil {
		routes = append(routes, n.uplink.Routes()...)
	}
	routes = append(routes, n.enrolRoutes()...)
	kind := "station"
	if n.centre != nil {
		kind = "centre"
	}
	n.routes = routes
	n.console, err = console.New(n.cfg.Console, console.Deps{
		Node:     console.Node{ID: n.store.Node(), Name: n.agent.Name(), Kind: kind, Version: version()},
		Accounts: n.agent, Journal: n.store, Routes: routes, Status: n.status, Ready: n.agent.Heartbeat,
		TLS: certs, Metrics: n.metrics(), Log: n.log.With("room", "console"),
	})
	return err
}

// apply hands what is set up to the rooms that work from it.
func (n *node) apply(r agent.Registry) {
	reg := devices.Registry{Sensors: r.Sensors, States: r.States, Accounts: r.Accounts, JoiningUntil: r.JoiningUntil, UpUntil: r.RanUntil}
	for _, b := range r.Brokers {
		reg.Brokers = append(reg.Brokers, devices.BrokerLink{Broker: b.Broker, Password: b.Password})
	}
	n.eyes.Store(eyesOf(r.Sensors))
	remotes := make(map[string]station.NodeID, len(r.Remote))
	for _, c := range r.Remote {
		remotes[c.ID] = c.Node
	}
	n.remotes.Store(&remotes)
	n.devices.Apply(reg)
	if n.fires != nil {
		for _, sn := range r.Sensors {
			if sn.Source.Family == gb26875.FamilyName && !strings.Contains(sn.Source.Device, "/") {
				n.fires.Expect(sn.Source.Device)
			}
		}
	}
	sources, spoken := make([]video.Source, 0, len(r.Cameras)), make([]onvif.Camera, 0, len(r.Cameras))
	own := make([]station.Camera, 0, len(r.Cameras))
	for _, c := range r.Cameras {
		own = append(own, c.Camera)
		spoken = append(spoken, onvif.Camera{Camera: c.Camera, Password: c.Password})
		sources = append(sources, video.Source{Camera: c.Camera, Password: c.Password})
	}
	n.onvif.Apply(spoken)
	n.archive.Apply(own) // before anything of them is recorded
	n.video.Apply(sources, r.Remote)
	n.video.EndViews(n.maySee)
	n.calls.recheck()
}

// part is one thing that runs. When a vital part ends by itself the whole node
// ends, and whoever started it starts it afresh: what takes alarms in must not
// limp. Any other part is started again, ever more slowly.
type part struct {
	name  string
	vital bool
	run   func(ctx context.Context) error
}

func (n *node) parts() []part {
	parts := []part{
		{"agent", true, n.agent.Run},
		{"devices", true, n.devices.Run},
		{"record", true, n.archive.Run},
		{"media", true, n.hub.Run},
		{"video", true, n.video.Run},
		{"onvif", false, n.onvif.Run},
		{"console", false, n.console.Run},
		{"sound", false, n.sound.Run},
		{"import", false, n.importSensors},
		{"playback", false, n.play.Run},
	}
	if n.copies != nil {
		parts = append(parts, part{"restream", false, n.copies.Run})
	}
	if n.fires != nil {
		parts = append(parts, part{"fire alarm", false, n.fires.Run})
	}
	if n.centre != nil {
		parts = append(parts, part{"centre", true, n.centre.Run})
	}
	if n.uplink != nil {
		parts = append(parts, part{"uplink", true, n.uplink.Run})
		if _, err := n.cfg.uplinkPlace().Record(); err == nil {
			parts = append(parts, part{"enrolment", false, n.keepEnrolled})
		}
	}
	for _, u := range n.beside {
		parts = append(parts, part{"target", false, u.Run})
	}
	parts = append(parts, part{"announcement", false, n.announce}, part{"lines", false, n.reportLines})
	return parts
}

// keepEnrolled renews the uplink's certificate before it is old.
func (n *node) keepEnrolled(ctx context.Context) error {
	return enrol.Enrolment{Place: n.cfg.uplinkPlace()}.Keep(ctx, n.log.With("room", "uplink"))
}

// announce begins to serve what is configured, forgets what is not, and tells a
// new parent what is set up already. Where it cannot, for a full disk perhaps, it
// is tried again, and nothing waits for it.
func (n *node) announce(ctx context.Context) error {
	served := map[string][]station.Lane{}
	if n.uplink != nil {
		served[n.cfg.Uplink.Target] = n.uplink.Lanes()
	}
	for _, t := range n.cfg.Targets {
		served[t.Name] = t.Lanes()
	}
	forgotten, err := n.agent.ServeOnly(ctx, served)
	if err != nil {
		return err
	}
	if len(forgotten) > 0 {
		n.log.Warn("targets are served no longer; nothing is kept for them", "targets", forgotten)
	}
	for _, t := range n.cfg.Targets {
		if err := n.agent.Serve(ctx, t.Name, t.Web(), t.Lanes()...); err != nil {
			return err
		}
	}
	if n.uplink != nil {
		if err := n.agent.AnnounceTo(ctx, n.cfg.Uplink.Target, n.uplink.Lanes()...); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return nil
}

// supervise runs the part until ctx ends, as part says.
func (p part) supervise(ctx context.Context, log *slog.Logger) error {
	const least, most = time.Second, time.Minute
	pause := least
	for {
		begun := time.Now()
		err := p.run(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			err = errors.New("ended by itself")
		}
		if p.vital {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if time.Since(begun) > most {
			pause = least // it had been well
		}
		log.Error("part failed; it will be started again", "part", p.name, "pause", pause, "err", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause/2 + rand.N(pause)):
		}
		pause = min(2*pause, most)
	}
}

// Run runs every part until ctx ends. It returns an error when a vital part
// ended by itself. The node must be closed afterwards.
func (n *node) Run(ctx context.Context) error {
	if n.centre != nil {
		if err := n.agent.NodesOffline(ctx); errors.Is(err, station.ErrNoSpace) {
			n.log.Error("no room to note that every station is away", "err", err)
		} else if err != nil {
			return err
		}
	}
	// A sensor may come as soon as its broker listens, and must be known then: one
	// that is called a stranger may not come again.
	registry, err := n.agent.Registry()
	if err != nil {
		return err
	}
	n.apply(registry)
	g, ctx := errgroup.WithContext(ctx)
	for _, p := range n.parts() {
		g.Go(func() error { return p.supervise(ctx, n.log) })
	}
	return g.Wait()
}

// Close closes the node's stores.
func (n *node) Close() error {
	var all []error
	if n.archive != nil {
		all = append(all, n.archive.Close())
	}
	if n.store != nil {
		all = append(all, n.store.Close())
	}
	return errors.Join(all...)
}
