package rtsp_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"math/big"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/video/stream"
	"stationd/video/videotest"
)

func TestTransports(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		camera videotest.Config
		ask    station.Transport
		status station.CameraStatus
		used   station.Transport
		word   string // of the cause
	}{
		"TCP by itself":                 {videotest.Config{UDP: true}, "", station.CameraOnline, station.TransportTCP, ""},
		"UDP":                           {videotest.Config{UDP: true}, station.TransportUDP, station.CameraOnline, station.TransportUDP, ""},
		"UDP, of TCP alone":             {videotest.Config{}, station.TransportUDP, station.CameraUnsupported, "", "over UDP"},
		"multicast, of none":            {videotest.Config{UDP: true}, station.TransportMulticast, station.CameraUnsupported, "", "multicast"},
		"automatic, of both":            {videotest.Config{UDP: true}, station.TransportAuto, station.CameraOnline, station.TransportUDP, ""},
		"automatic, of UDP alone":       {videotest.Config{UDP: true, NoTCP: true}, station.TransportAuto, station.CameraOnline, station.TransportUDP, ""},
		"automatic, of TCP alone":       {videotest.Config{}, station.TransportAuto, station.CameraOnline, station.TransportTCP, "refuses UDP"},
		"automatic, of UDP, with sound": {videotest.Config{UDP: true, Sound: videotest.SoundPCMA}, station.TransportAuto, station.CameraOnline, station.TransportUDP, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, c.camera)
			cfg := fast(s.URL("gate"))
			cfg.Transport = c.ask
			r := run(t, cfg)
			state, _ := r.await(0, c.status)
			if state.Transport != c.used || !strings.Contains(state.Cause, c.word) {
				t.Errorf("state %+v", state)
			}
			if c.status != station.CameraOnline {
				if state.Hint == "" {
					t.Error("no hint")
				}
				return
			}
			reader := r.stream.Read(stream.ReadOptions{})
			for i, u := range units(t, reader, -1, 30) {
				if u.Damaged {
					t.Errorf("unit %d is damaged", i)
				}
			}
			// It is remembered: the camera is not asked for UDP again.
			if c.ask == station.TransportAuto && c.used == station.TransportTCP {
				before := r.source.Stats().Attempts
				s.Cut("gate")
				_, next := r.await(0, station.CameraOffline)
				if err := s.Restore("gate"); err != nil {
					t.Fatal(err)
				}
				again, _ := r.await(next, station.CameraOnline)
				if again.Transport != station.TransportTCP || before != 2 {
					t.Errorf("%d attempts before, then %+v", before, again)
				}
			}
		})
	}
}

// A camera that promises UDP, and of which nothing comes that way.
func TestNothingComesOverUDP(t *testing.T) {
	t.Parallel()
	cam := newFakeCamera(t)
	cam.answer = func(string, string) string { return "" }
	cam.play = func(p *player) { p.forever() }
	cam.udp = true
	cfg := fast(cam.url())
	cfg.Transport = station.TransportAuto
	r := run(t, cfg)
	state, _ := r.await(0, station.CameraOnline)
	if state.Transport != station.TransportTCP || !strings.Contains(state.Cause, "nothing of the camera comes over UDP") || state.Hint == "" {
		t.Errorf("state %+v", state)
	}
}

// A camera may not name somebody else as the one to whom our packets go.
func TestForeignSource(t *testing.T) {
	t.Parallel()
	victim, err := net.ListenPacket("udp", "127.0.0.9:0")
	if err != nil {
		t.Skip("no second loopback address")
	}
	defer victim.Close()
	var got atomic.Int32
	go func() {
		buf := make([]byte, 2000)
		for {
			if _, _, err := victim.ReadFrom(buf); err != nil {
				return
			}
			got.Add(1)
		}
	}()
	cam := newFakeCamera(t)
	_, port, _ := net.SplitHostPort(victim.LocalAddr().String())
	cam.transport = "RTP/AVP;unicast;source=127.0.0.9;client_port=9000-9001;server_port=" + port + "-" + port
	cfg := fast(cam.url())
	cfg.Transport = station.TransportUDP
	r := run(t, cfg)
	r.await(0, station.CameraOffline)
	if n := cam.count("PLAY"); n == 0 {
		t.Error("it was not played")
	}
	if n := got.Load(); n != 0 {
		t.Errorf("%d packets went to another host", n)
	}
}

func certificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, about, about, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, hex.EncodeToString(sum[:])
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	cert, print := certificate(t)
	s := serve(t, videotest.Config{TLS: &tls.Config{Certificates: []tls.Certificate{cert}}, Username: "admin", Password: "secret"})
	for name, c := range map[string]struct {
		print  string
		status station.CameraStatus
		cause  string
	}{
		"pinned":        {print, station.CameraOnline, ""},
		"another one":   {strings.Repeat("0", 64), station.CameraUntrusted, "another certificate"},
		"of nobody":     {"", station.CameraUntrusted, "nobody vouches"},
		"spoken to raw": {"raw", station.CameraOffline, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := fast(s.URL("gate"))
			cfg.Username, cfg.Password, cfg.Fingerprint = "admin", "secret", c.print
			if c.print == "raw" {
				cfg.URL, cfg.Fingerprint = strings.Replace(cfg.URL, "rtsps", "rtsp", 1), ""
			}
			r := run(t, cfg)
			state, _ := r.await(0, c.status)
			if !strings.Contains(state.Cause, c.cause) {
				t.Errorf("state %+v", state)
			}
			// What it shows stands in the hint, to be compared.
			if c.status == station.CameraUntrusted && !strings.Contains(state.Hint, print) {
				t.Errorf("hint %q", state.Hint)
			}
			if c.status == station.CameraUntrusted && r.source.Stats().Attempts != 1 {
				t.Error("asked again at once")
			}
		})
	}
	plain := serve(t, videotest.Config{})
	r := run(t, fast(strings.Replace(plain.URL("gate"), "rtsp", "rtsps", 1)))
	state, _ := r.await(0, station.CameraOffline) // it waits for more; so do we, but not for ever
	if state.Cause == "" || state.Hint == "" {
		t.Errorf("state %+v", state)
	}
}

// Sound and pictures of H.265 from our own camera, whose clock is years off: that
// is told, and moves nothing.
func TestSoundAndClock(t *testing.T) {
	t.Parallel()
	for name, sound := range map[string]string{"G.711": videotest.SoundPCMA, "AAC": videotest.SoundAAC, "Opus": videotest.SoundOpus} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			off := -2 * 365 * 24 * time.Hour
			s := serve(t, videotest.Config{Paths: map[string]string{"lobby": "lobby"}, Sound: sound, ClockOffset: off})
			cfg := fast(s.URL("lobby"))
			r := run(t, cfg)
			reader := r.stream.Read(stream.ReadOptions{Sound: true})
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			sounds, pictures := 0, 0
			var began time.Time
			for pictures < 120 {
				u, err := reader.Next(ctx)
				if err != nil {
					t.Fatal(err)
				}
				if u.Sound == nil {
					if pictures == 0 {
						began = u.Arrival.Add(-u.PTS)
					}
					pictures++
					continue
				}
				sounds++
				if d := u.PTS - u.Arrival.Sub(began); d < -500*time.Millisecond || d > 500*time.Millisecond {
					t.Errorf("sound is placed %v off", d)
				}
			}
			if sounds < 60 || sounds > 260 {
				t.Errorf("%d frames of sound beside 120 pictures", sounds)
			}
			eventually(t, "the clock is told", func() bool { return r.source.State().ClockOffset != 0 })
			state := r.source.State()
			if d := state.ClockOffset - off; d < -2*time.Second || d > 2*time.Second || !strings.Contains(state.Cause, "730 days behind") || state.Hint == "" {
				t.Errorf("state %+v", state)
			}
			if st := r.source.Stats(); st.Attempts != 1 || state.Codec != "H265" || state.Sound != sound {
				t.Errorf("%d attempts, state %+v", st.Attempts, state)
			}
		})
	}
}
