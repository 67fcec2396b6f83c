package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"stationd/agent"
	"stationd/agent/account"
	"stationd/agent/station"
	"stationd/devices/devicestest"
	"stationd/video/videotest"
)

// The demo is the real thing made small: a station and a centre in one process,
// each with its own store, joined by mutual TLS, with simulated sensors and
// cameras that speak MQTT and RTSP to them.

const (
	demoSensors = "demo-sensors" // the sensors' account at the built-in broker
	demoAccount = "demo"
	demoLink    = 24 * time.Hour
	// demoFirst is how long after the start the first alarm comes: there must
	// be ten seconds of pictures before it.
	demoFirst = 15 * time.Second
	demoLasts = 40 * time.Second
	demoPause = 2 * time.Minute
)

// demoScene is an alarm, and the camera that sees it.
type demoScene struct{ sensor, camera string }

// demoScenes are the alarms that come in turn.
var demoScenes = []demoScene{
	{"smoke-3-1202", "corridor"},
	{"manhole-gate", "manhole"},
	{"sos-7-101", "gate"},
	{"water-garage", "garage"},
}

// demo runs until ctx ends and prints what to open. A second demo on the same
// directory goes on where the first was.
func demo(ctx context.Context, dir string, out, errs io.Writer) (err error) {
	if dir == "" {
		dir = filepath.Join(os.TempDir(), fmt.Sprintf("stationd-demo-%d", os.Getuid()))
	}
	fmt.Fprintf(out, "starting; everything is kept in %s\n", dir)
	log := newLog(LogConfig{Level: slog.LevelWarn}, errs)
	ctx, cancel := context.WithCancel(ctx)
	g, ctx := errgroup.WithContext(ctx)
	defer func() {
		cancel()
		err = errors.Join(err, g.Wait())
	}()

	// The usual port, so that the cameras which a second demo finds set up are
	// there at once.
	cameras, err := videotest.Start(videotest.Config{Listen: freePort(8554), Hears: videotest.SoundPCMA}) // so that one can try to talk through them
	if err != nil {
		return fmt.Errorf("start the cameras: %w", err)
	}
	g.Go(func() error {
		<-ctx.Done()
		cameras.Close()
		return nil
	})
	dome, err := startDome(cameras)
	if err != nil {
		return err
	}
	g.Go(func() error {
		<-ctx.Done()
		dome.Close()
		return nil
	})
	centre, err := startDemoNode(ctx, g, demoCentre(dir), log.With("node", "centre"))
	if err != nil {
		return err
	}
	cfg := demoStation(dir, centre.centre.MQTTAddr())
	if err := demoCertificate(filepath.Join(dir, "centre"), filepath.Join(cfg.Data, uplinkFolder), cfg.Node); err != nil {
		return err
	}
	village, err := startDemoNode(ctx, g, cfg, log.With("node", "station"))
	if err != nil {
		return err
	}
	password, err := furnish(ctx, village.agent, cameras, dome.URL())
	if err != nil {
		return err
	}
	for _, n := range []struct {
		title string
		*node
	}{{"station", village}, {"centre", centre}} {
		link, err := demoInvitation(ctx, n.agent)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "\n%-8s %s\n         sign in once with %s/#login=%s\n", n.title, n.console.URL(), n.console.URL(), link)
	}
	fmt.Fprintf(out, "\nthe first alarm comes in %d seconds; Ctrl-C ends\n", int(demoFirst.Seconds()))
	sensors := devicestest.Sensors(devicestest.Config{URL: "mqtt://" + village.devices.Addr().String(), Username: demoSensors, Password: password})
	g.Go(func() error { return sensors.Run(ctx) })
	g.Go(func() error { return playMotion(ctx, dome) })
	next, err := nextScene(village.agent)
	if err != nil {
		return err
	}
	g.Go(func() error { return playScenes(ctx, sensors, next) })
	<-ctx.Done()
	return nil
}

// startDemoNode opens a node, runs it in g and returns when it listens. The
// node is closed when it has ended.
func startDemoNode(ctx context.Context, g *errgroup.Group, cfg Config, log *slog.Logger) (*node, error) {
	cfg.settle()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	n, err := openNode(cfg, log)
	if err != nil {
		return nil, err
	}
	g.Go(func() error { return errors.Join(n.Run(ctx), n.Close()) })
	return n, n.awaitReady(ctx)
}

func demoCentre(dir string) Config {
	cfg := demoConfig(filepath.Join(dir, "centre"), "demo-centre", "示范镇城运中心", 8490)
	cfg.Devices.Broker.Listen = freePort(0)
	cfg.Centre.Listen, cfg.Centre.ClipsListen = "127.0.0.1:0", "127.0.0.1:0"
	return cfg
}

func demoStation(dir string, parent net.Addr) Config {
	cfg := demoConfig(filepath.Join(dir, "station"), "demo-village", "示范村工作站", 8480)
	cfg.Devices.Broker.Listen = freePort(1883)
	cfg.Uplink.URL = "mqtts://" + parent.String()
	return cfg
}

func demoConfig(data string, id station.NodeID, name string, port int) Config {
	cfg := DefaultConfig()
	cfg.Node, cfg.Data, cfg.Station.Name = id, data, name
	cfg.Console.Listen = freePort(port)
	cfg.Video.Peer.UDPListen, cfg.Video.Peer.TCPListen = "127.0.0.1:0", "127.0.0.1:0"
	cfg.Sound.Off = true // a developer's desk is not a duty room
	// A developer's disk is not a station's.
	cfg.Record.VolumeSize, cfg.Record.MaxBytes = 64<<20, 512<<20
	cfg.Record.MinFree, cfg.Record.ClipsMinFree, cfg.Record.ClipsMaxBytes = 512<<20, 128<<20, 1<<30
	cfg.Store.Space.Low = 768 << 20
	return cfg
}

// freePort is the loopback address with the usual port, or with any where that
// one is taken.
func freePort(usual int) string {
	address := fmt.Sprintf("127.0.0.1:%d", usual)
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return "127.0.0.1:0"
	}
	_ = ln.Close() // it was opened to see whether it could be
	return address
}

// demoCertificate gives the station its certificate, unless it has one.
func demoCertificate(centreData, to string, id station.NodeID) error {
	if _, err := os.Stat(filepath.Join(to, nodeFile)); err == nil {
		return nil
	}
	return issueNode(ownAuthority(centreData), id, to)
}

// furnish sets up cameras, sensors and the sensors' account, and returns its
// password.
func furnish(ctx context.Context, a *agent.Agent, cameras *videotest.Server, dome string) (station.Secret, error) {
	order := func(kind, subject string, body any) (station.Receipt, error) {
		raw, err := json.Marshal(body)
		if err != nil {
			return station.Receipt{}, err
		}
		r := a.Handle(ctx, station.Command{ID: station.NewID(), Type: kind, Subject: subject, Actor: station.System(), Issued: time.Now(), Body: raw})
		if r.Problem != nil {
			return r, fmt.Errorf("set up the demo: %w", r.Problem)
		}
		return r, nil
	}
	films, err := videotest.Films()
	if err != nil {
		return "", err
	}
	if _, err := order(station.CommandPutPlan, demoPlan, station.Plan{ID: demoPlan, Name: "示范村", Floor: "总平面"}); err != nil {
		return "", err
	}
	if _, err := a.SetPicture(ctx, station.System(), demoPlan, drawPlan()); err != nil {
		return "", err
	}
	for _, f := range films {
		c := station.Camera{ID: f.Name, Name: f.Title, Place: f.Title, URL: cameras.URL(f.Name), Record: true, Position: demoPlace(f.Name)}
		if f.Name == demoDome {
			c.ONVIF, c.Recording = dome, station.RecordEvents
		}
		if _, err := order(station.CommandPutCamera, c.ID, station.CameraOrder{Camera: c}); err != nil {
			return "", err
		}
	}
	for _, s := range devicestest.Sensors(devicestest.Config{}).Registered() {
		for _, scene := range demoScenes {
			if scene.sensor == s.ID {
				s.Cameras = []string{scene.camera}
			}
		}
		s.Position = demoPlace(s.ID)
		if _, err := order(station.CommandPutSensor, s.ID, s); err != nil {
			return "", err
		}
	}
	for _, p := range demoPeople() {
		if _, err := order(station.CommandPutPeople, p.Sensor, p); err != nil {
			return "", err
		}
	}
	r, err := order(station.CommandPutDevice, demoSensors, nil)
	if err != nil {
		return "", err
	}
	var cred station.DeviceCredential
	if err := json.Unmarshal(r.Result, &cred); err != nil {
		return "", fmt.Errorf("read the sensors' password: %w", err)
	}
	return station.Secret(cred.Password), nil
}

// demoInvitation is a sign-in link for the demo's account, which is made at the
// first start with a password that nobody knows.
func demoInvitation(ctx context.Context, a *agent.Agent) (string, error) {
	claimed, err := a.Claimed()
	if err != nil {
		return "", err
	}
	if !claimed {
		code, err := a.Invite(ctx, "claim", "", time.Minute)
		if err != nil {
			return "", err
		}
		password, _ := account.NewToken()
		_, _, err = a.Claim(ctx, code, station.AccountOrder{Account: demoAccount, Name: "信息员甲", Password: station.Secret(password)}, "demo")
		if err != nil {
			return "", err
		}
	}
	return a.Invite(ctx, "login", demoAccount, demoLink)
}

// nextScene is the first whose alarm would be a new one: an earlier demo may have
// left others that nobody has answered.
func nextScene(a *agent.Agent) (int, error) {
	live, err := a.LiveAlarms()
	if err != nil {
		return 0, err
	}
	return max(0, slices.IndexFunc(demoScenes, func(s demoScene) bool {
		return !slices.ContainsFunc(live, func(al station.Alarm) bool { return al.Sensor == s.sensor })
	})), nil
}

// playScenes lets one sensor after the other alarm and be normal again,
// beginning with one of them.
func playScenes(ctx context.Context, sensors *devicestest.Simulation, first int) error {
	wait := func(d time.Duration) bool {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(d):
			return true
		}
	}
	if !wait(demoFirst) {
		return nil
	}
	for i := first; ; i++ {
		sensor := demoScenes[i%len(demoScenes)].sensor
		if err := sensors.Alarm(ctx, sensor); err != nil && ctx.Err() == nil {
			return fmt.Errorf("play the alarm of %s: %w", sensor, err)
		}
		if !wait(demoLasts) {
			return nil
		}
		if err := sensors.Normal(ctx, sensor); err != nil && ctx.Err() == nil {
			return fmt.Errorf("end the alarm of %s: %w", sensor, err)
		}
		if !wait(demoPause) {
			return nil
		}
	}
}
