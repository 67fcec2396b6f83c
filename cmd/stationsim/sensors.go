package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"stationd/agent/station"
	"stationd/devices/devicestest"
)

// sensors publishes what a neighbourhood's sensors do, and measures how long the
// broker takes to acknowledge. The station's own acknowledges what is stored.
func sensors(ctx context.Context, args []string, out, errs io.Writer) error {
	flags := newFlags("sensors", "publish readings and alarms to an MQTT 3.1.1 broker", errs)
	var (
		at       stationFlags
		password passwordFlags
		every    rate = 50
	)
	broker := flags.String("broker", "mqtt://127.0.0.1:1883", "`address` of the broker, mqtt:// or mqtts://")
	username := flags.String("username", "", "the sensors' `account` at the broker; with --station one is made")
	password.add(flags, "password", "the sensors' account")
	name := flags.String("name", "sim", "what the names of the sensors and of their connections begin with")
	base := flags.String("base", "zigbee2mqtt", "base topic of the sensors behind Zigbee2MQTT, three of four")
	profile := flags.String("profile", "household", "what is played: household, the same few sensors again and again, or estate-500, an estate of 500 sensors of all payload families with births, wills, faults and storms (any number up to 10000)")
	seed := flags.Uint64("seed", 1, "of an estate: the same `number` plays the same story")
	storm := flags.Duration("storm-every", 0, "of an estate: how often a tenth of the sensors alarm at once; 0 for never")
	breaks := flags.Duration("break-every", 0, "of an estate: how often a connection breaks for ten seconds; 0 for never")
	malformed := flags.Int("malformed-every", 0, "of an estate: one in so many messages is malformed; 0 for none")
	count := flags.Int("count", 200, "`number` of sensors, at most 10000")
	perLine := flags.Int("per-connection", 50, "`number` of sensors that share a connection, as behind one bridge")
	flags.Var(&every, "rate", "how often all together publish, such as 50/s or 20/m")
	alarm := flags.Duration("alarm-every", time.Minute, "how often one of them alarms; 0 for never")
	span := flags.Duration("for", 10*time.Minute, "how long, at most 24h")
	at.add(flags, "")
	if err := parse(flags, args); err != nil {
		return err
	}
	if err := errors.Join(
		within("count", *count, 1, 10_000), within("per-connection", *perLine, 1, 10_000),
		within("for", *span, time.Second, 24*time.Hour), within("alarm-every", *alarm, 0, 24*time.Hour),
		within("storm-every", *storm, 0, 24*time.Hour), within("break-every", *breaks, 0, 24*time.Hour), within("malformed-every", *malformed, 0, 1_000_000_000),
	); err != nil {
		return err
	}
	if !validName(*name) {
		return wrongUsage("--name: use a-z, 0-9 and '-', at most 20")
	}
	if u, err := url.Parse(*broker); err != nil || u.Host == "" || u.Scheme != "mqtt" && u.Scheme != "mqtts" {
		return wrongUsage("--broker: %q is no address such as mqtt://host:1883", *broker)
	}
	cfg := devicestest.Config{URL: *broker, Username: *username}
	var err error
	if cfg.Password, err = password.read(); err != nil {
		return err
	}
	if cfg.TLS, err = trusted(at.authority); err != nil {
		return err
	}
	var there *stationAPI
	if at.url != "" {
		if there, err = at.signIn(ctx); err != nil {
			return err
		}
		defer there.close()
	}
	if units, ok := estateProfile(*profile); ok {
		e := &estate{Estate: devicestest.NewEstate(*seed, units, station.EmbeddedBroker), story: devicestest.Story{
			Seed: *seed, Rate: float64(every), AlarmEvery: *alarm, StormEvery: *storm, StormSize: (units + 9) / 10, BreakEvery: *breaks, MalformedEvery: *malformed,
		}}
		if there != nil {
			if err := there.furnish(ctx, e, *name, &cfg); err != nil {
				return err
			}
		}
		return playEstate(ctx, e, cfg, *span, out)
	} else if *profile != "household" {
		return wrongUsage("--profile: %q is neither household nor estate-500 (1 to 10000)", *profile)
	}
	f := newFleet(*name, *base, *count, *perLine)
	if there != nil {
		if err := there.furnish(ctx, f, *name, &cfg); err != nil {
			return err
		}
	}
	if err := f.connect(ctx, cfg, *name); err != nil {
		return err
	}
	defer f.close()
	fmt.Fprintf(out, "%d sensors on %d connections publish %v to %s for %s\n", *count, len(f.lines), every, *broker, *span)

	ctx, cancel := context.WithTimeout(ctx, *span)
	defer cancel()
	l := &load{fleet: f, rate: every, alarm: *alarm}
	var telling sync.WaitGroup
	var cut error
	if there != nil {
		// The desk sees what is on its way when the last has been published.
		open, shut := context.WithCancel(context.WithoutCancel(ctx))
		defer shut()
		if l.desk, err = openDesk(open, there); err != nil {
			return err
		}
		telling.Go(func() { cut = l.desk.watch(open) })
		context.AfterFunc(ctx, func() { time.AfterFunc(patience, shut) })
	}
	telling.Go(func() {
		for wait(ctx, time.Now().Add(10*time.Second)) {
			l.tally.progress(out)
		}
	})
	l.run(ctx)
	telling.Wait()
	err = l.tally.summary(out)
	if l.desk != nil {
		err = errors.Join(err, l.desk.summary(out), cut)
	}
	return err
}

// furnish sets the fleet up at the station: its sensors, and an account for them
// where none is given.
func (s *stationAPI) furnish(ctx context.Context, fl interface{ sensors() []station.Sensor }, name string, cfg *devicestest.Config) error {
	for _, sn := range fl.sensors() {
		if err := s.call(ctx, http.MethodPut, "sensors/"+sn.ID, sn, nil); err != nil {
			return fmt.Errorf("set up sensor %s: %w", sn.ID, err)
		}
	}
	if cfg.Username != "" {
		return nil
	}
	var made station.DeviceCredential
	if err := s.call(ctx, http.MethodPut, "devices/"+name, nil, &made); err != nil {
		return fmt.Errorf("set up account %s at the broker: %w", name, err)
	}
	cfg.Username, cfg.Password = made.Username, station.Secret(made.Password)
	return admitted(ctx, *cfg, name)
}

// admitted returns when the broker lets the account in, which is a moment after
// the station has made it.
func admitted(ctx context.Context, cfg devicestest.Config, name string) error {
	cfg.ClientID = name + "-1"
	for late := time.Now().Add(10 * time.Second); ; {
		l, err := openLine(ctx, cfg, nil)
		if err == nil {
			l.close()
			return nil
		}
		if time.Now().After(late) || !wait(ctx, time.Now().Add(100*time.Millisecond)) {
			return err
		}
	}
}

// validName accepts what can stand in a topic, a path and a client's name.
func validName(name string) bool {
	return name != "" && len(name) <= 20 && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-'
	})
}
