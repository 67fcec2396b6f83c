package devices_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/devices"
	"stationd/devices/devicestest"
	"stationd/devices/gb26875"
	"stationd/devices/payload"
)

// ledger is a sink that can be out of order.
type ledger struct {
	mu      sync.Mutex
	fail    error
	reports []station.Report
}

func (l *ledger) HandleReport(_ context.Context, r station.Report) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		return l.fail
	}
	l.reports = append(l.reports, r)
	return nil
}

func (l *ledger) broken(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fail = err
}

// fires are the reports in which smoke alarms.
func (l *ledger) fires() (list []station.Report) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.reports {
		for _, sig := range r.Signals {
			if sig.Kind == station.KindSmoke && sig.Active {
				list = append(list, r)
			}
		}
	}
	return list
}

// A detector that nobody has registered alarms over the fire-alarm line; the unit
// is told so after it is stored, and not before.
func TestTheFireAlarmLineConfirmsWhatIsStored(t *testing.T) {
	sink := &ledger{}
	s := devices.New(config(), devices.Deps{Node: "n1", Sink: sink, Feeds: []string{gb26875.FamilyName}, Log: slog.New(slog.DiscardHandler)})
	s.Apply(devices.Registry{})
	start(t, s)

	cfg := gb26875.DefaultConfig()
	cfg.Listen = "127.0.0.1:0"
	line := gb26875.New(cfg, gb26875.Deps{
		Handle: func(ctx context.Context, readings ...payload.Reading) error {
			unit, _, _ := strings.Cut(readings[0].Device, "/")
			return s.Take(ctx, gb26875.FamilyName, unit, readings...)
		},
		Log: slog.New(slog.DiscardHandler),
	})
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	done := make(chan error, 1)
	go func() { done <- line.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	<-line.Ready()
	unit, err := devicestest.DialUnit(ctx, line.Addr().String(), [6]byte{0x79, 3})
	if err != nil {
		t.Fatal(err)
	}
	defer unit.Close()

	now := time.Now()
	fire := unit.Frame(2, unit.PartState(40, 10, 2, 0x0003, "3号楼5层走道感烟", now), now)
	sink.broken(errors.New("the disk is full"))
	if err := unit.Write(fire); err != nil {
		t.Fatal(err)
	}
	if a, err := unit.Answer(ctx); err != nil || a.Command != byte(gb26875.Deny) {
		t.Fatalf("not stored, and answered %+v: %v", a, err)
	}
	sink.broken(nil)
	for range 2 { // sent again, and again
		if err := unit.Write(fire); err != nil {
			t.Fatal(err)
		}
		if a, err := unit.Answer(ctx); err != nil || a.Command != byte(gb26875.Confirm) {
			t.Fatalf("answered %+v: %v", a, err)
		}
	}
	fires := sink.fires()
	if len(fires) != 1 {
		t.Fatalf("%d fires out of one", len(fires))
	}
	u := fires[0].Unknown
	if u == nil || u.Name != "3号楼5层走道感烟" || u.Class != station.ClassSmoke || u.Source.Family != gb26875.FamilyName ||
		u.Source.Broker != gb26875.Broker || u.Source.Device != "000000000379/1-1/10-2" {
		t.Errorf("%+v", u)
	}
}
