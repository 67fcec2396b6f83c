//go:build linux

package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/devices/devicestest"
	"stationd/video/videotest"
)

// The watermarks of the small disk.
const (
	mib         = 1 << 20
	diskReserve = 24 * mib
	diskFloor   = 16 * mib // what the database needs in order to write
	diskMinFree = 80 * mib // what video leaves
)

// TestFullDisk fills the disk of a station whose cameras record and whose sensors
// speak, to its own broker and to a Mosquitto: nothing falls, no alarm is lost,
// readings have to wait, and a smoke detector does not. Mosquitto cannot be made to
// wait: of its readings those that are given up are counted. Twice the station
// starts on a disk that is full already, once after a kill.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	disk := mountDisk(t, 288*mib)
	mosquitto := devicestest.StartDocumented(t, filepath.Join("..", "..", "docs", "mosquitto.md"), "station", "doors")
	broker := freePort(t)
	centre, village := newPair(t, filepath.Join(disk.dir, "station"), fmt.Sprintf(`
devices: {broker: {listen: %q, hold: 2s}}
record: {volume_size: 1MiB, max_bytes: 64MiB, min_free: 80MiB, clips_min_free: 48MiB}
store: {space: {reserve: 24MiB, low: 64MiB, full: 40MiB, tight: 28MiB, floor: 16MiB}}
`, broker))
	for _, n := range []*node{centre, village} {
		n.start()
		n.claim()
	}
	const cameras = 24
	setUpCameras(t, village, cameras)
	var account station.DeviceCredential
	village.put("/api/v1/devices/bridge", nil, &account)
	bridge := func(client string) *publisher {
		return &publisher{address: broker, client: client, user: account.Username, password: account.Password, window: 10}
	}
	village.put("/api/v1/brokers/mosquitto", map[string]any{
		"url": mosquitto.URL(), "username": "station", "password": devicestest.Password("station"), "topics": []string{"devices/#"},
	}, nil)
	outside := func(client string) *publisher {
		return &publisher{address: mosquitto.Addr, client: client, user: "doors", password: devicestest.Password("doors"), window: 10}
	}
	home := newHouse(t, village, station.EmbeddedBroker, "", bridge("readings"))
	yard := newHouse(t, village, "mosquitto", "yard-", outside("yard-readings"))
	entrance := newDoors(village.put, station.EmbeddedBroker, bridge("doors"), 100*time.Millisecond, 0)
	gate := newDoors(village.put, "mosquitto", outside("gate"), 100*time.Millisecond, 0)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	closing := make(chan struct{})
	var publishing sync.WaitGroup
	defer publishing.Wait()
	defer cancel()
	publishing.Go(func() { home.err = home.run(ctx, closing) })
	publishing.Go(func() { yard.err = yard.run(ctx, closing) })
	publishing.Go(func() { entrance.err = entrance.run(ctx, closing) })
	publishing.Go(func() { gate.err = gate.run(ctx, closing) })

	recorded := func(volumes int) {
		t.Helper()
		eventually(t, 60*time.Second, "video is recorded", func() error {
			s := village.status()
			if s.Cameras.Online < cameras || s.Storage.VideoBytes < int64(volumes)*mib*3/2 || lamp(s, "storage") != "storage.ok" {
				return fmt.Errorf("cameras %+v, storage %+v, lamp %s", s.Cameras, s.Storage, lamp(s, "storage"))
			}
			return nil
		})
	}
	recorded(16) // more than the database takes at once while space is being made

	t.Log("others take space: the oldest video goes, everything else goes on")
	before := village.status().Storage
	disk.fill(t, diskMinFree-4*mib)
	eventually(t, 20*time.Second, "the oldest video is dropped", func() error {
		s := village.status().Storage
		if !s.OldestVideo.After(before.OldestVideo) || s.VideoBytes == 0 {
			return fmt.Errorf("storage %+v, before %+v", s, before)
		}
		return nil
	})
	home.mustGoOn(t)

	t.Log("to the last byte")
	disk.fillUp(t, village, diskFloor+4*mib)
	// What is written meanwhile may have reached for the reserve already.
	t.Logf("the reserve has %d of %d bytes", fileSize(village.reserve()), diskReserve)
	disk.fill(t, 0)
	onFullDisk(t, village, centre, home, yard, entrance, gate, "kitchen-1")

	t.Log("killed, and started on the full disk")
	village.kill()
	t.Logf("start → ready: %v", village.start().Round(time.Millisecond))
	onFullDisk(t, village, centre, home, yard, entrance, gate, "kitchen-2")

	t.Log("killed again, and others take the last of the reserve: it says so and ends")
	village.kill()
	disk.fill(t, 0)
	place := village.log.len()
	village.launch()
	eventually(t, 20*time.Second, "it ends", func() error {
		if village.running() {
			return errors.New("it runs")
		}
		return nil
	})
	if code, told := village.cmd.ProcessState.ExitCode(), village.log.all(place, "stationd: .*free space.*"); code != 1 || len(told) == 0 {
		t.Errorf("without any space: exit code %d, want 1 and the remedy", code)
	}

	t.Log("space returns")
	disk.free(t)
	village.start()
	allWell := func() {
		t.Helper()
		eventually(t, 30*time.Second, "everything is as it was", func() error {
			s := village.status()
			if lamp(s, "storage") != "storage.ok" || s.Storage.VideoBytes == 0 {
				return fmt.Errorf("lamp %q, storage %+v", lamp(s, "storage"), s.Storage)
			}
			for _, n := range []*node{village, centre} {
				if slices.ContainsFunc(n.live(), func(a station.Alarm) bool { return a.Kind == station.KindDisk }) {
					return fmt.Errorf("the disk alarm is live at %s", n.id)
				}
			}
			if size := fileSize(village.reserve()); size != diskReserve {
				return fmt.Errorf("the reserve has %d bytes", size)
			}
			return nil
		})
		home.mustGoOn(t)
	}
	allWell()
	recorded(8)

	t.Log("stopped in good order, and started on a disk that has filled up meanwhile")
	if code, _ := village.stop(syscall.SIGTERM, 5*time.Second); code != 0 {
		t.Errorf("SIGTERM: exit code %d", code)
	}
	was := before.VideoBytes
	disk.fill(t, 0)
	t.Logf("start → ready: %v", village.start().Round(time.Millisecond))
	eventually(t, 20*time.Second, "the reserve is released and the oldest video dropped", func() error {
		s := village.status().Storage
		if size := fileSize(village.reserve()); size >= diskReserve || s.VideoBytes >= was {
			return fmt.Errorf("the reserve has %d bytes; storage %+v", size, s)
		}
		return nil
	})
	disk.fillUp(t, village, diskFloor+4*mib)
	onFullDisk(t, village, centre, home, yard, entrance, gate, "kitchen-3")
	disk.free(t)
	allWell()

	close(closing)
	eventually(t, 30*time.Second, "everything is acknowledged", func() error {
		if home.running.Load() || yard.running.Load() || entrance.running.Load() || gate.running.Load() {
			return errors.New("publishers wait")
		}
		return nil
	})
	publishing.Wait()
	if err := errors.Join(home.err, yard.err, entrance.err, gate.err); err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, "everything is taken in from Mosquitto", func() error {
		counted := openings(village.alarms(), "")
		for _, s := range gate.sensors {
			if n := counted.of(s.id); n < s.seq {
				return fmt.Errorf("%s: %d of %d", s.id, n, s.seq)
			}
		}
		for _, a := range village.alarms() {
			if a.Kind == station.KindDoor && a.State != station.StateCleared {
				return fmt.Errorf("%s is shut, and its alarm is not over", a.Sensor) // what it counts is told then
			}
		}
		if got := village.value("yard-cellar", "seq"); got != float64(yard.said.Load()) {
			return fmt.Errorf("the yard's last reading is number %v of %d", got, yard.said.Load())
		}
		return nil
	})
	eventually(t, 30*time.Second, "everything is at the centre", func() error {
		for _, l := range village.status().Uplink.Lanes {
			if l.Backlog > 0 {
				return fmt.Errorf("lane %s: %d", l.Lane, l.Backlog)
			}
		}
		return nil
	})
	for _, h := range []*house{home, yard} {
		for name, n := range map[string]*node{h.prefix + "cellar": village, "village-1." + h.prefix + "cellar": centre} {
			if got := n.value(name, "seq"); got != float64(h.said.Load()) {
				t.Errorf("%s: the last reading of %s is number %v of %d", n.id, name, got, h.said.Load())
			}
		}
	}
	for name, got := range map[string]openedDoors{
		"station": openings(village.alarms(), ""), "centre": openings(centre.alarms(), "village-1."),
	} {
		for _, s := range slices.Concat(entrance.sensors, gate.sensors) {
			if got.of(s.id) != s.seq || !got.inOrder(s.id) {
				t.Errorf("%s: %s: opened %d times, and its alarms are %v", name, s.id, s.seq, got[s.id])
			}
		}
	}
	t.Logf("%d alarms and %d readings acknowledged, %d and %d messages sent again", entrance.published(), home.acked.Load(), entrance.resent, home.resent)
	var dropped int
	eventually(t, 90*time.Second, "what was given up is told", func() error {
		if dropped = village.dropped("storage was full"); dropped == 0 {
			return errors.New("nothing is told")
		}
		return nil
	})
	if code, _ := village.stop(syscall.SIGTERM, 5*time.Second); code != 0 {
		t.Errorf("SIGTERM: exit code %d", code)
	}
	kept := openRecords(t, village)
	// Readings that wait are sent again. What is left out of those that say that an
	// alarm is over, or does not hold, while there is just no room for readings, is
	// counted with the others.
	left, _ := kept.of(&door{id: "cellar", seq: int(home.said.Load())}, "temperature", 1)
	if left > int(home.said.Load())/20 {
		t.Errorf("of %d readings at the built-in broker %d are not kept", home.said.Load(), left)
	}
	missing, _ := kept.of(&door{id: "yard-cellar", seq: int(yard.said.Load())}, "temperature", 1)
	for _, s := range slices.Concat(entrance.sensors, gate.sensors) {
		n, _ := kept.of(s, "door", 2)
		missing += n // as readings; their alarms are counted
	}
	missing += left
	t.Logf("of %d readings of the yard and %d of doors %d are not kept; %d are told to be given up", yard.said.Load(), 2*(entrance.published()+gate.published()), missing, dropped)
	// What was counted in the last second is lost with a kill; three times it ended
	// on a full disk.
	const perSecond = 50 + 40
	if dropped < missing-3*2*perSecond {
		t.Errorf("%d readings are not kept, and only %d are told to be given up", missing, dropped)
	}
}

// dropped is how many readings the node says that it has given up.
func (d *desk) dropped(why string) (n int) {
	d.t.Helper()
	for _, ev := range d.journal() {
		if ev.Type != station.EventReadingsDropped {
			continue
		}
		var told station.Dropped
		if err := json.Unmarshal(ev.Data, &told); err != nil {
			d.t.Fatal(err)
		}
		if told.Reason == why {
			n += int(told.Count)
		}
	}
	return n
}

// value is what a sensor said last, as the console shows it.
func (d *desk) value(sensor, field string) station.Value {
	d.t.Helper()
	var list struct {
		Sensors []struct{ State station.SensorState }
	}
	d.get("/api/v1/sensors", &list)
	for _, s := range list.Sensors {
		if s.State.Sensor == sensor {
			return s.State.Values[field]
		}
	}
	return nil
}

// onFullDisk is what must be true whenever the disk is full.
func onFullDisk(t *testing.T, village, centre *node, house, yard *house, entrance, gate *doors, kitchen string) {
	t.Helper()
	eventually(t, 20*time.Second, "the console says so", func() error {
		s := village.status()
		if l := lamp(s, "storage"); !slices.Contains([]string{"storage.full", "storage.reserve", "storage.video-stopped"}, l) {
			return fmt.Errorf("the lamp says %q, storage %+v", l, s.Storage)
		}
		for _, n := range []*node{village, centre} {
			if !slices.ContainsFunc(n.live(), func(a station.Alarm) bool { return a.Kind == station.KindDisk && a.Node == "village-1" }) {
				return fmt.Errorf("no disk alarm at %s", n.id)
			}
		}
		return nil
	})
	house.mustWait(t)
	var alarm station.Alarm
	arrives := func(kitchen string) {
		t.Helper()
		for _, n := range []*node{village, centre} {
			eventually(t, 5*time.Second, "the smoke alarm of "+kitchen+" is at "+n.id, func() error {
				for _, a := range n.live() {
					if strings.TrimPrefix(a.Sensor, "village-1.") == kitchen {
						if n == village {
							alarm = a
						}
						return nil
					}
				}
				return fmt.Errorf("live: %+v", n.live())
			})
		}
	}
	began := time.Now()
	yard.smoke(t, kitchen)
	arrives(yard.prefix + kitchen)
	past := time.Since(began)
	took := house.smoke(t, kitchen)
	arrives(kitchen)
	counted := openings(village.alarms(), "")
	eventually(t, 10*time.Second, "ordinary alarms are taken in from Mosquitto", func() error {
		now := openings(village.alarms(), "")
		for _, s := range gate.sensors {
			if n := now.of(s.id) - counted.of(s.id); n < 5 {
				return fmt.Errorf("%s: %d", s.id, n)
			}
		}
		return nil
	})
	doors := entrance.acked.Load()
	eventually(t, 10*time.Second, "ordinary alarms are taken in", func() error {
		if n := entrance.acked.Load() - doors; n < 5 {
			return fmt.Errorf("%d", n)
		}
		return nil
	})
	officer := newDesk(t, village.base)
	officer.must(http.MethodPost, "/api/v1/login", map[string]string{"account": "officer", "password": "correct horse battery"}, nil)
	officer.must(http.MethodPost, "/api/v1/alarms/"+alarm.ID+"/answers", station.AnswerOrder{Kind: station.AnswerReceived}, nil)
	s := village.status()
	t.Logf("disk full: smoke alarm acknowledged after %v on the connection whose readings wait, at the centre after %v past Mosquitto; lamp %s, %d KiB free beside the reserve, which has %d KiB",
		took.Round(time.Millisecond), past.Round(time.Millisecond), lamp(s, "storage"), s.Storage.Free>>10, fileSize(village.reserve())>>10)
}

// house is one client, as Zigbee2MQTT is one for a whole house: a thermometer
// that says something all the time, and smoke detectors.
type house struct {
	*publisher
	prefix  string // of its names
	alarms  chan *publication
	acked   atomic.Int64 // readings
	said    atomic.Int64
	running atomic.Bool
	err     error
}

func newHouse(t *testing.T, n *node, route, prefix string, p *publisher) *house {
	t.Helper()
	h := &house{publisher: p, prefix: prefix, alarms: make(chan *publication)}
	source := func(name, field string) station.SensorSource {
		return station.SensorSource{Broker: route, Family: "json", Topic: h.topic(name), Fields: map[string]string{field: "v", "seq": "seq"}}
	}
	n.put("/api/v1/sensors/"+prefix+"cellar", station.Sensor{Name: "配电房温度", Class: station.ClassTemperature, Source: source("cellar", "temperature")}, nil)
	for i := range 3 {
		kitchen := fmt.Sprint("kitchen-", i+1)
		n.put("/api/v1/sensors/"+prefix+kitchen, station.Sensor{Name: "厨房烟感", Place: "3号楼 1202 室", Class: station.ClassSmoke, Cameras: []string{"cam-00"}, Source: source(kitchen, "smoke")}, nil)
	}
	return h
}

func (h *house) topic(name string) string { return "devices/doors/" + h.client + "/" + name }

// run says the temperature fifty times a second, as long as not more than four
// readings wait for their acknowledgement.
func (h *house) run(ctx context.Context, closing <-chan struct{}) error {
	h.running.Store(true)
	defer h.running.Store(false)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	feed, waiting := make(chan *publication), make(chan struct{}, 4)
	var feeding sync.WaitGroup
	defer feeding.Wait()
	feeding.Go(func() {
		defer close(feed)
		pace := time.NewTicker(20 * time.Millisecond)
		defer pace.Stop()
		for {
			var m *publication
			select {
			case <-ctx.Done():
				return
			case <-closing:
				return
			case m = <-h.alarms:
			case <-pace.C:
				select {
				case waiting <- struct{}{}:
				default:
					continue
				}
				m = &publication{
					topic: h.topic("cellar"), payload: fmt.Appendf(nil, `{"v":21.5,"seq":%d}`, h.said.Add(1)),
					acked: func() { h.acked.Add(1); <-waiting },
				}
			}
			select {
			case feed <- m:
			case <-ctx.Done():
				return
			}
		}
	})
	return h.publisher.run(ctx, feed)
}

// mustWait sees to it that no reading is acknowledged any more.
func (h *house) mustWait(t *testing.T) {
	t.Helper()
	var since time.Time
	var last int64 = -1
	// Longer than it takes until the client is sent away and comes again.
	eventually(t, 30*time.Second, "readings have to wait", func() error {
		if n := h.acked.Load(); n != last || since.IsZero() {
			last, since = n, time.Now()
		}
		if quiet := time.Since(since); quiet < 4*time.Second {
			return fmt.Errorf("the last was acknowledged %v ago", quiet.Round(time.Millisecond))
		}
		return nil
	})
	if h.said.Load() == last {
		t.Error("no reading waits")
	}
}

// mustGoOn waits for readings to be acknowledged.
func (h *house) mustGoOn(t *testing.T) {
	t.Helper()
	before := h.acked.Load()
	eventually(t, 20*time.Second, "readings are taken in", func() error {
		if n := h.acked.Load() - before; n < 20 {
			return fmt.Errorf("%d acknowledged", n)
		}
		return nil
	})
}

// smoke lets a smoke detector alarm, on the same connection, and returns how
// long it took until it was told that it was heard.
func (h *house) smoke(t *testing.T, kitchen string) time.Duration {
	t.Helper()
	acked := make(chan struct{})
	began := time.Now()
	m := &publication{topic: h.topic(kitchen), payload: []byte(`{"v":true}`), acked: func() { close(acked) }}
	limit := time.After(10 * time.Second)
	for feed := h.alarms; ; {
		select {
		case feed <- m:
			feed = nil
		case <-acked:
			return time.Since(began)
		case <-limit:
			t.Fatal("the smoke alarm is not acknowledged")
		}
	}
}

// setUpCameras gives the station cameras that play films.
func setUpCameras(t *testing.T, n *node, count int) {
	t.Helper()
	films, err := videotest.Films()
	if err != nil {
		t.Fatal(err)
	}
	paths := map[string]string{}
	for i := range count {
		paths[fmt.Sprintf("cam-%02d", i)] = films[i%len(films)].Name
	}
	server, err := videotest.Start(videotest.Config{Paths: paths})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	for id := range paths {
		n.put("/api/v1/cameras/"+id, map[string]any{"name": id, "url": server.URL(id), "record": true}, nil)
	}
}

// reserve is the file that holds the space for alarms.
func (n *node) reserve() string { return filepath.Join(n.data, "store", "reserve") }

func fileSize(path string) int64 {
	fi, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return fi.Size()
}

// smallDisk is a file system of its own, on a loop device.
type smallDisk struct{ dir string }

func mountDisk(t *testing.T, size int64) *smallDisk {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("a small disk is mounted for this: run it as root (sudo -E make test)")
	}
	image, dir := filepath.Join(t.TempDir(), "disk"), t.TempDir()
	f, err := os.Create(image)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", image},
		{"mount", "-o", "loop", image, dir},
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s(it needs mkfs.ext4, apt-get install -y e2fsprogs, and loop devices, in a container --privileged)", strings.Join(args, " "), err, out)
		}
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
			_ = exec.Command("umount", "-l", dir).Run()
		}
	})
	return &smallDisk{dir}
}

func (d *smallDisk) filler() string { return filepath.Join(d.dir, "filler") }

// left is what the file system has free.
func (d *smallDisk) left(t *testing.T) int64 {
	t.Helper()
	var s syscall.Statfs_t
	if err := syscall.Statfs(d.dir, &s); err != nil {
		t.Fatal(err)
	}
	return int64(s.Bavail) * s.Bsize
}

// fill takes what is free now but for so much.
func (d *smallDisk) fill(t *testing.T, leave int64) {
	t.Helper()
	f, err := os.OpenFile(d.filler(), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for step := max(d.left(t)-leave, 4096); step >= 4096; {
		if much := d.left(t) - leave; much <= 0 {
			return
		} else {
			step = min(step, much)
		}
		err := syscall.Fallocate(int(f.Fd()), 0, fileSize(d.filler()), max(step, 4096))
		switch {
		case errors.Is(err, syscall.ENOSPC):
			step /= 2
		case err != nil && !errors.Is(err, syscall.EINTR):
			t.Fatal(err)
		}
	}
}

// fillUp takes what is free but for so much, and again what the station makes
// free of its video, until there is no video left.
func (d *smallDisk) fillUp(t *testing.T, n *node, leave int64) {
	t.Helper()
	eventually(t, 60*time.Second, "the disk is full", func() error {
		d.fill(t, leave)
		if s := n.status().Storage; s.Level != "reserve" || s.VideoBytes > 0 {
			return fmt.Errorf("storage %+v", s)
		}
		return nil
	})
}

func (d *smallDisk) free(t *testing.T) {
	t.Helper()
	if err := os.Remove(d.filler()); err != nil {
		t.Fatal(err)
	}
}
