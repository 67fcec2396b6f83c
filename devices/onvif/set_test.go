package onvif_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"stationd/agent/station"
	"stationd/devices/onvif"
	"stationd/devices/onvif/onviftest"
	"stationd/devices/payload"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stage is a set that runs, and what it has handed on.
type stage struct {
	*onvif.Set
	end func()

	mu       sync.Mutex
	readings []payload.Reading
	notes    []string
	refuse   int // so many are not taken
}

func run(t *testing.T, cfg onvif.Config, cameras ...onvif.Camera) *stage {
	t.Helper()
	s := &stage{}
	s.Set = onvif.New(cfg, onvif.Deps{
		Handle: func(_ context.Context, _ string, list ...payload.Reading) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.refuse > 0 {
				s.refuse--
				return station.ErrNoSpace
			}
			s.readings = append(s.readings, list...)
			return nil
		},
		Note: func(_ context.Context, who station.Actor, action, subject, _ string) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.notes = append(s.notes, who.Account+" "+action+" "+subject)
			return nil
		},
		Log: slog.New(slog.DiscardHandler),
	})
	s.Apply(cameras)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	<-s.Ready()
	s.end = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(s.end)
	return s
}

func kept(d *onviftest.Device, id, profile, sub string) onvif.Camera {
	return onvif.Camera{
		Camera:   station.Camera{ID: id, Name: id, ONVIF: d.URL(), Profile: profile, SubProfile: sub, Username: d.Username},
		Password: station.Secret(d.Password),
	}
}

func (s *stage) said() []payload.Reading {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]payload.Reading{}, s.readings...)
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

var officer = station.Actor{Account: "zhang", Name: "张三"}

// A camera turns as long as the order is renewed, and is stopped when it is not.
func TestDeadMan(t *testing.T) {
	dev := camera(t)
	cfg := config()
	cfg.Hold, cfg.Events = 400*time.Millisecond, false
	s := run(t, cfg, kept(dev, "gate", "main", ""))
	began := time.Now()
	for time.Since(began) < 1200*time.Millisecond {
		if err := s.Move(t.Context(), "gate", onvif.Velocity{Pan: 0.5}, officer); err != nil {
			t.Fatal(err)
		}
		if _, v, _, _ := dev.Head(); v.Pan != 0.5 {
			t.Fatalf("it turns at %v while the order is renewed", v)
		}
		time.Sleep(100 * time.Millisecond)
	}
	if by, moves := s.Moving("gate"); !moves || by != "张三" {
		t.Errorf("turned by %q: %t", by, moves)
	}
	until(t, "it stands still", func() bool { _, v, _, stops := dev.Head(); return v == onviftest.Position{} && stops == 1 })
	at, _, moves, _ := dev.Head()
	if at.Pan <= 0 || moves > 4 {
		t.Errorf("it points to %v after %d orders", at, moves)
	}
	if len(s.notes) != 1 || s.notes[0] != "zhang camera.move camera/gate" {
		t.Errorf("written down: %q", s.notes)
	}
}

// It is stopped by an order, by the end of the program, and by its own time limit;
// a refused or lost order leaves nothing turning.
func TestNothingKeepsTurning(t *testing.T) {
	cfg := config()
	cfg.Events = false
	still := func(d *onviftest.Device) func() bool {
		return func() bool { _, v, _, stops := d.Head(); return v == onviftest.Position{} && stops > 0 }
	}
	t.Run("an order", func(t *testing.T) {
		dev := camera(t)
		s := run(t, cfg, kept(dev, "gate", "main", ""))
		if err := s.Move(t.Context(), "gate", onvif.Velocity{Tilt: -1, Zoom: 0.2}, officer); err != nil {
			t.Fatal(err)
		}
		if _, v, _, _ := dev.Head(); v.Tilt != -1 || v.Zoom != 0.2 {
			t.Errorf("it turns at %v", v)
		}
		if err := s.Move(t.Context(), "gate", onvif.Velocity{}, officer); err != nil {
			t.Fatal(err)
		}
		if !still(dev)() {
			t.Error("it still turns")
		}
	})
	t.Run("the end of the program", func(t *testing.T) {
		dev := camera(t)
		s := run(t, cfg, kept(dev, "gate", "main", ""))
		if err := s.Move(t.Context(), "gate", onvif.Velocity{Pan: 1}, officer); err != nil {
			t.Fatal(err)
		}
		s.end()
		if !still(dev)() {
			t.Error("it still turns")
		}
		if err := s.Move(t.Context(), "gate", onvif.Velocity{Pan: 1}, officer); code(err) != "ptz.stopped" {
			t.Errorf("afterwards: %v", err)
		}
	})
	t.Run("the device's own limit", func(t *testing.T) {
		dev := camera(t)
		c, err := onvif.Dial(t.Context(), cfg, login(dev))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Move(t.Context(), "main", onvif.Velocity{Pan: 1}, 300*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		c.Close()
		until(t, "it stands still", func() bool { _, v, _, _ := dev.Head(); return v == onviftest.Position{} })
	})
	t.Run("another person", func(t *testing.T) {
		dev := camera(t)
		s := run(t, cfg, kept(dev, "gate", "main", ""))
		if err := s.Move(t.Context(), "gate", onvif.Velocity{Pan: 1}, officer); err != nil {
			t.Fatal(err)
		}
		other := station.Actor{Account: "li", Name: "李四"}
		if err := s.Move(t.Context(), "gate", onvif.Velocity{Pan: -1}, other); code(err) != "ptz.held" {
			t.Errorf("it was taken away: %v", err)
		}
		if err := s.Move(t.Context(), "gate", onvif.Velocity{}, other); err != nil || !still(dev)() {
			t.Errorf("it cannot be stopped by another: %v", err)
		}
		if err := s.Move(t.Context(), "gate", onvif.Velocity{Pan: -1}, other); err != nil {
			t.Error(err)
		}
	})
	t.Run("a device that knows no time limit", func(t *testing.T) {
		dev := camera(t)
		dev.Set(onviftest.Quirks{BadTimeouts: true})
		s := run(t, cfg, kept(dev, "gate", "main", ""))
		if err := s.Move(t.Context(), "gate", onvif.Velocity{Pan: 1}, officer); err != nil {
			t.Fatal(err)
		}
		until(t, "it stands still", still(dev))
	})
}

func TestPresets(t *testing.T) {
	dev := camera(t)
	c, err := onvif.Dial(t.Context(), config(), login(dev))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	gate, err := c.SetPreset(t.Context(), "main", "南门 <1>")
	if err != nil {
		t.Fatal(err)
	}
	list, err := c.Presets(t.Context(), "main")
	if err != nil || len(list) != 1 || list[0] != gate || gate.Name != "南门 <1>" {
		t.Fatalf("%+v: %v", list, err)
	}
	if err := c.Move(t.Context(), "main", onvif.Velocity{Pan: 1}, time.Second); err != nil {
		t.Fatal(err)
	}
	if err := c.GoTo(t.Context(), "main", gate.Token); err != nil {
		t.Fatal(err)
	}
	if at, _, _, _ := dev.Head(); at != (onviftest.Position{}) {
		t.Errorf("it points to %v", at)
	}
	if err := c.RemovePreset(t.Context(), "main", gate.Token); err != nil {
		t.Fatal(err)
	}
	if err := c.GoTo(t.Context(), "main", gate.Token); code(err) != "onvif.fault" {
		t.Errorf("%v", err)
	}
}

// A key picture is asked for at most every two seconds, whoever waits.
func TestKeyPictures(t *testing.T) {
	dev := camera(t)
	cfg := config()
	cfg.Events = false
	s := run(t, cfg, kept(dev, "gate", "main", ""))
	for range 50 {
		s.KeyPicture("gate")
	}
	s.KeyPicture("nobody")
	until(t, "it was asked", func() bool { return len(dev.KeyPictures()) == 1 })
	if st := s.Stats(); st.Pictures != 1 || st.Unasked != 49 {
		t.Errorf("%+v", st)
	}
}

// What a camera detects is handed on with the station's time; what was so before is
// told as that; a repeated word is not told again.
func TestDetections(t *testing.T) {
	dev := camera(t)
	dev.Set(onviftest.Quirks{ClockOffset: -5 * time.Hour})
	motion := func(on string) onviftest.Event {
		return onviftest.Event{Topic: "tns1:RuleEngine/CellMotionDetector/Motion", Source: "VideoSourceConfigurationToken", Of: "cfg-src0", Item: "IsMotion", Value: on}
	}
	tamper := onviftest.Event{Topic: "tns1:VideoSource/GlobalSceneChange/ImagingService", Source: "Source", Of: "src0", Item: "State", Value: "true"}
	dev.Emit(tamper) // before anybody listens
	s := run(t, config(), kept(dev, "gate", "main", "sub"))
	until(t, "presence and the first state", func() bool { return len(s.said()) >= 2 })
	if r := s.said(); r[0].Presence != payload.Online || r[1].Values[payload.FieldTamper] != true || !r[1].Cached || r[1].Device != "gate" || r[1].Class != station.ClassMotion {
		t.Fatalf("%+v", r)
	}
	dev.Emit(motion("true"))
	dev.Emit(motion("true"))
	dev.Emit(motion("false"))
	dev.Emit(onviftest.Event{Topic: "tns1:RuleEngine/LineDetector/Crossed", Source: "VideoSourceConfigurationToken", Of: "cfg-src0", Item: "ObjectId", Value: "7", Moment: true})
	dev.Emit(onviftest.Event{Topic: "tns1:Device/Trigger/DigitalInput", Source: "InputToken", Of: "DI_1", Item: "LogicalState", Value: "true"})
	dev.Emit(onviftest.Event{Topic: "tns1:Configuration/Profile", Source: "Token", Of: "x"})
	until(t, "all are told", func() bool { return len(s.said()) >= 6 })
	r := s.said()
	if r[2].Values[station.ClassMotion] != true || r[2].Cached || time.Since(r[2].DeviceTime).Abs() > 30*time.Second {
		t.Errorf("motion: %+v", r[2])
	}
	if r[3].Values[station.ClassMotion] != false {
		t.Errorf("its end: %+v", r[3])
	}
	if r[4].Values[onvif.FieldLineCrossed] != true || len(r[4].Events) != 1 {
		t.Errorf("a line: %+v", r[4])
	}
	if r[5].Device != "gate/input/DI_1" || r[5].Values[onvif.FieldInput] != true {
		t.Errorf("a contact: %+v", r[5])
	}
	if st := s.Stats(); st.Repeated == 0 || st.Detections != 5 {
		t.Errorf("%+v", st)
	}

	// A device that starts again forgets who listens.
	dev.Forget()
	until(t, "it is listened to again", func() bool { now, ever := dev.Listeners(); return now == 1 && ever == 2 })
	before := len(s.said())
	dev.Emit(motion("true"))
	until(t, "motion again", func() bool {
		list := s.said()
		return len(list) > before && list[len(list)-1].Values[station.ClassMotion] == true
	})
	s.end()
	if now, _ := dev.Listeners(); now != 0 {
		t.Errorf("%d subscriptions were left behind", now)
	}
}

// One subscription serves all channels of a recorder, each event finds its camera,
// and what the store could not take at once is tried again.
func TestRecorderEvents(t *testing.T) {
	dev := start(t, onviftest.NewRecorder(8, func(n int, sub bool) string { return fmt.Sprintf("rtsp://127.0.0.1:554/ch%d?sub=%t", n, sub) }))
	var cameras []onvif.Camera
	for n := 1; n <= 7; n++ { // the eighth is not imported
		c := kept(dev, fmt.Sprintf("ch%d", n), fmt.Sprintf("Profile_%d_1", n), fmt.Sprintf("Profile_%d_2", n))
		c.Recorder, c.Channel = "nvr", fmt.Sprintf("VideoSource_%d", n)
		cameras = append(cameras, c)
	}
	s := run(t, config(), cameras...)
	until(t, "all are there", func() bool { return len(s.said()) == 7 })
	s.mu.Lock()
	s.refuse = 2
	s.mu.Unlock()
	for n := 1; n <= 8; n++ {
		e := onviftest.Event{Topic: "tns1:VideoSource/MotionAlarm", Source: "Source", Of: fmt.Sprintf("VideoSource_%d", n), Item: "State", Value: "true"}
		if n%2 == 0 {
			e.Source, e.Of = "VideoSourceConfigurationToken", fmt.Sprintf("cfg-VideoSource_%d", n)
		}
		dev.Emit(e)
	}
	until(t, "seven moved", func() bool { return len(s.said()) == 14 })
	for i, r := range s.said()[7:] {
		if r.Device != fmt.Sprintf("ch%d", i+1) {
			t.Errorf("channel %d: %+v", i+1, r)
		}
	}
	if _, ever := dev.Listeners(); ever != 1 {
		t.Errorf("%d subscriptions", ever)
	}
	if st := s.Stats(); st.Unknown != 1 || st.Refused != 0 {
		t.Errorf("%+v", st)
	}
}

// A device that refuses the password is asked once, and left alone.
func TestALockedDeviceIsLeftAlone(t *testing.T) {
	dev := camera(t)
	dev.Set(onviftest.Quirks{Refuse: true})
	s := run(t, config(), kept(dev, "gate", "main", ""))
	until(t, "it was asked", func() bool { return dev.Denied() > 0 })
	for range 5 {
		if err := s.Move(t.Context(), "gate", onvif.Velocity{Pan: 1}, officer); code(err) != "onvif.password" {
			t.Errorf("%v", err)
		}
	}
	if n := dev.Denied(); n > 2 {
		t.Errorf("the password was given %d times", n)
	}
	// A new password is a new conversation.
	dev.Set(onviftest.Quirks{})
	c := kept(dev, "gate", "main", "")
	c.Username = "admin"
	c.Fingerprint = "" // the same
	c.ONVIF += "?again"
	s.Apply([]onvif.Camera{c})
	if err := s.Move(t.Context(), "gate", onvif.Velocity{Pan: 1}, officer); err != nil {
		t.Error(err)
	}
}
