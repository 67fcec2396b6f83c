package playback_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/agent/store/disk"
	"stationd/video/playback"
	"stationd/video/record"
)

// orders is a list of exports as the core keeps it, in memory.
type orders struct {
	mu   sync.Mutex
	list []station.Export
	more chan struct{}
}

func (o *orders) Exports() ([]station.Export, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.list), nil
}

func (o *orders) Export(id string) (station.Export, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, x := range o.list {
		if x.ID == id {
			return x, nil
		}
	}
	return station.Export{}, station.ErrNotFound
}

func (o *orders) ExportDone(_ context.Context, x station.Export) (bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.list {
		if o.list[i].ID == x.ID {
			if o.list[i].Status == station.ExportRemoved {
				return false, nil
			}
			o.list[i] = x
		}
	}
	return true, nil
}

func (o *orders) ExportsChanged() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.more
}

func (o *orders) order(x station.Export) {
	o.change(func() { o.list = append([]station.Export{x}, o.list...) })
}

func (o *orders) remove(id string) {
	o.change(func() {
		for i := range o.list {
			if o.list[i].ID == id {
				o.list[i].Status = station.ExportRemoved
			}
		}
	})
}

func (o *orders) change(what func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	what()
	close(o.more)
	o.more = make(chan struct{})
}

// exporting is a playback whose Run runs.
type exporting struct {
	*playback.Playback
	*orders
	t   testing.TB
	dir string
	url string
}

func runExports(t testing.TB, a *archive, deps playback.Deps, change func(*playback.Config)) *exporting {
	t.Helper()
	e := &exporting{orders: &orders{more: make(chan struct{})}, t: t, dir: filepath.Join(t.TempDir(), "exports")}
	cfg := playback.DefaultConfig()
	cfg.Dir = e.dir
	if change != nil {
		change(&cfg)
	}
	deps.Archive, deps.Exports, deps.Log = a.Archive, e.orders, logTo(t)
	deps.May = func(station.Actor, string) bool { return true }
	e.Playback = playback.New(cfg, deps)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	e.url = serve(t, e.Routes()).URL
	return e
}

func (e *exporting) make(x station.Export) station.Export {
	e.t.Helper()
	x.ID, x.Status = station.NewID(), station.ExportWaiting
	e.order(x)
	eventually(e.t, "the export is made", func() bool {
		x, _ = e.Export(x.ID)
		return x.Status != station.ExportWaiting
	})
	return x
}

// files are what lies in the folder of the exports.
func (e *exporting) files() []string {
	var names []string
	entries, err := os.ReadDir(e.dir)
	if err != nil {
		e.t.Fatal(err)
	}
	for _, x := range entries {
		names = append(names, x.Name())
	}
	return names
}

// One file, index in front, in which time runs as it ran on the wall.
func TestExport(t *testing.T) {
	t.Parallel()
	a := openArchive(t)
	c := a.camera("gate", morning, film(t, "gate"))
	c.play(20 * time.Second)
	c.lose(30 * time.Second)
	c.play(20 * time.Second)
	c.settle()
	now := morning.Add(time.Hour)
	var mu sync.Mutex
	e := runExports(t, a, playback.Deps{Now: func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}}, nil)
	order := station.Export{Camera: "gate", From: morning.Add(5 * time.Second), To: morning.Add(60 * time.Second)}
	if err := e.CheckExport(order); err != nil {
		t.Fatal(err)
	}
	x := e.make(order)
	if x.Status != station.ExportReady || x.Cause != "" || !near(x.Gaps, 30*time.Second, 100*time.Millisecond) || !near(x.Start.Sub(morning), 4*time.Second, 50*time.Millisecond) {
		t.Fatalf("%+v", x)
	}
	video := e.url + "/api/v1/cameras/gate/exports/" + x.ID + "/video.mp4"
	reply, body := get(t, video)
	if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != x.SHA256 || int64(len(body)) != x.Size {
		t.Errorf("%d bytes with the sum %x, not %d with %s", len(body), sum, x.Size, x.SHA256)
	}
	if name := reply.Header.Get("Content-Disposition"); !strings.Contains(name, "gate_2026") {
		t.Error(name)
	}
	path := save(t, "export.mp4", body)
	if count, seconds := probe(t, path); count != 16*25+10*25 || seconds < 55.9 || seconds > 56.1 {
		t.Errorf("%d pictures, %v s; want those of 4 to 20 and 50 to 60 s over 56 s", count, seconds)
	}
	if at, m := strings.Index(string(body), "moov"), strings.Index(string(body), "mdat"); at < 0 || at > m {
		t.Error("the index does not stand in front")
	}
	tool(t, "ffmpeg", "-v", "warning", "-xerror", "-i", path, "-fps_mode", "passthrough", "-enc_time_base", "1:90000", "-f", "null", "-")
	// A seek into the second stretch: the picture of 50 s stands at 46 s of the file.
	out := tool(t, "ffprobe", "-v", "error", "-select_streams", "v:0", "-read_intervals", "47%+#1", "-show_entries", "packet=pts_time,flags", "-of", "csv=p=0", path)
	if !strings.HasPrefix(out, "46.0") || !strings.Contains(out, "K") {
		t.Errorf("a seek to 47 s lands at %s", out)
	}
	// A browser keeps a part and goes on with the rest.
	again, err := http.NewRequest(http.MethodGet, video, nil)
	if err != nil {
		t.Fatal(err)
	}
	again.Header.Set("Range", "bytes=100-199")
	part, err := http.DefaultClient.Do(again)
	if err != nil || part.StatusCode != http.StatusPartialContent {
		t.Fatalf("%v, %v", part, err)
	}
	part.Body.Close()
	if reply, _ := get(t, strings.Replace(video, "/gate/", "/garage/", 1)); reply.StatusCode != http.StatusNotFound {
		t.Errorf("under another camera: %s", reply.Status)
	}

	// When its time is over the file goes, the record of it stays.
	mu.Lock()
	now = now.Add(25 * time.Hour)
	mu.Unlock()
	e.change(func() {})
	eventually(t, "the file is removed", func() bool { return len(e.files()) == 0 })
	if reply, body := get(t, video); reply.StatusCode != http.StatusConflict || !strings.Contains(string(body), "export.removed") {
		t.Errorf("%s %s", reply.Status, body)
	}
}

// With ffmpeg the time stands in the pictures: the corner is not the film's own.
func TestExportWithTime(t *testing.T) {
	a := openArchive(t)
	c := a.camera("gate", morning, film(t, "gate"))
	c.play(10 * time.Second)
	c.settle()
	e := runExports(t, a, playback.Deps{Now: func() time.Time { return morning.Add(time.Hour) }}, nil)
	order := station.Export{Camera: "gate", From: morning.Add(2 * time.Second), To: morning.Add(6 * time.Second)}
	plain := e.make(order)
	order.Overlay = true
	stamped := e.make(order)
	if stamped.Status != station.ExportReady || !stamped.Stamped || stamped.Cause != "" || stamped.SHA256 == plain.SHA256 {
		t.Fatalf("%+v", stamped)
	}
	bright := func(x station.Export) (mean float64) {
		out := tool(t, "ffmpeg", "-v", "error", "-i", filepath.Join(e.dir, x.ID+".mp4"), "-vf", "crop=iw/3:ih/10:0:ih-oh,signalstats,metadata=print:key=lavfi.signalstats.YAVG:file=-", "-frames:v", "1", "-f", "null", "-")
		_, value, _ := strings.Cut(out, "YAVG=")
		if _, err := fmt.Sscan(value, &mean); err != nil {
			t.Fatalf("ffmpeg said %q", out)
		}
		return mean
	}
	if p, s := bright(plain), bright(stamped); s > p-8 && s < p+8 {
		t.Errorf("no letters in the corner: it is as bright as before, %v and %v", p, s)
	}
	if count, seconds := probe(t, filepath.Join(e.dir, stamped.ID+".mp4")); count != 100 || seconds < 3.9 || seconds > 4.1 {
		t.Errorf("%d pictures, %v s", count, seconds)
	}
	if names := e.files(); len(names) != 2 {
		t.Errorf("what ffmpeg needed was left: %v", names)
	}
	t.Setenv("PATH", "")
	if p, _ := station.AsProblem(e.CheckExport(order)); p == nil || p.Code != "decoder.missing" || !strings.Contains(p.Hint, "ffmpeg") {
		t.Errorf("without ffmpeg: %v", p)
	}
}

// What cannot be exported is refused before it is ordered.
func TestExportsThatAreRefused(t *testing.T) {
	t.Parallel()
	a := openArchive(t)
	c := a.camera("gate", morning, film(t, "gate"))
	c.play(6 * time.Second)
	c.settle()
	p := open(t, a, playback.Deps{Now: func() time.Time { return morning.Add(time.Minute) }})
	for code, x := range map[string]station.Export{
		"query.span":    {From: morning.Add(time.Second), To: morning},
		"export.future": {From: morning, To: morning.Add(time.Hour)},
		"record.none":   {From: morning.Add(20 * time.Second), To: morning.Add(40 * time.Second)},
		"export.time":   {From: time.Time{}, To: morning},
	} {
		x.Camera = "gate"
		if problem, ok := station.AsProblem(p.CheckExport(x)); !ok || problem.Code != code || problem.Hint == "" {
			t.Errorf("%s: %v", code, problem)
		}
	}
	long := station.Export{Camera: "gate", From: morning.Add(-7 * time.Hour), To: morning}
	if problem, _ := station.AsProblem(p.CheckExport(long)); problem == nil || problem.Place != "to" || !strings.Contains(problem.Hint, "6h") {
		t.Errorf("too long: %v", problem)
	}
}

// A disk that fills up, a record that vanishes, somebody who changes their mind: each
// is told, and no half file stays.
func TestExportsThatFail(t *testing.T) {
	t.Parallel()
	a := openArchive(t)
	c := a.camera("gate", morning, film(t, "gate"))
	c.play(30 * time.Second)
	c.settle()
	room := make(chan error, 1)
	asked := make(chan struct{}, 1)
	e := runExports(t, a, playback.Deps{Now: func() time.Time { return morning.Add(time.Hour) }, Room: func(int64) error {
		select {
		case asked <- struct{}{}:
		default:
		}
		return <-room
	}}, nil)
	order := station.Export{Camera: "gate", From: morning, To: morning.Add(20 * time.Second)}
	go func() { room <- station.ErrNoSpace }()
	if x := e.make(order); x.Status != station.ExportFailed || x.Code != "storage.full" {
		t.Errorf("a full disk: %+v", x)
	}
	go func() {
		room <- nil                // it would fit
		room <- station.ErrNoSpace // and does not
	}()
	if x := e.make(order); x.Status != station.ExportFailed || x.Code != "storage.full" {
		t.Errorf("a disk that others fill meanwhile: %+v", x)
	}
	if names := e.files(); len(names) != 0 {
		t.Errorf("left: %v", names)
	}

	// Taken back while it is being made.
	for len(asked) > 0 {
		<-asked
	}
	x := order
	x.ID, x.Status = station.NewID(), station.ExportWaiting
	e.order(x)
	<-asked
	e.remove(x.ID)
	room <- nil
	select {
	case room <- nil:
	case <-time.After(200 * time.Millisecond): // it was given up before it asked again
	}
	eventually(t, "half the file is removed", func() bool { return len(e.files()) == 0 })
	if x, _ := e.Export(x.ID); x.Status != station.ExportRemoved {
		t.Errorf("taken back: %+v", x)
	}

	nothing := order
	nothing.From, nothing.To = morning.Add(10*time.Minute), morning.Add(11*time.Minute)
	if x := e.make(nothing); x.Status != station.ExportFailed || x.Code != "record.none" || x.Cause == "" {
		t.Errorf("a span that has gone: %+v", x)
	}
}

// What the disk drops while an export reads it is held.
func TestAnExportHoldsItsSpan(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("records more than the quota")
	}
	dir := t.TempDir()
	cfg := record.DefaultConfig()
	cfg.Dir = filepath.Join(dir, "video")
	cfg.VolumeSize, cfg.MaxBytes = 2*disk.MiB, 16*disk.MiB
	cfg.MinFree, cfg.ClipsMinFree = 64*disk.MiB, 32*disk.MiB
	a := openWith(t, cfg)
	c := a.camera("gate", morning, film(t, "gate"))
	c.play(30 * time.Second)
	c.settle()
	wait, held := make(chan struct{}), make(chan struct{}, 8)
	e := runExports(t, a, playback.Deps{Now: func() time.Time { return morning.Add(24 * time.Hour) }, Room: func(int64) error {
		held <- struct{}{}
		<-wait
		return nil
	}}, nil)
	x := station.Export{ID: station.NewID(), Camera: "gate", From: morning, To: morning.Add(20 * time.Second), Status: station.ExportWaiting}
	e.order(x)
	<-held
	for spans, _ := a.Timeline("gate", morning, morning.Add(10*time.Second)); len(spans) > 0; spans, _ = a.Timeline("gate", morning, morning.Add(10*time.Second)) {
		c.play(20 * time.Second) // until the quota has dropped the beginning
	}
	close(wait)
	eventually(t, "the export is made", func() bool {
		x, _ = e.Export(x.ID)
		return x.Status != station.ExportWaiting
	})
	if x.Status != station.ExportReady {
		t.Fatalf("%+v", x)
	}
	if count, _ := probe(t, filepath.Join(e.dir, x.ID+".mp4")); count != 500 {
		t.Errorf("%d pictures", count)
	}
}

func TestListOfExports(t *testing.T) {
	t.Parallel()
	a := openArchive(t)
	e := runExports(t, a, playback.Deps{Now: func() time.Time { return morning }}, nil)
	for _, camera := range []string{"gate", "garage"} {
		e.order(station.Export{ID: station.NewID(), Camera: camera, From: morning, To: morning.Add(time.Hour), Status: station.ExportWaiting, Reason: "test"})
	}
	for path, want := range map[string]int{"exports": 2, "cameras/gate/exports": 1, "cameras/nobody/exports": 0} {
		_, body := get(t, e.url+"/api/v1/"+path)
		var list struct {
			Exports []playback.ExportView `json:"exports"`
			Overlay bool                  `json:"overlay"`
		}
		if err := json.Unmarshal(body, &list); err != nil || len(list.Exports) != want {
			t.Errorf("%s: %v, %s", path, err, body)
		}
		if _, err := exec.LookPath("ffmpeg"); (err == nil) != list.Overlay {
			t.Errorf("overlay: %v", list.Overlay)
		}
	}
}
