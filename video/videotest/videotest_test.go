package videotest_test

import (
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"go.uber.org/goleak"

	"stationd/video/videotest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The films are what doc.go says.
func TestFilms(t *testing.T) {
	films, err := videotest.Films()
	if err != nil {
		t.Fatal(err)
	}
	if len(films) != 4 {
		t.Errorf("%d films", len(films))
	}
	for _, f := range films {
		size := 0
		for i, u := range f.Units {
			key := i%50 == 0
			slices := 0
			for j, n := range u {
				size += len(n)
				switch n[0] & 0x1f {
				case 7: // SPS
					if !key || j != 0 || n[1] != 66 {
						t.Errorf("%s, picture %d: SPS of profile %d at %d", f.Name, i, n[1], j)
					}
				case 8: // PPS
					if !key || j != 1 {
						t.Errorf("%s, picture %d: PPS at %d", f.Name, i, j)
					}
				case 1, 5:
					slices++
					if (n[0]&0x1f == 5) != key {
						t.Errorf("%s, picture %d: key %v", f.Name, i, !key)
					}
				}
			}
			if slices != 1 {
				t.Errorf("%s, picture %d: %d slices", f.Name, i, slices)
			}
		}
		if d := f.Length(); d < 8*time.Second || d > 10*time.Second {
			t.Errorf("%s lasts %v", f.Name, d)
		}
		if size > 350_000 {
			t.Errorf("%s has %d bytes", f.Name, size)
		}
		if f.Title == "" {
			t.Errorf("%s has no title", f.Name)
		}
	}
}

// viewer plays one camera and counts.
type viewer struct {
	client *gortsplib.Client

	mu      sync.Mutex
	packets []*rtp.Packet
	at      []time.Time
	reports []*rtcp.SenderReport
	heard   []time.Time
}

func play(t *testing.T, address, user, password string) (*viewer, error) {
	t.Helper()
	u, err := base.ParseURL(address)
	if err != nil {
		t.Fatal(err)
	}
	if user != "" {
		u.User = url.UserPassword(user, password)
	}
	tcp := gortsplib.TransportTCP
	v := &viewer{client: &gortsplib.Client{Scheme: u.Scheme, Host: u.Host, Transport: &tcp}}
	if err := v.client.Start2(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.client.Close)
	desc, _, err := v.client.Describe(u)
	if err != nil {
		return nil, err
	}
	if err := v.client.SetupAll(desc.BaseURL, desc.Medias); err != nil {
		return nil, err
	}
	v.client.OnPacketRTPAny(func(_ *description.Media, _ format.Format, p *rtp.Packet) {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.packets = append(v.packets, p)
		v.at = append(v.at, time.Now())
	})
	v.client.OnPacketRTCPAny(func(_ *description.Media, p rtcp.Packet) {
		v.mu.Lock()
		defer v.mu.Unlock()
		if r, ok := p.(*rtcp.SenderReport); ok {
			v.reports = append(v.reports, r)
			v.heard = append(v.heard, time.Now())
		}
	})
	_, err = v.client.Play(nil)
	return v, err
}

// pictures is how many have come.
func (v *viewer) pictures() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	n := 0
	for _, p := range v.packets {
		if p.Marker {
			n++
		}
	}
	return n
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(15 * time.Second)
	for !f() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("never: %s", what)
		}
	}
}

func start(t *testing.T, cfg videotest.Config) *videotest.Server {
	t.Helper()
	s, err := videotest.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// Over the end of the film: sequence and timestamps go on, at the pace of the
// pictures, and the reports tell the time of day.
func TestPlaysForEver(t *testing.T) {
	t.Parallel()
	s := start(t, videotest.Config{})
	v, err := play(t, s.URL("corridor"), "", "")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "more pictures than the film has", func() bool { return v.pictures() > 215 })
	v.mu.Lock()
	defer v.mu.Unlock()
	first := v.packets[0]
	for i, p := range v.packets[1:] {
		before := v.packets[i]
		if p.SequenceNumber != before.SequenceNumber+1 {
			t.Errorf("sequence number %d after %d", p.SequenceNumber, before.SequenceNumber)
		}
		want := uint32(0)
		if before.Marker {
			want = 3600
		}
		if d := p.Timestamp - before.Timestamp; d != want {
			t.Errorf("timestamps %d apart", d)
		}
		passed := v.at[i+1].Sub(v.at[0]) - time.Duration(p.Timestamp-first.Timestamp)*time.Second/90000
		if passed < -200*time.Millisecond || passed > 500*time.Millisecond {
			t.Errorf("packet %d is %v late", i, passed)
		}
	}
	if len(v.reports) < 3 {
		t.Fatalf("%d sender reports in eight seconds", len(v.reports))
	}
	for i, r := range v.reports {
		ntp := time.Unix(int64(r.NTPTime>>32)-2208988800, int64(r.NTPTime&0xffffffff)*1e9>>32)
		if d := v.heard[i].Sub(ntp); d < -100*time.Millisecond || d > 500*time.Millisecond {
			t.Errorf("report %d says %v, it is %v", i, ntp, v.heard[i])
		}
		if r.SSRC != first.SSRC {
			t.Errorf("report of %d, packets of %d", r.SSRC, first.SSRC)
		}
	}
}

func TestPaths(t *testing.T) {
	t.Parallel()
	if _, err := videotest.Start(videotest.Config{Paths: map[string]string{"x": "no such film"}}); err == nil {
		t.Error("a film that is not there is served")
	}
	s := start(t, videotest.Config{Paths: map[string]string{"hall/1": "gate", "hall/2": "gate"}})
	v, err := play(t, s.URL("hall/2"), "", "")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "a picture", func() bool { return v.pictures() > 0 })
	if s.Sessions("hall/1") != 0 || s.Sessions("hall/2") != 1 || s.Served("hall/2") != 1 {
		t.Errorf("sessions %d and %d", s.Sessions("hall/1"), s.Sessions("hall/2"))
	}
	v.client.Close()
	eventually(t, "the session is over", func() bool { return s.Sessions("hall/2") == 0 })
}

func status(err error) base.StatusCode {
	var code liberrors.ErrClientBadStatusCode
	if errors.As(err, &code) {
		return code.Code
	}
	return 0
}

func TestCutAndRestore(t *testing.T) {
	t.Parallel()
	s := start(t, videotest.Config{})
	v, err := play(t, s.URL("gate"), "", "")
	if err != nil {
		t.Fatal(err)
	}
	other, err := play(t, s.URL("garage"), "", "")
	if err != nil {
		t.Fatal(err)
	}
	s.Cut("gate")
	s.Cut("gate")
	if err := v.client.Wait(); err == nil {
		t.Error("the client has not noticed")
	}
	eventually(t, "the session is over", func() bool { return s.Sessions("gate") == 0 })
	if _, err := play(t, s.URL("gate"), "", ""); status(err) != base.StatusNotFound {
		t.Errorf("while cut: %v", err)
	}
	if err := s.Restore("gate"); err != nil {
		t.Fatal(err)
	}
	again, err := play(t, s.URL("gate"), "", "")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "pictures again", func() bool { return again.pictures() > 2 })
	n := other.pictures()
	eventually(t, "the other camera goes on", func() bool { return other.pictures() > n+2 })
	if err := s.Restore("attic"); err == nil {
		t.Error("a camera that is not there is restored")
	}
}

func TestHang(t *testing.T) {
	t.Parallel()
	s := start(t, videotest.Config{})
	v, err := play(t, s.URL("gate"), "", "")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "pictures", func() bool { return v.pictures() > 2 })
	s.Hang("gate")
	late, err := play(t, s.URL("gate"), "", "")
	if err != nil {
		t.Fatalf("a silent camera takes connections: %v", err)
	}
	other, err := play(t, s.URL("garage"), "", "")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "half a second of another camera", func() bool { return other.pictures() > 12 })
	n := v.pictures()
	if late.pictures() > 0 {
		t.Error("a silent camera speaks")
	}
	if err := s.Restore("gate"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it goes on", func() bool { return v.pictures() > n+2 && late.pictures() > 2 })
}

func TestAuthenticationAndSlots(t *testing.T) {
	t.Parallel()
	s := start(t, videotest.Config{Username: "admin", Password: "secret", Slots: 1})
	if _, err := play(t, s.URL("gate"), "", ""); status(err) != base.StatusUnauthorized {
		t.Errorf("without a password: %v", err)
	}
	if _, err := play(t, s.URL("gate"), "admin", "wrong"); status(err) != base.StatusUnauthorized {
		t.Errorf("with a wrong one: %v", err)
	}
	v, err := play(t, s.URL("gate"), "admin", "secret")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := play(t, s.URL("gate"), "admin", "secret"); status(err) != base.StatusNotEnoughBandwidth {
		t.Errorf("one too many: %v", err)
	}
	v.client.Close()
	eventually(t, "the slot is free", func() bool { return s.Sessions("gate") == 0 })
	if _, err := play(t, s.URL("gate"), "admin", "secret"); err != nil {
		t.Errorf("a free slot: %v", err)
	}
	if strings.Contains(s.URL("gate"), "admin") {
		t.Error("the address tells the credentials")
	}
}
