package gb26875_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"stationd/devices/devicestest"
	"stationd/devices/gb26875"
	"stationd/devices/payload"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// centre is a running server and what it handed on.
type centre struct {
	*gb26875.Server
	stop func()

	mu       sync.Mutex
	readings []payload.Reading
	odd      []string
	fail     error
}

func (c *centre) handle(_ context.Context, readings ...payload.Reading) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail != nil {
		return c.fail
	}
	c.readings = append(c.readings, readings...)
	return nil
}

func (c *centre) failing(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail = err
}

// fires counts the readings that report one.
func (c *centre) fires() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.readings {
		if r.Values["smoke"] == true {
			n++
		}
	}
	return n
}

func (c *centre) presences() (list []payload.Presence) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.readings {
		if r.Presence != "" {
			list = append(list, r.Presence)
		}
	}
	return list
}

func startCentre(t *testing.T, change func(*gb26875.Config)) *centre {
	t.Helper()
	cfg := gb26875.DefaultConfig()
	cfg.Listen = "127.0.0.1:0"
	if change != nil {
		change(&cfg)
	}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	c := &centre{}
	c.Server = gb26875.New(cfg, gb26875.Deps{
		Handle: c.handle, Log: slog.New(slog.DiscardHandler),
		Odd: func(_ string, _ []byte, err error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.odd = append(c.odd, err.Error())
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	<-c.Ready()
	c.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(c.stop)
	return c
}

func dial(t *testing.T, c *centre, address byte) (*devicestest.TransmissionUnit, context.Context) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	u, err := devicestest.DialUnit(ctx, c.Addr().String(), [6]byte{address})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = u.Close() })
	return u, ctx
}

const (
	confirm = 3
	deny    = 6
)

func TestAReportIsConfirmedOnceItIsStored(t *testing.T) {
	c := startCentre(t, nil)
	u, ctx := dial(t, c, 7)
	if a, err := u.Heartbeat(ctx); err != nil || a.Command != confirm || a.Serial != 1 || a.Destination != u.Address || a.Source != [6]byte{0x38, 0x5b, 1} {
		t.Fatalf("%+v: %v", a, err)
	}
	now := time.Now()
	fire := u.Frame(2, u.PartState(40, 3, 17, 3, "走道", now), now)

	c.failing(errors.New("the disk is full"))
	if err := u.Write(fire); err != nil {
		t.Fatal(err)
	}
	if a, err := u.Answer(ctx); err != nil || a.Command != deny {
		t.Fatalf("not stored, and answered %+v: %v", a, err)
	}
	if n := c.fires(); n != 0 {
		t.Fatalf("%d fires", n)
	}
	c.failing(nil)
	for range 3 { // the unit sends it again, and again when the confirmation is lost
		if err := u.Write(fire); err != nil {
			t.Fatal(err)
		}
		if a, err := u.Answer(ctx); err != nil || a.Command != confirm {
			t.Fatalf("%+v: %v", a, err)
		}
	}
	if n := c.fires(); n != 1 {
		t.Errorf("%d fires out of one", n)
	}
	if s := c.Stats(); s.Reports != 2 || s.Repeated != 2 || s.Denied != 1 {
		t.Errorf("%+v", s)
	}
}

// It is not a repetition when the detector sounds again.
func TestTheSameAlarmLaterIsAnother(t *testing.T) {
	c := startCentre(t, nil)
	u, ctx := dial(t, c, 7)
	now := time.Now()
	for i, state := range []uint16{3, 1, 3} {
		if a, err := u.Report(ctx, u.PartState(40, 3, 17, state, "走道", now.Add(time.Duration(i)*time.Second))); err != nil || a.Command != confirm {
			t.Fatalf("%+v: %v", a, err)
		}
	}
	if n := c.fires(); n != 2 {
		t.Errorf("%d fires, not 2", n)
	}
}

func TestARepetitionOnANewConnectionIsKnown(t *testing.T) {
	c := startCentre(t, nil)
	u, ctx := dial(t, c, 7)
	now := time.Now()
	fire := u.Frame(2, u.PartState(40, 3, 17, 3, "走道", now), now)
	for range 2 {
		if err := u.Write(fire); err != nil {
			t.Fatal(err)
		}
		if a, err := u.Answer(ctx); err != nil || a.Command != confirm {
			t.Fatalf("%+v: %v", a, err)
		}
		_ = u.Close()
		u, ctx = dial(t, c, 7)
	}
	if n := c.fires(); n != 1 {
		t.Errorf("%d fires out of one", n)
	}
}

func TestWhatCannotBeReadIsAnsweredAndTold(t *testing.T) {
	c := startCentre(t, nil)
	u, ctx := dial(t, c, 7)
	now := time.Now()
	damaged := u.Frame(2, []byte{21, 1, 2, 1, 2, 3, 4, 5, 26}, now)
	damaged[len(damaged)-3]++
	short := u.PartState(40, 3, 17, 3, "走道", now)
	short[1] = 2 // two are announced
	for _, step := range []struct {
		name    string
		frame   []byte
		command byte
	}{
		{"a wrong sum", damaged, deny},
		{"a type of the maker", u.Frame(2, []byte{130, 1, 9, 9}, now), confirm},
		{"an object missing", u.Frame(2, short, now), deny},
		{"a command that units do not send", u.Frame(4, nil, now), deny},
		{"garbage before a heartbeat", append(bytes.Repeat([]byte("@\x00"), 1500), u.Frame(2, nil, now)...), confirm},
	} {
		if err := u.Write(step.frame); err != nil {
			t.Fatal(err)
		}
		if a, err := u.Answer(ctx); err != nil || a.Command != step.command {
			t.Errorf("%s: %+v: %v", step.name, a, err)
		}
	}
	if n := c.fires(); n != 1 { // the part that was whole
		t.Errorf("%d fires", n)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.odd) != 4 {
		t.Errorf("told %q", c.odd)
	}
}

func TestAUnitThatIsGoneAndBackIsToldOnceEach(t *testing.T) {
	c := startCentre(t, func(cfg *gb26875.Config) { cfg.Absent = time.Second })
	u, ctx := dial(t, c, 7)
	for range 3 {
		if _, err := u.Heartbeat(ctx); err != nil {
			t.Fatal(err)
		}
	}
	_ = u.Close()
	offline := func() bool { return slices.Contains(c.presences(), payload.Offline) }
	for !offline() {
		if ctx.Err() != nil {
			t.Fatal("its absence is not told")
		}
		time.Sleep(20 * time.Millisecond)
	}
	u, ctx = dial(t, c, 7)
	now := time.Now()
	if _, err := u.Report(ctx, u.PartState(40, 3, 17, 3, "走道", now)); err != nil {
		t.Fatal(err)
	}
	list := slices.Compact(c.presences())
	if want := []payload.Presence{payload.Online, payload.Offline, payload.Online}; !slices.Equal(list, want) {
		t.Errorf("%v", list)
	}
}

// A unit that vanished while the station was switched off is missed all the same.
func TestAUnitThatDoesNotComeBackAfterARestartIsTold(t *testing.T) {
	c := startCentre(t, func(cfg *gb26875.Config) { cfg.Absent = 2 * time.Second })
	c.Expect("000000000007", "000000000008", "nonsense")
	u, ctx := dial(t, c, 7)
	if _, err := u.Heartbeat(ctx); err != nil {
		t.Fatal(err)
	}
	gone := func() (list []string) {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, r := range c.readings {
			if r.Presence == payload.Offline {
				list = append(list, r.Device)
			}
		}
		return list
	}
	for len(gone()) == 0 {
		if ctx.Err() != nil {
			t.Fatal("its absence is not told")
		}
		time.Sleep(20 * time.Millisecond)
	}
	if list := gone(); !slices.Equal(list, []string{"000000000008"}) {
		t.Errorf("gone: %q", list)
	}
}

func TestConnectionsAreLimited(t *testing.T) {
	c := startCentre(t, func(cfg *gb26875.Config) {
		cfg.MaxConnections, cfg.MaxUnidentified, cfg.IdentifyWithin = 3, 2, 2*time.Second
	})
	closed := func(conn net.Conn) bool {
		_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		_, err := conn.Read(make([]byte, 1))
		var timeout net.Error
		return err != nil && !(errors.As(err, &timeout) && timeout.Timeout())
	}
	open := func() net.Conn {
		conn, err := net.Dial("tcp", c.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	u, ctx := dial(t, c, 1)
	if _, err := u.Heartbeat(ctx); err != nil {
		t.Fatal(err)
	}
	silent := []net.Conn{open(), open()}
	if !closed(open()) {
		t.Error("a connection beyond the limit is kept")
	}
	for _, conn := range silent { // and those that say nothing go
		if !closed(conn) {
			t.Error("a silent connection is kept")
		}
	}
	if _, err := u.Heartbeat(ctx); err != nil {
		t.Errorf("the unit that speaks was disturbed: %v", err)
	}
	late, ctx := dial(t, c, 2)
	if _, err := late.Heartbeat(ctx); err != nil {
		t.Errorf("there is no place again: %v", err)
	}
	if c.Stats().Refused == 0 {
		t.Error("the refusal is not counted")
	}
}

func TestOnlyAllowedNetworksConnect(t *testing.T) {
	c := startCentre(t, func(cfg *gb26875.Config) { cfg.Allow = []string{"10.0.0.0/8"} })
	u, ctx := dial(t, c, 1)
	if _, err := u.Heartbeat(ctx); err == nil {
		t.Error("let in from elsewhere")
	}
	c = startCentre(t, func(cfg *gb26875.Config) { cfg.Allow = []string{"10.0.0.0/8", "127.0.0.0/8"} })
	u, ctx = dial(t, c, 1)
	if _, err := u.Heartbeat(ctx); err != nil {
		t.Error(err)
	}
}

// A stop while a report is being stored leaves it unanswered, so that it comes
// again.
func TestAStopAnswersNothingThatIsNotStored(t *testing.T) {
	c := startCentre(t, nil)
	u, ctx := dial(t, c, 7)
	c.failing(errors.New("not now"))
	now := time.Now()
	if err := u.Write(u.Frame(2, u.PartState(40, 3, 17, 3, "走道", now), now)); err != nil {
		t.Fatal(err)
	}
	for c.Stats().Frames == 0 {
		time.Sleep(time.Millisecond)
	}
	c.stop()
	if a, err := u.Answer(ctx); err == nil && a.Command == confirm {
		t.Errorf("answered %+v", a)
	}
}

// A panel that is reset forgets what stood: its parts are calm, save what it reports
// anew. What stands at another panel stays, and so does what was not stored.
func TestAResetEndsWhatStood(t *testing.T) {
	c := startCentre(t, nil)
	u, ctx := dial(t, c, 7)
	report := func(data []byte) {
		t.Helper()
		if a, err := u.Report(ctx, data); err != nil || a.Command != 3 {
			t.Fatalf("%+v %v", a, err)
		}
	}
	at := time.Now()
	smokes := func() map[string]any {
		c.mu.Lock()
		defer c.mu.Unlock()
		last := map[string]any{}
		for _, r := range c.readings {
			if v, ok := r.Values["smoke"]; ok && r.Model != "" {
				last[r.Device[len(r.Device)-3:]] = v
			}
		}
		return last
	}
	report(u.PartState(40, 1, 1, 1<<1, "一楼", at))
	report(u.PartState(40, 1, 2, 1<<1|1<<2, "二楼", at.Add(time.Second)))
	report(u.PartState(40, 1, 3, 1<<1, "三楼", at.Add(2*time.Second)))
	report(u.PartState(40, 1, 3, 0, "三楼", at.Add(3*time.Second)))
	other := u.PartState(40, 1, 4, 1<<1, "另一台", at)
	other[3] = 2 // the address of the system
	report(other)
	before := len(c.readings)
	c.failing(errors.New("full"))
	if a, err := u.Report(ctx, u.Operation(1, 1, 1, at.Add(4*time.Second))); err != nil || a.Command != 6 {
		t.Fatalf("a reset that was not stored: %+v %v", a, err)
	}
	c.failing(nil)
	report(u.Operation(1, 1, 1, at.Add(5*time.Second)))
	if got := smokes(); got["1-1"] != false || got["1-2"] != false || got["1-4"] != true {
		t.Errorf("after the reset: %v", got)
	}
	c.mu.Lock()
	ends := c.readings[before+1:]
	if len(ends) != 2 || ends[1].Values["fault"] != false || ends[0].Name != "一楼" || ends[0].DeviceTime.IsZero() || ends[0].Serial == ends[1].Serial {
		t.Errorf("%+v", ends)
	}
	c.mu.Unlock()
	report(u.PartState(40, 1, 2, 1<<1, "二楼", at.Add(10*time.Second))) // it still burns there
	report(u.Operation(1, 1, 1<<1, at.Add(11*time.Second)))           // muted, and not reset
	if got := smokes(); got["1-2"] != true {
		t.Errorf("%v", got)
	}
}

func TestConfigurationsThatCannotBe(t *testing.T) {
	for _, change := range []func(*gb26875.Config){
		func(c *gb26875.Config) { c.Listen = "26875" },
		func(c *gb26875.Config) { c.Allow = []string{"10.0.0.1"} },
		func(c *gb26875.Config) { c.MaxConnections = 0 },
		func(c *gb26875.Config) { c.MaxUnidentified = 5000 },
		func(c *gb26875.Config) { c.Idle = 0 },
	} {
		cfg := gb26875.DefaultConfig()
		change(&cfg)
		if cfg.Validate() == nil {
			t.Errorf("%+v was accepted", cfg)
		}
	}
}
