package uplink_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/uplink"
	"stationd/uplink/protocol"
	"stationd/uplink/uplinktest"
)

// camera is a station's live picture made small: it exchanges descriptions and
// then shows the picture until it is told to stop.
type camera struct {
	mu      sync.Mutex
	answers []string
	running int
}

func (c *camera) DialOut(ctx context.Context, id string, _ station.StreamRole, exchange func(context.Context, string) (string, error)) error {
	if id != "gate" {
		return station.Errorf(404, "camera.unknown", "look at the list", "there is no camera %q", id)
	}
	answer, err := exchange(ctx, "offer of "+id)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.answers = append(c.answers, answer)
	c.running++
	c.mu.Unlock()
	<-ctx.Done()
	c.mu.Lock()
	c.running--
	c.mu.Unlock()
	return ctx.Err()
}

func (c *camera) live() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running
}

// screen is the centre's end.
type screen struct{ refuse error }

func (s *screen) AcceptLeg(_ context.Context, node station.NodeID, session, offer string) (string, error) {
	return fmt.Sprintf("answer to %s/%s: %s", node, session, offer), s.refuse
}

func TestLiveLeg(t *testing.T) {
	w := uplinktest.NewWorld(t)
	scr := &screen{}
	w.Live = scr
	w.Start()
	cam := &camera{}
	u := uplink.New(w.Station(node), uplink.Deps{Journal: uplinktest.NewJournal(node), Live: cam, Log: w.Log})
	stop := uplinktest.Run(t, u)
	uplinktest.Eventually(t, 5*time.Second, "the station is there", func() bool { return w.Inbox.Online(node) })
	ctx := t.Context()
	problem := func(err error) string {
		p, _ := station.AsProblem(err)
		if p == nil {
			return fmt.Sprint(err)
		}
		return p.Code
	}

	if err := w.Centre.OpenLeg(ctx, node, "gate", station.RoleFocus, "leg-1"); err != nil {
		t.Fatal(err)
	}
	uplinktest.Eventually(t, 5*time.Second, "the picture runs", func() bool { return cam.live() == 1 })
	if got := cam.answers[0]; got != "answer to cunju-1/leg-1: offer of gate" {
		t.Errorf("answer %q", got)
	}
	if err := w.Centre.CloseLeg(ctx, node, "leg-1"); err != nil {
		t.Fatal(err)
	}
	uplinktest.Eventually(t, 5*time.Second, "the picture is closed", func() bool { return cam.live() == 0 })

	if err := w.Centre.OpenLeg(ctx, node, "cellar", station.RoleFocus, "leg-2"); problem(err) != "camera.unknown" {
		t.Errorf("unknown camera: %v", err)
	}
	scr.refuse = errors.New("no more decoders")
	if err := w.Centre.OpenLeg(ctx, node, "gate", station.RoleFocus, "leg-3"); err == nil || problem(err) == "leg.silent" {
		t.Errorf("refused by the centre: %v", err)
	}
	scr.refuse = nil
	if err := w.Centre.OpenLeg(ctx, "nobody", "gate", station.RoleFocus, "leg-4"); problem(err) != "node.offline" {
		t.Errorf("offline: %v", err)
	}
	// A leg that runs ends with the station.
	if err := w.Centre.OpenLeg(ctx, node, "gate", station.RoleFocus, "leg-5"); err != nil {
		t.Fatal(err)
	}
	uplinktest.Eventually(t, 5*time.Second, "the picture runs", func() bool { return cam.live() == 1 })
	stop()
	if cam.live() != 0 {
		t.Error("the picture outlived the station")
	}
}

// TestExpiredSignal: a call that was stuck in a broker is not obeyed, but a wrong
// clock at the parent does no harm.
func TestExpiredSignal(t *testing.T) {
	p := uplinktest.NewParent()
	const wrong = 72 * time.Hour
	p.Welcome = func(protocol.Hello) (protocol.Welcome, bool) {
		return protocol.Welcome{Protocol: 1, Versions: []int{1}, Node: "parent", Time: time.Now().Add(wrong)}, true
	}
	w := uplinktest.NewWorld(t)
	cam := &camera{}
	u := uplink.New(w.Station(node), uplink.Deps{Journal: uplinktest.NewJournal(node), Live: cam, Dialer: p, Log: w.Log})
	uplinktest.Run(t, u)
	uplinktest.Eventually(t, 5*time.Second, "connected", func() bool { return u.Status().Connected })
	say := func(session string, issued time.Time) {
		b, err := protocol.Encode(protocol.Signal{Protocol: 1, Kind: protocol.SignalOpen, Session: session, Camera: "gate", Issued: issued, Lifetime: 5})
		if err != nil {
			t.Fatal(err)
		}
		p.Say(protocol.ChannelSignalDown, b)
	}
	say("old", time.Now().Add(wrong-10*time.Second))
	say("ours", time.Now()) // by our own clock fresh, by the parent's days old
	say("fresh", time.Now().Add(wrong))
	for m := range p.Heard {
		if m.Channel != protocol.ChannelSignalUp {
			continue
		}
		s, err := protocol.Decode[protocol.Signal](m.Payload)
		if s.Kind == protocol.SignalClock {
			continue
		}
		if err != nil || s.Session != "fresh" || s.Kind != protocol.SignalOffer {
			t.Errorf("the station answered %+v, %v", s, err)
		}
		return
	}
}

// clerk carries commands out once for each ID.
type clerk struct {
	mu   sync.Mutex
	done map[string]int
}

func (c *clerk) Handle(_ context.Context, cmd station.Command) station.Receipt {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done[cmd.ID]++
	r := station.Receipt{Command: cmd.ID, At: time.Now(), Result: cmd.Body}
	if cmd.Subject == "missing" {
		r.Problem = station.ErrNotFound.Because(errors.New("secret detail"))
	}
	return r
}

func TestCommands(t *testing.T) {
	w := uplinktest.NewWorld(t)
	w.Config.CommandRetry = time.Second
	w.Start()
	c := &clerk{done: map[string]int{}}
	u := uplink.New(w.Station(node), uplink.Deps{Journal: uplinktest.NewJournal(node), Commands: c, Log: w.Log})

	// The first command waits for the station to come.
	type outcome struct {
		r   station.Receipt
		err error
	}
	first := make(chan outcome, 1)
	go func() {
		r, err := w.Centre.Order(t.Context(), node, station.Command{ID: "c1", Type: station.CommandAnswerAlarm, Body: []byte(`{"kind":"real"}`)})
		first <- outcome{r, err}
	}()
	uplinktest.Run(t, u)
	if o := <-first; o.err != nil || o.r.Command != "c1" || string(o.r.Result) != `{"kind":"real"}` || o.r.Problem != nil {
		t.Errorf("first: %+v", o)
	}
	r, err := w.Centre.Order(t.Context(), node, station.Command{ID: "c2", Type: station.CommandRemoveCamera, Subject: "missing"})
	if err != nil || r.Problem == nil || r.Problem.Code != "not-found" {
		t.Errorf("refused: %+v, %v", r, err)
	}
	if _, err := w.Centre.Order(t.Context(), node, station.Command{ID: "c3", Type: "x", Expires: time.Now().Add(-time.Second)}); !errors.Is(err, protocol.ErrExpired) {
		t.Errorf("expired: %v", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done["c3"] != 0 {
		t.Error("an expired command was carried out")
	}
}
