package video_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/video"
	"stationd/video/peer/peertest"
	"stationd/video/videotest"
)

// deaf lets requests through and no answer back.
type deaf struct{}

func (deaf) RoundTrip(r *http.Request) (*http.Response, error) {
	reply, err := http.DefaultTransport.RoundTrip(r)
	if err == nil {
		_, _ = io.Copy(io.Discard, reply.Body)
		_ = reply.Body.Close()
		err = errors.New("the answer did not come through")
	}
	return nil, err
}

// Who watches is listed with the way that is used; who could not, with the ways that
// were offered and tried. Those of other cameras are left out.
func TestViewersAreListed(t *testing.T) {
	t.Parallel()
	rtsp := camerasOf(t, videotest.Config{})
	n := startWith(t, nil, func(cfg *video.Config) { cfg.Peer.SessionTimeout = time.Second })
	n.Apply([]video.Source{source(rtsp, "gate", "gate"), source(rtsp, "garage", "garage")}, nil)
	n.said.until(t, "gate", station.CameraOnline)
	n.said.until(t, "garage", station.CameraOnline)
	good := watch(t, n.whep("gate"), "gate")
	good.sees(t, 25)
	v, err := peertest.New(peertest.Config{Loopback: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	if err := v.Watch(t.Context(), &http.Client{Transport: deaf{}}, n.whep("garage")); err == nil {
		t.Fatal("it was answered")
	}
	all := func(string) bool { return true }
	eventually(t, "the one who could not is listed", func() bool { return len(n.Viewers(all).Failed) == 1 })

	list := n.Viewers(all)
	if len(list.Viewers) != 1 {
		t.Fatalf("%+v", list)
	}
	w := list.Viewers[0]
	udp, _ := n.hub.Addr()
	if w.Camera != "gate" || w.Status != station.ViewingConnected || w.Transport != "udp" || w.Used.Station != udp.String() ||
		w.Used.Viewer == "" || w.Packets == 0 || w.Role != station.RoleFocus || time.Since(w.Since) > time.Minute {
		t.Errorf("who watches: %+v", w)
	}
	f := list.Failed[0]
	if f.Camera != "garage" || f.Status != station.ViewingFailed || !strings.Contains(f.Cause, "did not connect") || f.Used.Protocol != "" ||
		len(f.Offered) != 2 || f.Offered[0] != "udp "+udp.String() || f.Ended.Before(f.Since) {
		t.Errorf("who could not: %+v", f)
	}
	for _, way := range f.Tried {
		if way.State == "succeeded" || way.Viewer == "" {
			t.Errorf("a way of one who could not: %+v", way)
		}
	}
	t.Logf("used %+v; tried %+v", w.Used, f.Tried)

	// The route shows each what they may see, and no session's ID.
	for _, r := range n.Routes() {
		if r.Pattern != "GET /api/v1/cameras/viewers" {
			continue
		}
		got := httptest.NewRecorder()
		req := httptest.NewRequest("GET", "/api/v1/cameras/viewers", nil)
		r.Handler.ServeHTTP(got, req.WithContext(station.WithSight(req.Context(), func(camera string) error {
			if camera == "gate" {
				return nil
			}
			return station.ErrUnseen
		})))
		var seen station.Viewings
		if err := json.Unmarshal(got.Body.Bytes(), &seen); err != nil || len(seen.Viewers) != 1 || len(seen.Failed) != 0 {
			t.Errorf("%v: %s", err, got.Body)
		}
		return
	}
	t.Error("there is no route")
}
