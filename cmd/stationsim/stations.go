package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"stationd/agent/station"
	"stationd/uplink"
	"stationd/uplink/pki"
)

// stationsConfig is what many simulated stations do to one centre.
type stationsConfig struct {
	url   string // mqtts://host:port
	ca    string // folder of the centre's authority, whose key signs the stations' certificates
	work  string // folder for those certificates
	n     int
	rate  int // events a second, of all stations together
	alarm time.Duration
	last  time.Duration
	bad   []string
	log   *slog.Logger
}

// stations lets simulated stations work at a centre, by the real protocol and each with
// a certificate of its own, and tells how long events took to be durable there.
func stations(ctx context.Context, args []string, out, errs io.Writer) error {
	flags := newFlags("stations", "many stations at one centre", errs)
	c := stationsConfig{log: slog.New(slog.DiscardHandler)}
	flags.StringVar(&c.url, "centre", "mqtts://127.0.0.1:8883", "`address` where the centre lets stations in")
	flags.StringVar(&c.ca, "ca", "", "`folder` of the centre's own authority (DATA/authority), to make certificates with")
	flags.IntVar(&c.n, "n", 50, "how many stations")
	flags.IntVar(&c.rate, "rate", 2000, "events a second, of all together")
	flags.DurationVar(&c.alarm, "alarm", time.Second, "time between two alarms, of all together; 0s is none")
	flags.DurationVar(&c.last, "for", time.Minute, "how long")
	pid := flags.Int("pid", 0, "the centre's process, to measure what it uses; 0 measures nothing")
	bad := flags.String("bad", "", "one more station misbehaves: flood,huge,garbage,foreign, or some of them")
	verbose := flags.Bool("v", false, "say what the stations say")
	if err := parse(flags, args); err != nil {
		return err
	}
	if err := errors.Join(within("n", c.n, 1, 1000), within("rate", c.rate, 1, 100_000), within("for", c.last, time.Second, 24*time.Hour)); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(c.ca, pki.AuthorityFile)); err != nil {
		return wrongUsage("--ca: name the folder of the centre's authority, with %s in it", pki.AuthorityFile)
	}
	if *bad != "" {
		c.bad = strings.Split(*bad, ",")
		for _, b := range c.bad {
			if !slices.Contains(misdeeds, b) {
				return wrongUsage("--bad: %q is none of %s", b, strings.Join(misdeeds, ", "))
			}
		}
	}
	if *verbose {
		c.log = slog.New(slog.NewTextHandler(errs, nil))
	}
	var err error
	if c.work, err = os.MkdirTemp("", "stationsim-"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(c.work) }()
	var before process
	if *pid != 0 {
		if before, err = measure(*pid); err != nil {
			return err
		}
	}
	figures, err := c.run(ctx)
	if err != nil {
		return err
	}
	figures.print(out)
	if *pid != 0 {
		after, err := measure(*pid)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "centre            %.1f%% of a core, %d MB resident\n", 100*float64(after.cpu-before.cpu)/float64(after.at.Sub(before.at)), after.rss>>20)
	}
	if figures.left > 0 {
		return fmt.Errorf("%d events are not at the centre", figures.left)
	}
	return nil
}

// stationsFigures is what came of it.
type stationsFigures struct {
	n, written, held, left int
	took                   time.Duration
	urgent, others         latencies
	misdeeds               map[string]int
}

func (f *stationsFigures) print(out io.Writer) {
	fmt.Fprintf(out, "stations          %d\n", f.n)
	fmt.Fprintf(out, "written           %d in %s, %.1f/s\n", f.written, f.took.Round(100*time.Millisecond), float64(f.written)/f.took.Seconds())
	fmt.Fprintf(out, "durable           %d\n", f.held)
	fmt.Fprintf(out, "alarms            %v (%d)\n", &f.urgent, f.urgent.count)
	fmt.Fprintf(out, "readings          %v (%d)\n", &f.others, f.others.count)
	for _, m := range misdeeds {
		if n := f.misdeeds[m]; n > 0 {
			fmt.Fprintf(out, "misdeeds, %-7s %d\n", m, n)
		}
	}
}

// stationName is the i-th station's.
func stationName(i int) station.NodeID { return station.NodeID(fmt.Sprintf("sim-%03d", i+1)) }

// run lets the stations work, and waits for what is on its way.
func (c stationsConfig) run(ctx context.Context) (*stationsFigures, error) {
	ca, err := pki.Open(c.ca)
	if err != nil {
		return nil, fmt.Errorf("open the centre's authority: %w", err)
	}
	tally := &centreTally{}
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	journals := make([]*below, c.n)
	for i := range journals {
		files, err := ca.EnsureNode(filepath.Join(c.work, string(stationName(i))), stationName(i))
		if err != nil {
			return nil, err
		}
		journals[i] = newBelow(stationName(i), tally)
		cfg := uplink.DefaultConfig()
		cfg.URL, cfg.Certificate, cfg.Key, cfg.Authority = c.url, files.Certificate, files.Key, files.Authority
		u := uplink.New(cfg, uplink.Deps{
			Version: "sim", Journal: journals[i], Log: c.log.With("station", stationName(i)),
			Health: func() station.NodeHealth { return station.NodeHealth{At: time.Now()} },
		})
		all.Go(func() { _ = u.Run(ctx) }) // it ends with ctx alone
	}
	evil, err := c.openVillain(ca)
	if err != nil {
		return nil, err
	}
	if evil != nil {
		all.Go(func() { evil.run(ctx) })
	}
	began := time.Now()
	if err := c.write(ctx, journals, tally); err != nil {
		return nil, err
	}
	took := time.Since(began)
	left := func() (n int) {
		for _, j := range journals {
			n += j.left()
		}
		return n
	}
	for late := time.Now().Add(patience * 5); left() > 0 && time.Now().Before(late) && wait(ctx, time.Now().Add(20*time.Millisecond)); {
	}
	tally.mu.Lock()
	defer tally.mu.Unlock()
	f := &stationsFigures{n: c.n, written: tally.written, held: tally.held, left: left(), took: took, urgent: tally.urgent, others: tally.others}
	if evil != nil {
		f.misdeeds = evil.count()
	}
	return f, nil
}

// write writes readings, and alarms between them, evenly over the stations.
func (c stationsConfig) write(ctx context.Context, journals []*below, tally *centreTally) error {
	const tick = 20 * time.Millisecond
	begin := time.Now()
	end := begin.Add(c.last)
	alarms, readings := 0, 0
	for due := begin; due.Before(end) && wait(ctx, due); due = due.Add(tick) {
		// What is due is written, however late the machine is: the rate is the rate.
		for want := int(float64(c.rate) * due.Sub(begin).Seconds()); readings < want; readings++ {
			j := journals[readings%len(journals)]
			sensor := fmt.Sprintf("t-%d", readings/len(journals)%40)
			st := station.SensorState{Sensor: sensor, LastSeen: time.Now(), Values: map[string]station.Value{"temperature": 20 + readings%10}}
			if err := j.write(station.LaneBulk, station.EventReading, "sensor/"+sensor, st); err != nil {
				return err
			}
		}
		for ; c.alarm > 0 && time.Duration(alarms)*c.alarm < due.Sub(begin); alarms++ {
			j := journals[alarms%len(journals)]
			al := station.Alarm{
				ID: station.NewID(), Node: j.node, Kind: station.KindDoor, Severity: station.KindDoor.Severity(), State: station.StateCleared,
				Sensor: fmt.Sprintf("d-%d", alarms%40), Name: "模拟门磁", RaisedAt: time.Now(), LastAt: time.Now(), Count: 1, ReturnedAt: time.Now(), ClearedAt: time.Now(),
			}
			if err := j.write(station.LaneUrgent, station.EventAlarmRaised, "alarm/"+al.ID, al); err != nil {
				return err
			}
		}
	}
	tally.mu.Lock()
	tally.written = readings + alarms
	tally.mu.Unlock()
	return ctx.Err()
}
