//go:build linux

package main_test

import (
	"fmt"
	"math"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/devices/devicestest"
	"stationd/video/videotest"
)

// TestRealParts is a station as it will stand there, with nothing of ours around
// it: Mosquitto as the broker, mosquitto_pub as the sensor, GStreamer's RTSP
// server with a live encoder as the camera; and its centre, another process.
func TestRealParts(t *testing.T) {
	t.Parallel()
	mosquitto := devicestest.StartMosquitto(t)
	camera := videotest.StartGStreamer(t, videotest.GStreamerConfig{Username: "admin", Password: "口令 1"})
	const gop = time.Second // of the camera

	centre, village := newPair(t, filepath.Join(t.TempDir(), "station"), `
devices: {broker: {listen: ""}}
record: {volume_size: 16MiB, max_bytes: 256MiB, min_free: 512MiB, clips_min_free: 128MiB}
store: {space: {low: 512MiB}}
`)
	for _, n := range []*node{centre, village} {
		t.Logf("%s: start → ready: %v", n.id, n.start().Round(time.Millisecond))
		n.claim()
	}
	village.put("/api/v1/brokers/mosquitto", map[string]any{"url": mosquitto.URL(), "topics": []string{"zigbee2mqtt/#"}}, nil)
	village.put("/api/v1/cameras/yard", map[string]any{"name": "院子", "place": "向阳院", "url": camera.URL(), "username": "admin", "password": "口令 1", "record": true}, nil)
	const topic = "zigbee2mqtt/smoke-kitchen"
	village.put("/api/v1/sensors/smoke-kitchen", station.Sensor{
		Name: "厨房烟感", Place: "3号楼 1202 室 · 厨房", Class: station.ClassSmoke, Cameras: []string{"yard"},
		Source: station.SensorSource{Broker: "mosquitto", Family: "zigbee2mqtt", Topic: topic},
	}, nil)
	eventually(t, 30*time.Second, "broker, camera and centre are there, and there is a record to cut from", func() error {
		s := village.status()
		switch {
		case len(s.Brokers) != 1 || !s.Brokers[0].Connected:
			return fmt.Errorf("brokers %+v", s.Brokers)
		case s.Cameras.Online != 1:
			return fmt.Errorf("cameras %+v", s.Cameras)
		case s.Uplink == nil || !s.Uplink.Connected:
			return fmt.Errorf("uplink %+v", s.Uplink)
		case s.Storage.OldestVideo.IsZero() || s.Now.Sub(s.Storage.OldestVideo) < 12*time.Second:
			return fmt.Errorf("the oldest video is of %v", s.Storage.OldestVideo)
		}
		return nil
	})

	mosquitto.Publish(topic, `{"smoke":false,"battery":88,"linkquality":120}`)
	said := time.Now()
	mosquitto.Publish(topic, `{"smoke":true,"battery":88,"linkquality":120}`)
	var alarm station.Alarm
	for _, n := range []*node{village, centre} {
		eventually(t, 5*time.Second, "the alarm is at "+n.id, func() error {
			live := n.live()
			if len(live) != 1 || live[0].Kind != station.KindSmoke {
				return fmt.Errorf("live: %+v", live)
			}
			alarm = live[0]
			return nil
		})
		t.Logf("mosquitto_pub → alarm at %s: %v", n.id, time.Since(said).Round(time.Millisecond))
	}
	if alarm.Node != station.NodeID(village.id) || alarm.Sensor != "village-1.smoke-kitchen" || alarm.Severity != station.SeverityCritical {
		t.Errorf("the alarm at the centre: %+v", alarm)
	}

	// Meanwhile both watch: the station, and the centre through the relay.
	screens := []*screen{village.watch("yard"), centre.watch("village-1.yard")}
	for i, name := range []string{"station", "centre through the relay"} {
		screens[i].awaitPictures(t, "live pictures: "+name, 100)
		stream, at := screens[i].hangUp()
		shown := clock(t, stream, at[len(at)-1], "-f", "h264", "-i", "-")
		if len(shown) != len(at) {
			t.Errorf("%s: %d pictures, %d decoded", name, len(at), len(shown))
			continue
		}
		var sum, worst time.Duration
		for k, made := range shown {
			late := at[k].Sub(made)
			sum, worst = sum+late, max(worst, late)
		}
		// The first ones come from the cache, as old as the key picture is.
		t.Logf("%s: %d pictures decoded, made %v before they came, at most %v", name, len(at), (sum / time.Duration(len(at))).Round(time.Millisecond), worst.Round(time.Millisecond))
		if last := at[len(at)-1].Sub(shown[len(shown)-1]); last > 2*time.Second {
			t.Errorf("%s: the last picture is %v old", name, last)
		}
	}

	clip := centre.awaitClip(60*time.Second, alarm.ID)
	t.Logf("alarm → clip at the centre: %v after its end", time.Since(clip.To).Round(time.Millisecond))
	file := centre.download(clip)
	f := probe(t, file)
	shown := clock(t, nil, clip.To, "-i", file)
	first, last := shown[0], shown[len(shown)-1]
	t.Logf("asked for %v, film of %v; its first picture was made %v before the span, its last %v before the span's end; %d pictures, the longest shown for %v",
		clip.To.Sub(clip.From), f.duration.Round(time.Millisecond), clip.From.Sub(first), clip.To.Sub(last), len(shown), f.longest.Round(time.Millisecond))
	if asked := clip.To.Sub(clip.From); asked != 30*time.Second || alarm.RaisedAt.Sub(clip.From) != 10*time.Second {
		t.Errorf("asked for %v, %v of it before the alarm", asked, alarm.RaisedAt.Sub(clip.From))
	}
	// A picture is some moments old when it is recorded.
	const lag = 500 * time.Millisecond
	if early := clip.From.Sub(first); early < 0 || early > gop+lag {
		t.Errorf("the first picture was made %v before the asked span begins, want 0 to one GOP", early)
	}
	if short := clip.To.Sub(last); short > gop {
		t.Errorf("the last picture was made %v before the asked span ends, want at most one GOP", short)
	}
	if f.longest > gop || clip.Gaps > 0 {
		t.Errorf("holes: %v in all, a picture is shown for %v", clip.Gaps, f.longest)
	}
	// The film runs as fast as the world did.
	if film, world := f.pictures[len(f.pictures)-1]-f.pictures[0], last.Sub(first); math.Abs(film.Seconds()-world.Seconds()) > 0.3 {
		t.Errorf("from the first to the last picture the film lasts %v, the world %v", film, world)
	}
	if got, err := village.alarm(alarm.ID); err != nil || got.Clip == nil || got.Clip.SHA256 != clip.SHA256 || got.Clip.Uploaded.IsZero() || got.Centre.ReceivedAt.IsZero() {
		t.Errorf("the station's view of it: %+v, %v", got, err)
	}
	for _, n := range []*node{village, centre} {
		code, took := n.stop(syscall.SIGTERM, 5*time.Second)
		if code != 0 {
			t.Errorf("%s: SIGTERM: exit code %d", n.id, code)
		}
		t.Logf("%s: SIGTERM → ended: %v", n.id, took.Round(time.Millisecond))
	}
}

// clock reads from each picture of a film when it was made.
func clock(t *testing.T, stream []byte, near time.Time, input ...string) []time.Time {
	t.Helper()
	squares := decode(t, stream, input, "-vf", videotest.PictureTimeFilter, "-f", "rawvideo")
	var at []time.Time
	for len(squares) >= videotest.ClockSize {
		made, ok := videotest.PictureTime(squares[:videotest.ClockSize], near)
		if !ok {
			t.Fatalf("picture %d shows no clock: %v", len(at), squares[:videotest.ClockSize])
		}
		at, squares = append(at, made), squares[videotest.ClockSize:]
	}
	if len(at) == 0 {
		t.Fatal("no pictures")
	}
	return at
}
