package uplink_test

import (
	"errors"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"stationd/agent/station"
	"stationd/uplink"
	"stationd/uplink/protocol"
	"stationd/uplink/uplinktest"
)

// quiet is an uplink of which everything is in memory, for a bubble of time.
func quiet(j *uplinktest.Journal, p *uplinktest.Parent) *uplink.Uplink {
	cfg := uplink.DefaultConfig()
	cfg.URL = "mqtts://parent:8883"
	return uplink.New(cfg, uplink.Deps{Journal: j, Dialer: p, Log: slog.New(slog.DiscardHandler)})
}

func ack(t *testing.T, p *uplinktest.Parent, j *uplinktest.Journal, seq, hop, expect uint64) {
	t.Helper()
	b, err := protocol.Encode(protocol.Ack{
		Protocol: 1, Session: p.Session(), Lane: station.LaneUrgent,
		Mark: protocol.Mark{Epoch: j.Epoch(), Seq: protocol.Decimal(seq), Hop: protocol.Decimal(hop)}, Expect: protocol.Decimal(expect),
	})
	if err != nil {
		t.Fatal(err)
	}
	p.Say(protocol.ChannelAcks, b)
}

// batch is the next batch of events that the parent heard.
func batch(t *testing.T, p *uplinktest.Parent) []protocol.Envelope {
	t.Helper()
	for m := range p.Heard {
		if m.Channel == protocol.ChannelEvents {
			b, err := protocol.DecodeBatch(node, m.Lane, m.Payload)
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
	}
	return nil
}

// batches counts the batches that the parent has heard and nobody has fetched; what
// else is said, of clocks for example, is passed over.
func batches(p *uplinktest.Parent) (n int) {
	for range len(p.Heard) {
		if m := <-p.Heard; m.Channel == protocol.ChannelEvents {
			n++
		}
	}
	return n
}

// TestSilentParent: what is not acknowledged is sent again, then the connection
// is given up; nothing but an acknowledgement moves the cursor.
func TestSilentParent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, p := uplinktest.NewJournal(node), uplinktest.NewParent()
		u := quiet(j, p)
		stop := uplinktest.Run(t, u)
		j.Append(station.LaneUrgent, "alarm/1", 3)
		began := time.Now()
		for range 4 {
			if b := batch(t, p); len(b) != 3 || b[0].Hop != 1 {
				t.Fatalf("sent %v", b)
			}
		}
		if d := time.Since(began); d != 3*uplink.DefaultConfig().AckTimeout {
			t.Errorf("sent four times within %s", d)
		}
		if b := batch(t, p); b[0].Hop != 1 || len(p.Dials()) != 2 {
			t.Errorf("after silence: hop %d, %d connections", b[0].Hop, len(p.Dials()))
		}
		if u.Received(station.LaneUrgent) != 0 {
			t.Error("the cursor moved without an acknowledgement")
		}
		ack(t, p, j, 3, 3, 0)
		synctest.Wait()
		if u.Received(station.LaneUrgent) != 3 {
			t.Error("the cursor did not move")
		}
		stop()
	})
}

// TestStrangeAcks: old words are ignored, impossible ones end the session, a gap
// is sent again once however often it is asked for.
func TestStrangeAcks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, p := uplinktest.NewJournal(node), uplinktest.NewParent()
		u := quiet(j, p)
		stop := uplinktest.Run(t, u)
		j.Append(station.LaneUrgent, "alarm/1", 10)
		batch(t, p)
		ack(t, p, j, 10, 10, 0)
		ack(t, p, j, 4, 4, 5) // late
		synctest.Wait()
		if u.Received(station.LaneUrgent) != 10 || batches(p) != 0 {
			t.Errorf("received %d, or a batch after an old word", u.Received(station.LaneUrgent))
		}
		j.Append(station.LaneUrgent, "alarm/1", 5)
		batch(t, p)
		for range 5 {
			ack(t, p, j, 10, 10, 11)
		}
		synctest.Wait()
		if b := batch(t, p); b[0].Hop != 11 || batches(p) != 0 {
			t.Errorf("gap: sent from %d, or more than once", b[0].Hop)
		}
		ack(t, p, j, 12, 12, 0) // the parent counts otherwise than in batches
		if b := batch(t, p); b[0].Hop != 13 {
			t.Errorf("after a partial acknowledgement from %d", b[0].Hop)
		}
		ack(t, p, j, 99, 99, 0)
		synctest.Wait()
		if st := u.Status(); st.Connected || u.Received(station.LaneUrgent) != 12 || !strings.Contains(st.LastError, "not sent") {
			t.Errorf("an impossible acknowledgement: %+v", st)
		}
		stop()
	})
}

// TestBackOff: attempts get rarer, up to the limit, and the status says why.
func TestBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, p := uplinktest.NewJournal(node), uplinktest.NewParent()
		p.Refuse = func() error { return &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED} }
		u := quiet(j, p)
		stop := uplinktest.Run(t, u)
		j.Append(station.LaneUrgent, "alarm/1", 2)
		<-time.After(time.Hour)
		synctest.Wait()
		dials := p.Dials()
		if len(dials) < 120 || len(dials) > 260 {
			t.Errorf("%d attempts in an hour", len(dials))
		}
		for i := 1; i < len(dials); i++ {
			if d := dials[i].Sub(dials[i-1]); d > 30*time.Second {
				t.Errorf("%s between attempts", d)
			}
		}
		lamp := u.Lamps()[0]
		if lamp.Code != "uplink.down" || lamp.State != station.LampBad || lamp.Args["backlog"] != 2 || lamp.Hint != "uplink.line" {
			t.Errorf("lamp %+v", lamp)
		}
		if st := u.Status(); st.LastError == "" || !strings.Contains(st.Hint, "port") {
			t.Errorf("status %+v", st)
		}
		stop()
	})
}

// TestOtherVersion: a parent that speaks only another version is told apart from
// a dead line, and is not pestered.
func TestOtherVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, p := uplinktest.NewJournal(node), uplinktest.NewParent()
		p.Welcome = func(protocol.Hello) (protocol.Welcome, bool) {
			return protocol.Welcome{Versions: []int{7}, Problem: protocol.ErrVersion}, true
		}
		u := quiet(j, p)
		stop := uplinktest.Run(t, u)
		<-time.After(10 * time.Minute)
		synctest.Wait()
		if n := len(p.Dials()); n > 45 {
			t.Errorf("%d attempts in ten minutes", n)
		}
		if l := u.Lamps()[0]; l.Hint != "uplink.version" {
			t.Errorf("lamp %+v", l)
		}
		if st := u.Status(); !strings.Contains(st.Hint, "update") {
			t.Errorf("status %+v", st)
		}
		stop()
	})
}

// TestBehind: connected, and yet what matters does not get through.
func TestBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, p := uplinktest.NewJournal(node), uplinktest.NewParent()
		u := quiet(j, p)
		stop := uplinktest.Run(t, u)
		j.Append(station.LaneUrgent, "alarm/1", 1)
		<-time.After(35 * time.Second)
		synctest.Wait()
		if l := u.Lamps()[0]; l.Code != "uplink.behind" || l.State != station.LampWarn || l.Args["backlog"] != 1 {
			t.Errorf("lamp %+v", l)
		}
		stop()
	})
}

// TestNoParent: without an address nothing happens.
func TestNoParent(t *testing.T) {
	u := uplink.New(uplink.DefaultConfig(), uplink.Deps{Journal: uplinktest.NewJournal(node), Log: slog.New(slog.DiscardHandler)})
	stop := uplinktest.Run(t, u)
	if l := u.Lamps()[0]; l.Code != "uplink.off" || l.State != station.LampOff {
		t.Errorf("lamp %+v", l)
	}
	stop()
	if err := uplink.DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
}

func TestConfigFaults(t *testing.T) {
	cfg := uplink.DefaultConfig()
	cfg.URL, cfg.ClipsURL, cfg.RetryMax, cfg.Window.Events = "mqtt://centre:1883", "ftp://x", time.Nanosecond, 0
	var joined interface{ Unwrap() []error }
	if err := cfg.Validate(); !errors.As(err, &joined) {
		t.Fatal(err)
	}
	places := map[string]bool{}
	for _, err := range joined.Unwrap() {
		p, ok := station.AsProblem(err)
		if !ok || p.Hint == "" {
			t.Errorf("fault without a remedy: %v", err)
			continue
		}
		places[p.Place] = true
	}
	for _, place := range []string{"url", "clips_url", "certificate", "key", "authority", "retry_max", "window.events"} {
		if !places[place] {
			t.Errorf("no fault at %s", place)
		}
	}
}

// TestTheParentAsksForAPause: the lane goes on when the pause is over, not before;
// why it waits is told meanwhile, and the other lanes do not wait with it.
func TestTheParentAsksForAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, p := uplinktest.NewJournal(node), uplinktest.NewParent()
		u := quiet(j, p)
		stop := uplinktest.Run(t, u)
		j.Append(station.LaneNormal, "case/1", 2)
		batch(t, p)
		b, err := protocol.Encode(protocol.Ack{
			Protocol: 1, Session: p.Session(), Lane: station.LaneNormal, Mark: protocol.Mark{Epoch: j.Epoch(), Seq: 2, Hop: 2},
			Wait: 3000, Because: &station.Problem{Message: "the disk is slow"},
		})
		if err != nil {
			t.Fatal(err)
		}
		p.Say(protocol.ChannelAcks, b)
		synctest.Wait()
		began := time.Now()
		j.Append(station.LaneNormal, "case/1", 1)
		j.Append(station.LaneUrgent, "alarm/1", 1)
		if b := batch(t, p); len(b) != 1 || b[0].Event.Subject != "alarm/1" || time.Since(began) != 0 {
			t.Errorf("sent %v after %s", b, time.Since(began))
		}
		if st := u.Status(); st.Lanes[1].Held != "the disk is slow" {
			t.Errorf("%+v", st.Lanes)
		}
		ack(t, p, j, 4, 1, 0)
		if b := batch(t, p); len(b) != 1 || b[0].Event.Subject != "case/1" || time.Since(began) != 3*time.Second {
			t.Errorf("sent %v after %s", b, time.Since(began))
		}
		stop()
	})
}
