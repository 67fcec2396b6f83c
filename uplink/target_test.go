package uplink_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/uplink"
	"stationd/uplink/uplinktest"
)

func alarmEvent(lane station.Lane, subject string, kind station.AlarmKind, severity station.Severity) station.Event {
	return station.Event{Type: station.EventAlarmRaised, Subject: subject, Lane: lane, Data: fmt.Appendf(nil, `{"kind":%q,"severity":%q}`, kind, severity)}
}

// TestTargets: three targets at once, each with a filter and cursors of its own,
// one of them dead: the others get theirs, whole and in order, and what a filter
// holds back holds no cursor back.
func TestTargets(t *testing.T) {
	w := uplinktest.NewWorld(t)
	w.Start()
	j := uplinktest.NewJournal(node)
	service := uplinktest.NewService(t)
	base := w.Station(node)
	web := uplink.Target{Name: "street", URL: service.URL(), SecretFile: service.SecretFile(), Filter: uplink.Filter{
		Lanes: []station.Lane{station.LaneUrgent}, Severity: station.SeverityMajor, Kinds: []station.AlarmKind{station.KindSmoke},
	}}
	dead := uplink.Target{Name: "dead", URL: "http://127.0.0.1:1/none", SecretFile: service.SecretFile()}
	for _, x := range []uplink.Target{web, dead} {
		if err := x.Validate(); err != nil {
			t.Fatal(err)
		}
	}
	parent := uplink.New(base, uplink.Deps{Journal: j, Log: w.Log})
	street := uplink.New(base.Beside(web), uplink.Deps{Journal: j, Log: w.Log})
	nobody := uplink.New(base.Beside(dead), uplink.Deps{Journal: j, Log: w.Log})
	for _, u := range []*uplink.Uplink{parent, street, nobody} {
		uplinktest.Run(t, u)
	}
	const n = 2000
	for i := range n {
		switch {
		case i%100 == 7:
			j.Put(alarmEvent(station.LaneUrgent, "alarm/smoke", station.KindSmoke, station.SeverityCritical))
		case i%100 == 8:
			j.Put(alarmEvent(station.LaneUrgent, "alarm/minor", station.KindSmoke, station.SeverityMinor))
		default:
			j.Put(alarmEvent(station.LaneUrgent, "alarm/water", station.KindWater, station.SeverityCritical))
		}
	}
	head := j.Append(station.LaneNormal, "sensor/1", 50)[49].Seq
	uplinktest.Eventually(t, 20*time.Second, "the parent has all", func() bool {
		return w.Inbox.Count(node, station.LaneUrgent) == n && w.Inbox.Count(node, station.LaneNormal) == 50
	})
	uplinktest.Eventually(t, 20*time.Second, "the street has its alarms", func() bool { return len(service.Events(station.LaneUrgent)) == n/100 })
	for _, ev := range service.Events(station.LaneUrgent) {
		if ev.Subject != "alarm/smoke" {
			t.Errorf("the street got %s", ev.Subject)
		}
	}
	// The cursor of the filtered target is near the end, though its last event lies
	// far behind; and that of the dead one is where it was.
	uplinktest.Eventually(t, 20*time.Second, "the filter holds no cursor back", func() bool {
		c, err := j.Cursor("street", station.LaneUrgent)
		return err == nil && c.Seq+600 > head && c.Hop == n/100
	})
	if c, _ := j.Cursor("street", station.LaneNormal); c.Seq != 0 {
		t.Errorf("a cursor for a lane that is not served: %+v", c)
	}
	st := nobody.Status()
	if c, _ := j.Cursor("dead", station.LaneUrgent); c.Seq != 0 || st.Lanes[0].Backlog != n || st.LastError == "" || st.Hint == "" {
		t.Errorf("the dead target: cursor %+v, status %+v", c, st)
	}
	if st := street.Status(); st.Lanes[0].Backlog != 0 || len(st.Lanes) != 1 || !st.Connected {
		t.Errorf("the street: %+v", st)
	}
}

// TestWebhook: batched and single, busy with Retry-After, broken off after it had
// taken the events in, started again: each event once by its id, in order.
func TestWebhook(t *testing.T) {
	for _, single := range []bool{false, true} {
		t.Run(fmt.Sprintf("single=%v", single), func(t *testing.T) {
			t.Parallel()
			service := uplinktest.NewService(t)
			var busy, broken atomic.Int64
			var mu sync.Mutex
			var refusedAt time.Time
			early := false
			service.Answer = func(w http.ResponseWriter, _ *http.Request) bool {
				mu.Lock()
				defer mu.Unlock()
				if !refusedAt.IsZero() && time.Since(refusedAt) < 1900*time.Millisecond {
					early = true
				}
				refusedAt = time.Time{}
				if busy.Add(1) != 2 {
					return false
				}
				refusedAt = time.Now()
				w.Header().Set("Retry-After", "2")
				w.WriteHeader(http.StatusServiceUnavailable)
				return true
			}
			service.Forget = func() bool { return broken.Add(1) == 3 }
			j := uplinktest.NewJournal(node)
			var said bytes.Buffer
			log := slog.New(slog.NewTextHandler(&locked{w: &said}, &slog.HandlerOptions{Level: slog.LevelDebug}))
			cfg := uplink.DefaultConfig().Beside(uplink.Target{Name: "web", URL: service.URL() + "?token=geheim", SecretFile: service.SecretFile(), Single: single})
			cfg.RetryMin, cfg.RetryMax = 5*time.Millisecond, 50*time.Millisecond
			n := 500
			if single {
				n = 20
			}
			u := uplink.New(cfg, uplink.Deps{Journal: j, Log: log})
			stop := uplinktest.Run(t, u)
			want := j.Append(station.LaneUrgent, "alarm/1", n)
			uplinktest.Eventually(t, 30*time.Second, "all acknowledged", func() bool { return u.Received(station.LaneUrgent) == want[n-1].Seq })
			stop()
			u = uplink.New(cfg, uplink.Deps{Journal: j, Log: log})
			uplinktest.Run(t, u)
			want = append(want, j.Append(station.LaneUrgent, "alarm/1", 1)...)
			uplinktest.Eventually(t, 10*time.Second, "the one after the restart", func() bool { return u.Received(station.LaneUrgent) == want[n].Seq })
			got := service.Events(station.LaneUrgent)
			if len(got) != len(want) {
				t.Fatalf("%d events, want %d", len(got), len(want))
			}
			for i := range want {
				if got[i].ID != want[i].ID || got[i].Source != "/nodes/"+string(node) {
					t.Fatalf("place %d: %s, want %s", i, got[i].ID, want[i].ID)
				}
			}
			kind := "application/cloudevents-batch+json"
			if single {
				kind = "application/cloudevents+json"
			}
			requests, again := service.Requests(kind)
			if requests == 0 || again == 0 || !service.Repeated() || early {
				t.Errorf("%d requests, %d events again, same key again %v, before Retry-After %v", requests, again, service.Repeated(), early)
			}
			if text := said.String(); strings.Contains(text, "a secret of both ends") || strings.Contains(text, "geheim") {
				t.Errorf("a secret is in the log: %s", text)
			}
		})
	}
}

// locked is a writer for many.
type locked struct {
	mu sync.Mutex
	w  *bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// TestWebhookRefuses: a receiver that does not take the signature is named with
// the remedy; a secret that is too short is not used.
func TestWebhookRefuses(t *testing.T) {
	service := uplinktest.NewService(t)
	wrong := filepath.Join(t.TempDir(), "wrong")
	if err := os.WriteFile(wrong, []byte("another secret of both ends"), 0o600); err != nil {
		t.Fatal(err)
	}
	j := uplinktest.NewJournal(node)
	cfg := uplink.DefaultConfig().Beside(uplink.Target{Name: "web", URL: service.URL(), SecretFile: wrong})
	u := uplink.New(cfg, uplink.Deps{Journal: j, Log: slog.New(slog.DiscardHandler)})
	uplinktest.Run(t, u)
	j.Append(station.LaneUrgent, "alarm/1", 3)
	uplinktest.Eventually(t, 10*time.Second, "the refusal is told", func() bool {
		st := u.Status()
		return strings.Contains(st.LastError, "401") && strings.Contains(st.Hint, "secret")
	})
	if u.Received(station.LaneUrgent) != 0 || len(service.Events(station.LaneUrgent)) != 0 {
		t.Error("a refusal was taken for an acknowledgement")
	}
	short := filepath.Join(t.TempDir(), "short")
	if err := os.WriteFile(short, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	u = uplink.New(uplink.DefaultConfig().Beside(uplink.Target{Name: "web", URL: service.URL(), SecretFile: short}), uplink.Deps{Journal: j, Log: slog.New(slog.DiscardHandler)})
	uplinktest.Run(t, u)
	uplinktest.Eventually(t, 10*time.Second, "the short secret is told", func() bool { return strings.Contains(u.Status().LastError, "fewer than") })
}

// TestTargetFaults: each fault has a place and a remedy.
func TestTargetFaults(t *testing.T) {
	for place, target := range map[string]uplink.Target{
		"name":            {Name: "A B", URL: "https://x/y", SecretFile: "f"},
		"url":             {Name: "a", URL: "http://street.example/y", SecretFile: "f"},
		"secret_file":     {Name: "a", URL: "https://x/y"},
		"certificate":     {Name: "a", URL: "mqtts://x:1"},
		"filter.lanes":    {Name: "a", URL: "https://x/y", SecretFile: "f", Filter: uplink.Filter{Lanes: []station.Lane{"fast"}}},
		"filter.severity": {Name: "a", URL: "https://x/y", SecretFile: "f", Filter: uplink.Filter{Severity: "bad"}},
		"filter.types":    {Name: "a", URL: "https://x/y", SecretFile: "f", Filter: uplink.Filter{Types: []string{"a*b"}}},
	} {
		faults := station.Faults(target.Validate())
		if len(faults) != 1 {
			t.Errorf("%s: %v", place, faults)
			continue
		}
		if p, ok := station.AsProblem(faults[0]); !ok || p.Place != place || p.Hint == "" {
			t.Errorf("%s: %+v", place, faults[0])
		}
	}
}
