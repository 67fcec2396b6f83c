package video_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/video"
	"stationd/video/peer/peertest"
)

// line is the way between a centre and its stations, made of function calls.
type line struct {
	t      *testing.T
	centre *node

	mu       sync.Mutex
	stations map[station.NodeID]*node
	deaf     map[station.NodeID]bool // hears, and does nothing
	opened   int
	legs     map[string]context.CancelFunc
	work     sync.WaitGroup
}

func newLine(t *testing.T) *line {
	l := &line{t: t, stations: map[station.NodeID]*node{}, deaf: map[station.NodeID]bool{}, legs: map[string]context.CancelFunc{}}
	t.Cleanup(func() {
		l.mu.Lock()
		for _, end := range l.legs {
			end()
		}
		l.mu.Unlock()
		l.work.Wait()
	})
	return l
}

func (l *line) OpenLeg(_ context.Context, id station.NodeID, camera string, role station.StreamRole, session string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.opened++
	if l.deaf[id] {
		return nil
	}
	n := l.stations[id]
	if n == nil {
		return station.Errorf(503, "node.offline", "wait for its line", "the station is offline")
	}
	ctx, end := context.WithCancel(context.Background())
	l.legs[session] = end
	l.work.Go(func() {
		_ = n.DialOut(ctx, camera, role, nil, func(ctx context.Context, offer string) (string, error) {
			return l.centre.AcceptLeg(ctx, id, session, offer)
		})
	})
	return nil
}

func (l *line) CloseLeg(_ context.Context, _ station.NodeID, session string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if end := l.legs[session]; end != nil {
		end()
		delete(l.legs, session)
	}
}

func (l *line) counts() (opened, open int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.opened, len(l.legs)
}

func TestCalledUpCamera(t *testing.T) {
	rtsp := cameras(t)
	here := start(t, nil)
	here.Apply([]video.Source{source(rtsp, "hall", "corridor")}, nil)
	here.said.until(t, "hall", station.CameraOnline)

	l := newLine(t)
	centre := start(t, l)
	l.centre = centre
	l.mu.Lock()
	l.stations["here"] = here
	l.mu.Unlock()
	centre.Apply(nil, []station.Camera{{ID: "here.hall", Node: "here"}})

	one := watch(t, centre.whep("here.hall"), "corridor")
	one.sees(t, 25)
	t.Logf("first picture after %v", one.first)
	two := watch(t, centre.whep("here.hall"), "corridor")
	two.sees(t, 25)
	if opened, _ := l.counts(); opened != 1 {
		t.Errorf("the picture crosses the line %d times", opened)
	}

	// The leg breaks: it is opened again, and the viewers go on.
	l.mu.Lock()
	for s, end := range l.legs {
		end()
		delete(l.legs, s)
	}
	l.mu.Unlock()
	eventually(t, "a second leg", func() bool { opened, _ := l.counts(); return opened == 2 })
	one.sees(t, 25)
	two.sees(t, 25)

	for _, v := range []*screen{one, two} {
		if err := v.Leave(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if _, open := l.counts(); open != 1 {
		t.Errorf("%d legs right after the last viewer", open)
	}
	eventually(t, "the leg let go", func() bool { _, open := l.counts(); return open == 0 })
	eventually(t, "no sessions", func() bool { return centre.hub.Usage().Sessions+here.hub.Usage().Sessions == 0 })
}

func TestStationThatDoesNotBringThePicture(t *testing.T) {
	l := newLine(t)
	centre := start(t, l)
	l.centre = centre
	l.deaf["deaf"] = true
	centre.Apply(nil, []station.Camera{{ID: "deaf.hall", Node: "deaf"}, {ID: "away.hall", Node: "away"}})
	for camera, want := range map[string]string{"deaf.hall": "leg.no-answer", "away.hall": "node.offline"} {
		began := time.Now()
		_, _, err := centre.Watch(context.Background(), camera, station.RoleFocus)
		if p, ok := station.AsProblem(err); !ok || p.Code != want || p.Status != 503 {
			t.Errorf("%s: %v", camera, err)
		}
		if d := time.Since(began); d > 4*time.Second {
			t.Errorf("%s: told after %v", camera, d)
		}
	}
}

func TestLegThatNobodyAskedFor(t *testing.T) {
	l := newLine(t)
	centre := start(t, l)
	l.centre = centre
	v, err := peertest.New(peertest.Config{Loopback: true})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	offer, err := v.Offer()
	if err != nil {
		t.Fatal(err)
	}
	_, err = centre.AcceptLeg(context.Background(), "here", station.NewID(), offer)
	if p, ok := station.AsProblem(err); !ok || p.Status != http.StatusNotFound {
		t.Errorf("got %v", err)
	}
}

// TestLegsByQuality: at the centre a wall is brought the smaller stream and a large
// picture the main one; each crosses the line once, however many watch, and goes
// with its last viewer.
func TestLegsByQuality(t *testing.T) {
	rtsp := cameras(t)
	here := start(t, nil)
	here.Apply([]video.Source{twoStreams(rtsp, "corridor", "gate")}, nil)
	here.said.until(t, "hall", station.CameraOnline)
	l := newLine(t)
	centre := start(t, l)
	l.centre = centre
	l.mu.Lock()
	l.stations["here"] = here
	l.mu.Unlock()
	centre.Apply(nil, []station.Camera{{ID: "here.hall", Node: "here", Sub: rtsp.URL("gate")}})

	var walls []*screen
	for range 3 {
		walls = append(walls, watch(t, centre.whep("here.hall")+"?role=wall", "gate"))
	}
	focus := watch(t, centre.whep("here.hall"), "corridor")
	for _, v := range append(walls, focus) {
		v.sees(t, 15)
	}
	if opened, open := l.counts(); opened != 2 || open != 2 {
		t.Errorf("%d legs were opened, %d are open", opened, open)
	}
	for _, v := range walls {
		if err := v.Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the wall's leg is closed", func() bool { _, open := l.counts(); return open == 1 })
	focus.sees(t, 10)
	if opened, _ := l.counts(); opened != 2 {
		t.Errorf("%d legs were opened", opened)
	}
}
