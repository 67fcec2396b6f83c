package agent_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"stationd/agent"
	"stationd/agent/account"
	"stationd/agent/station"
)

// shelf stands in for the record: it holds at most two spans.
type shelf struct {
	mu   sync.Mutex
	held []string
	gone []string
}

func (s *shelf) HoldEvidence(_ context.Context, h station.Hold) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Contains(s.held, h.ID) {
		return nil
	}
	if len(s.held) == 2 {
		return station.Errorf(507, "evidence.full", "release some", "full")
	}
	s.held = append(s.held, h.ID)
	return nil
}

func (s *shelf) ReleaseEvidence(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.held, id); i >= 0 {
		s.held = slices.Delete(s.held, i, i+1)
		return nil
	}
	return station.ErrNotFound
}

func (s *shelf) Evidence() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.held)
}

func (s *shelf) Gone() []string { return slices.Clone(s.gone) }
func (s *shelf) EvidenceBytes(id string) int64 {
	if slices.Contains(s.Evidence(), id) {
		return 5 << 20
	}
	return 0
}

func (s *shelf) GoneTold(id string) error {
	s.gone = slices.DeleteFunc(s.gone, func(g string) bool { return g == id })
	return nil
}

func TestEvidenceIsHeldAndReleasedForAReason(t *testing.T) {
	film := &shelf{}
	r := newRig(t, func(_ *agent.Config, d *agent.Deps) { d.Evidence = film })
	r.must(r.do(station.CommandPutCamera, "cam", map[string]any{"id": "cam", "name": "走廊", "url": "rtsp://127.0.0.1/x", "record": true}))
	from := time.Date(2026, 11, 30, 8, 0, 0, 0, time.UTC)
	hold := func(id, camera, reason string) station.Receipt {
		return r.do(station.CommandHoldEvidence, id, station.HoldOrder{ID: id, Camera: camera, From: from, To: from.Add(time.Minute), Reason: reason})
	}
	refused := func(rec station.Receipt, code string) {
		t.Helper()
		if rec.Problem == nil || rec.Problem.Code != code {
			t.Errorf("want %s, got %+v", code, rec.Problem)
		}
	}
	refused(hold("e1", "cam", " "), "evidence.reason")
	refused(hold("e1", "nobody", "盗窃"), "camera.unknown")
	r.must(hold("e1", "cam", "盗窃，民警要求"))
	r.must(hold("e2", "cam", "争执"))
	refused(hold("e3", "cam", "再来"), "evidence.full")
	refused(r.do(station.CommandHoldEvidence, "e2", station.HoldOrder{ID: "e2", Camera: "cam", From: from, To: from.Add(time.Hour), Reason: "争执"}), "evidence.other")
	refused(r.doAs(station.Actor{Account: "op", Role: account.RoleOperator}, station.NewID(), station.CommandReleaseEvidence, "e1", station.ReleaseOrder{ID: "e1", Reason: "完"}), "access.denied")
	refused(r.do(station.CommandReleaseEvidence, "e1", station.ReleaseOrder{ID: "e1"}), "evidence.reason")
	r.must(r.do(station.CommandReleaseEvidence, "e1", station.ReleaseOrder{ID: "e1", Reason: "已移交"}))
	refused(r.do(station.CommandReleaseEvidence, "e1", station.ReleaseOrder{ID: "e1", Reason: "又"}), "evidence.released")
	if !slices.Equal(film.held, []string{"e2"}) {
		t.Errorf("held: %v", film.held)
	}
	holds, err := r.Holds("cam")
	if err != nil || len(holds) != 2 {
		t.Fatal(holds, err)
	}
	for _, h := range holds {
		if released := h.ID == "e1"; h.Reason == "" || h.Account == "" || released == h.Released.IsZero() || released && h.ReleaseReason != "已移交" {
			t.Errorf("hold %+v", h)
		}
	}
	rows, err := r.Audit(0, 50)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, row := range rows {
		if row.Action == station.CommandReleaseEvidence && row.Subject == "evidence/e1" && row.Detail == "已移交" {
			found++
		}
	}
	if found != 1 {
		t.Errorf("the audit: %+v", rows)
	}

	// A crash left film that no record knows of.
	film.held = append(film.held, "orphan")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	for deadline := time.Now().Add(20 * time.Second); len(film.Evidence()) > 1 && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if !slices.Equal(film.held, []string{"e2"}) {
		t.Errorf("held: %v", film.held)
	}
}
