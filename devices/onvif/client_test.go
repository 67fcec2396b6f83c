package onvif_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/devices/onvif"
	"stationd/devices/onvif/onviftest"
)

const (
	mainURL = "rtsp://127.0.0.1:8554/main"
	subURL  = "rtsp://127.0.0.1:8554/sub"
)

func start(t *testing.T, d *onviftest.Device) *onviftest.Device {
	t.Helper()
	d.Start()
	t.Cleanup(d.Close)
	return d
}

func camera(t *testing.T) *onviftest.Device {
	t.Helper()
	return start(t, onviftest.New(mainURL, subURL))
}

func config() onvif.Config {
	cfg := onvif.DefaultConfig()
	cfg.Timeout = 5 * time.Second
	return cfg
}

func login(d *onviftest.Device) onvif.Login {
	return onvif.Login{URL: d.URL(), Username: d.Username, Password: station.Secret(d.Password)}
}

func code(err error) string {
	if p, ok := station.AsProblem(err); ok {
		return p.Code
	}
	return fmt.Sprint(err)
}

// Whatever a device gets wrong of the ways to log in and to tell its addresses, it
// is described alike, and its addresses have the host that it was reached by.
func TestDescribe(t *testing.T) {
	for name, q := range map[string]onviftest.Quirks{
		"as it should be": {}, "a clock from years ago": {ClockOffset: -9 * 365 * 24 * time.Hour}, "a clock ahead": {ClockOffset: 3 * time.Hour},
		"HTTP digest alone": {DigestOnly: true}, "… with SHA-256": {DigestOnly: true, SHA256: true},
		"no clock without login": {NoClock: true, ClockOffset: 2 * time.Hour}, "an old device": {OldOnly: true},
		"a host of its own network": {Host: "192.168.1.64"}, "a host of the factory": {Host: "0.0.0.0", OldOnly: true},
		"slow": {Slow: 50 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dev := camera(t)
			dev.Set(q)
			c, err := onvif.Dial(t.Context(), config(), login(dev))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			d, err := c.Describe(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if d.Maker != "Testcam" || d.Model != "TC-200" || d.Firmware != "1.2.3" || d.Serial != "SN0001" || !d.PTZ || !d.Events {
				t.Errorf("it says that it is %+v", d)
			}
			if len(d.Profiles) != 2 || d.Profiles[0].URL != mainURL || d.Profiles[1].URL != subURL {
				t.Fatalf("its profiles are %+v", d.Profiles)
			}
			p := d.Profiles[0]
			if p.Encoding != "H264" || p.Width != 1280 || p.FrameRate != 25 || p.GOP != 50 || p.BitRate != 2048000 || p.Source != "src0" || !p.PTZ {
				t.Errorf("the main profile is %+v", p)
			}
			if len(d.Channels) != 1 || d.Channels[0].Main != "main" || d.Channels[0].Sub != "sub" {
				t.Errorf("its channels are %+v", d.Channels)
			}
			if d.ClockOffset == nil || (*d.ClockOffset-q.ClockOffset).Abs() > 2*time.Second {
				t.Errorf("its clock is off by %v, not %v", d.ClockOffset, q.ClockOffset)
			}
			if n := dev.Denied(); n > 1 { // what is asked without its clock may be refused once
				t.Errorf("%d requests were refused", n)
			}
			at, err := c.SnapshotURL(t.Context(), p)
			if err != nil || !strings.HasPrefix(at, "http://127.0.0.1:") {
				t.Errorf("its still picture is at %q: %v", at, err)
			}
			picture, kind, err := c.Snapshot(t.Context(), p)
			if err != nil || kind != "image/jpeg" || len(picture) < 200 {
				t.Errorf("%d bytes of %s: %v", len(picture), kind, err)
			}
		})
	}
}

// Of H.265 only the newer service tells; the sub-stream is H.264 then.
func TestH265IsDescribed(t *testing.T) {
	dev := onviftest.New(mainURL, subURL)
	dev.Profiles[0].Encoding, dev.Profiles[0].Audio = "H265", "AAC"
	dev.Profiles = append(dev.Profiles, onviftest.Profile{Token: "still", Source: "src0", Encoding: "JPEG", Width: 3840, Height: 2160, URL: "rtsp://127.0.0.1:8554/still"})
	start(t, dev)
	c, err := onvif.Dial(t.Context(), config(), login(dev))
	if err != nil {
		t.Fatal(err)
	}
	d, err := c.Describe(t.Context())
	if err != nil || len(d.Profiles) != 3 || d.Profiles[0].Encoding != "H265" || d.Profiles[0].Audio != "AAC" {
		t.Fatalf("%+v: %v", d.Profiles, err)
	}
	if len(d.Channels) != 1 || d.Channels[0].Main != "main" || d.Channels[0].Sub != "sub" {
		t.Errorf("%+v", d.Channels)
	}
}

func TestRecorderHasItsChannels(t *testing.T) {
	dev := start(t, onviftest.NewRecorder(8, func(n int, sub bool) string { return fmt.Sprintf("rtsp://10.0.0.8:554/ch%d?sub=%t", n, sub) }))
	dev.Set(onviftest.Quirks{Host: "10.0.0.8"})
	c, err := onvif.Dial(t.Context(), config(), login(dev))
	if err != nil {
		t.Fatal(err)
	}
	d, err := c.Describe(t.Context())
	if err != nil || len(d.Channels) != 8 || len(d.Profiles) != 16 {
		t.Fatalf("%d channels, %d profiles: %v", len(d.Channels), len(d.Profiles), err)
	}
	if d.PTZ || d.Channels[7].Name != "通道 8" || d.Channels[7].Sub != "Profile_8_2" || d.Profiles[0].URL != "rtsp://127.0.0.1:554/ch1?sub=false" {
		t.Errorf("%+v %+v", d.Channels[7], d.Profiles[0])
	}
}

// Each way in which there is no answer has its own words; the password is in none.
func TestWhyThereIsNoAnswer(t *testing.T) {
	quick := config()
	quick.Timeout = 300 * time.Millisecond
	gone := httptest.NewServer(http.NotFoundHandler())
	empty := gone.URL
	t.Cleanup(gone.Close)
	closed := httptest.NewServer(http.NotFoundHandler())
	port := closed.URL
	closed.Close()
	tls := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(tls.Close)
	with := func(q onviftest.Quirks) string {
		d := camera(t)
		d.Set(q)
		return d.URL()
	}
	for name, c := range map[string]struct{ url, code string }{
		"nothing listens":      {port, "onvif.port"},
		"no ONVIF":             {empty, "onvif.path"},
		"no such host":         {"http://camera.invalid", "onvif.host"},
		"no address":           {"rtsp://192.0.2.1/", "onvif.address"},
		"credentials in it":    {"http://admin:right-horse@192.0.2.1/", "onvif.address"},
		"too slow":             {with(onviftest.Quirks{Slow: time.Minute}), "onvif.timeout"},
		"refused":              {with(onviftest.Quirks{Refuse: true}), "onvif.password"},
		"refused by digest":    {with(onviftest.Quirks{Refuse: true, DigestOnly: true}), "onvif.password"},
		"redirected":           {with(onviftest.Quirks{Redirect: "http://192.0.2.7/"}), "onvif.redirect"},
		"a web page":           {with(onviftest.Quirks{Garbage: "<html><body>login</body></html>"}), "onvif.answer"},
		"nothing":              {with(onviftest.Quirks{Garbage: " "}), "onvif.answer"},
		"endless":              {with(onviftest.Quirks{Endless: true}), "onvif.answer"},
		"an unknown signature": {tls.URL, "onvif.certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := quick
			if name != "too slow" {
				cfg.Timeout = 10 * time.Second // something else must end it
			}
			_, err := onvif.Dial(t.Context(), cfg, onvif.Login{URL: c.url, Username: "admin", Password: "right-horse"})
			if code(err) != c.code {
				t.Errorf("%s instead of %s: %v", code(err), c.code, err)
			}
			if p, ok := station.AsProblem(err); !ok || p.Hint == "" || strings.Contains(fmt.Sprintf("%v %+v", err, p), "right-horse") {
				t.Errorf("it says %v", err)
			}
		})
	}
}

// A refused password is given at most twice, as a token and as a digest, and then
// not again for a while.
func TestARefusedPasswordIsNotTriedAgain(t *testing.T) {
	dev := camera(t)
	dev.Set(onviftest.Quirks{Refuse: true})
	set := onvif.New(config(), onvif.Deps{})
	for range 5 {
		if _, err := set.Describe(t.Context(), login(dev)); err == nil {
			t.Fatal("it was let in")
		}
	}
	if n := dev.Denied(); n == 0 || n > 2 {
		t.Errorf("the password was given %d times", n)
	}
	if _, err := set.Describe(t.Context(), login(dev)); code(err) != "onvif.wait" {
		t.Errorf("%v", err)
	}
	other := login(dev)
	other.Password = "left-horse"
	if _, err := set.Describe(t.Context(), other); code(err) != "onvif.password" {
		t.Errorf("another password: %v", err)
	}
}

// No answer makes the client ask another host than the one that was entered.
func TestNoOtherHostIsAsked(t *testing.T) {
	asked := make(chan string, 100)
	trap := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.URL.Path }))
	defer trap.Close()
	dev := camera(t)
	dev.Set(onviftest.Quirks{Host: strings.TrimPrefix(trap.URL, "http://")})
	dev.Set(onviftest.Quirks{Host: "localhost"}) // resolves to this machine, and is not what was entered
	c, err := onvif.Dial(t.Context(), config(), login(dev))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Describe(t.Context()); err != nil {
		t.Fatal(err)
	}
	dev.Set(onviftest.Quirks{Redirect: trap.URL})
	if _, err := c.Profiles(t.Context()); code(err) != "onvif.redirect" {
		t.Errorf("%v", err)
	}
	if len(asked) != 0 {
		t.Errorf("another host was asked for %s", <-asked)
	}
}

// A caller who goes does not wait for the device.
func TestACallerMayGo(t *testing.T) {
	dev := camera(t)
	dev.Set(onviftest.Quirks{Slow: time.Minute})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := onvif.Dial(ctx, config(), login(dev)); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
