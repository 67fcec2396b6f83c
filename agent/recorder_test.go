package agent_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"stationd/agent"
	"stationd/agent/station"
)

func recorder(kind station.RecorderKind, change ...func(map[string]any)) map[string]any {
	r := map[string]any{"id": "nvr", "name": "值班室录像机", "kind": kind, "host": "10.0.0.20", "username": "admin", "password": "right-horse", "channels": 8}
	for _, f := range change {
		f(r)
	}
	return r
}

// The channels of each maker's recorder are addressed as its manual says; they
// become cameras that use the recorder's password, which is kept once.
func TestRecorderByPattern(t *testing.T) {
	for kind, want := range map[station.RecorderKind][2]string{
		station.RecorderHikvision: {"rtsp://10.0.0.20/Streaming/Channels/801", "rtsp://10.0.0.20/Streaming/Channels/802"},
		station.RecorderDahua:     {"rtsp://10.0.0.20/cam/realmonitor?channel=8&subtype=0", "rtsp://10.0.0.20/cam/realmonitor?channel=8&subtype=1"},
		station.RecorderUniview:   {"rtsp://10.0.0.20/unicast/c8/s0/live", "rtsp://10.0.0.20/unicast/c8/s1/live"},
		station.RecorderOther:     {"rtsp://10.0.0.20/live/08/main", ""},
	} {
		r := newRig(t)
		result[station.Recorder](r, r.do(station.CommandPutRecorder, "nvr", recorder(kind, func(m map[string]any) {
			if kind == station.RecorderOther {
				m["main"] = "/live/{ch2}/main"
			}
		})))
		list, err := r.RecorderChannels(t.Context(), "nvr")
		if err != nil || len(list) != 8 || list[7].URL != want[0] || list[7].Sub != want[1] {
			t.Fatalf("%s: %+v: %v", kind, list, err)
		}
		done := result[station.RecorderImported](r, r.do(station.CommandImportRecorder, "nvr", station.RecorderImport{Channels: list, Record: true, Owner: station.OwnerProperty, Roles: []string{"operator"}}))
		if done.Added != 8 || done.Kept != 0 || len(done.Missing) != 0 {
			t.Errorf("%s: %+v", kind, done)
		}
		reg, err := r.Registry()
		if err != nil || len(reg.Cameras) != 8 {
			t.Fatalf("%s: %d cameras: %v", kind, len(reg.Cameras), err)
		}
		for _, c := range reg.Cameras {
			if c.Password.Reveal() != "right-horse" || c.Username != "admin" || c.Recorder != "nvr" || c.Channel == "" || c.HasPassword || !c.Record || c.Owner != station.OwnerProperty {
				t.Errorf("%s: %+v", kind, c)
			}
		}
		if text := fmt.Sprintf("%+v", reg); strings.Contains(text, "right-horse") {
			t.Error("the password can be read")
		}
	}
}

// A further import adds what is new, takes over new addresses, keeps what people
// have changed, and takes nothing away.
func TestRecorderIsImportedAgain(t *testing.T) {
	told := []station.RecorderChannel{
		{Channel: "src1", Name: "南门", URL: "rtsp://10.0.0.20/a", Sub: "rtsp://10.0.0.20/a2", Profile: "p1", SubProfile: "p1s"},
		{Channel: "src2", Name: "北门", URL: "rtsp://10.0.0.20/b", Profile: "p2"},
	}
	asked := 0
	r := newRig(t, func(_ *agent.Config, d *agent.Deps) {
		d.Channels = channels(func(rec station.Recorder, password station.Secret) ([]station.RecorderChannel, error) {
			asked++
			if password.Reveal() != "right-horse" || rec.ONVIF != "http://10.0.0.20/onvif/device_service" {
				t.Errorf("asked with %q at %s", password.Reveal(), rec.ONVIF)
			}
			return append([]station.RecorderChannel{}, told...), nil
		})
	})
	onvif := recorder(station.RecorderONVIF, func(m map[string]any) { m["onvif"] = "10.0.0.20"; delete(m, "channels") })
	result[station.Recorder](r, r.do(station.CommandPutRecorder, "nvr", onvif))
	look := func() []station.RecorderChannel {
		t.Helper()
		list, err := r.RecorderChannels(t.Context(), "nvr")
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	done := result[station.RecorderImported](r, r.do(station.CommandImportRecorder, "nvr", station.RecorderImport{Channels: look()}))
	if done.Added != 2 || asked != 1 {
		t.Fatalf("%+v after %d questions", done, asked)
	}
	if list := look(); list[0].Camera != "nvr-src1" || list[1].Camera != "nvr-src2" {
		t.Errorf("%+v", list)
	}
	// Somebody names it; the recorder loses one channel, moves another, gets a third.
	r.must(r.do(station.CommandPutCamera, "nvr-src1", map[string]any{"id": "nvr-src1", "name": "南门岗亭", "url": "rtsp://10.0.0.20/a", "recorder": "nvr", "channel": "src1", "record": true, "owner": "police"}))
	told = []station.RecorderChannel{
		{Channel: "src1", Name: "CH1", URL: "rtsp://10.0.0.20/a-new", Profile: "p1"},
		{Channel: "src3", Name: "东门", URL: "rtsp://10.0.0.20/c", Profile: "p3"},
	}
	done = result[station.RecorderImported](r, r.do(station.CommandImportRecorder, "nvr", station.RecorderImport{Channels: look()}))
	if done.Added != 1 || done.Kept != 1 || len(done.Missing) != 1 || done.Missing[0] != "nvr-src2" {
		t.Errorf("%+v", done)
	}
	reg, err := r.Registry()
	if err != nil || len(reg.Cameras) != 3 {
		t.Fatal(len(reg.Cameras), err)
	}
	one := reg.Cameras[0]
	if one.Name != "南门岗亭" || one.URL != "rtsp://10.0.0.20/a-new" || one.Owner != station.OwnerPolice || !one.Record || one.ONVIF != "http://10.0.0.20/onvif/device_service" || one.Profile != "p1" {
		t.Errorf("%+v", one.Camera)
	}

	// The machine moves: so do the cameras behind it, and the password must be
	// typed again.
	moved := recorder(station.RecorderONVIF, func(m map[string]any) {
		m["host"], m["onvif"], m["password"] = "10.0.0.21:8554", "http://10.0.0.21:8080/onvif/device_service", station.SecretMask
		delete(m, "channels")
	})
	if rec := r.do(station.CommandPutRecorder, "nvr", moved); rec.Problem == nil || rec.Problem.Place != "password" {
		t.Errorf("the kept password went to another machine: %+v", rec.Problem)
	}
	moved["password"] = "right-horse"
	result[station.Recorder](r, r.do(station.CommandPutRecorder, "nvr", moved))
	if reg, err = r.Registry(); err != nil || reg.Cameras[0].URL != "rtsp://10.0.0.21:8554/a-new" || reg.Cameras[0].ONVIF != "http://10.0.0.21:8080/onvif/device_service" || reg.Cameras[0].Password.Reveal() != "right-horse" {
		t.Errorf("%+v: %v", reg.Cameras[0].Camera, err)
	}

	if rec := r.do(station.CommandRemoveRecorder, "nvr", nil); rec.Problem == nil || rec.Problem.Code != "recorder.cameras" {
		t.Errorf("it went with cameras behind it: %+v", rec.Problem)
	}
	if w := r.serve(admin, "DELETE", "/api/v1/recorders/nvr?cameras=true", nil); w.Code != 204 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if list, err := r.Cameras(); err != nil || len(list) != 0 {
		t.Errorf("%+v: %v", list, err)
	}
}

// A recorder's password goes to the recorder and to no other machine.
func TestARecordersPasswordStaysThere(t *testing.T) {
	r := newRig(t)
	result[station.Recorder](r, r.do(station.CommandPutRecorder, "nvr", recorder(station.RecorderHikvision)))
	for name, c := range map[string]map[string]any{
		"another address":       {"url": "rtsp://203.0.113.9/x"},
		"another smaller one":   {"url": "rtsp://10.0.0.20/x", "sub": "rtsp://203.0.113.9/x"},
		"another device's page": {"url": "rtsp://10.0.0.20/x", "onvif": "http://203.0.113.9/"},
		"no such recorder":      {"url": "rtsp://10.0.0.20/x", "recorder": "none"},
	} {
		cam := map[string]any{"id": "c", "name": "x", "recorder": "nvr", "channel": "1", "record": false}
		for k, v := range c {
			cam[k] = v
		}
		if rec := r.do(station.CommandPutCamera, "c", cam); rec.Problem == nil || rec.Problem.Hint == "" {
			t.Errorf("%s: it was taken in", name)
		}
	}
	bad := station.RecorderImport{Channels: []station.RecorderChannel{{Channel: "1", URL: "rtsp://203.0.113.9/x"}}}
	if rec := r.do(station.CommandImportRecorder, "nvr", bad); rec.Problem == nil || rec.Problem.Place != "channels.0.url" {
		t.Errorf("an import: %+v", rec.Problem)
	}
	// With a password of its own it may be anywhere.
	own := map[string]any{"id": "c", "name": "x", "recorder": "nvr", "channel": "1", "record": false, "url": "rtsp://203.0.113.9/x", "username": "eve", "password": "own-pass"}
	r.must(r.do(station.CommandPutCamera, "c", own))
	if reg, err := r.Registry(); err != nil || reg.Cameras[0].Password.Reveal() != "own-pass" || reg.Cameras[0].Username != "eve" {
		t.Errorf("%+v: %v", reg.Cameras[0], err)
	}
}

func TestRecordersAreChecked(t *testing.T) {
	r := newRig(t)
	for place, change := range map[string]func(map[string]any){
		"name":     func(m map[string]any) { m["name"] = " " },
		"host":     func(m map[string]any) { m["host"] = "admin:x@10.0.0.20" },
		"kind":     func(m map[string]any) { m["kind"] = "toy" },
		"channels": func(m map[string]any) { m["channels"] = 500 },
		"onvif":    func(m map[string]any) { m["onvif"] = "http://10.0.0.99/" },
		"main":     func(m map[string]any) { m["kind"], m["main"] = "other", "/live/main" },
	} {
		if rec := r.do(station.CommandPutRecorder, "nvr", recorder(station.RecorderDahua, change)); rec.Problem == nil || rec.Problem.Place != place || rec.Problem.Hint == "" {
			t.Errorf("%s: %+v", place, rec.Problem)
		}
	}
}

// Whose a camera is and who may see it are words that the program knows.
func TestOwnershipIsChecked(t *testing.T) {
	r := newRig(t)
	for name, c := range map[string]struct {
		with  map[string]any
		place string
	}{
		"police":               {map[string]any{"owner": "police", "ownerName": "城东派出所", "roles": []string{"chief", "operator"}}, ""},
		"nobody knows":         {map[string]any{"owner": "mafia"}, "owner"},
		"a role of fancy":      {map[string]any{"roles": []string{"king"}}, "roles"},
		"a role twice":         {map[string]any{"roles": []string{"chief", "chief"}}, "roles"},
		"another's ONVIF":      {map[string]any{"onvif": "http://203.0.113.9/"}, "onvif"},
		"an account in ONVIF":  {map[string]any{"onvif": "http://a:b@10.0.0.9/"}, "onvif"},
		"ONVIF, address alone": {map[string]any{"onvif": "10.0.0.9"}, ""},
		"hours without hours":  {map[string]any{"recording": "hours"}, "recordHours"},
		"hours of fancy":       {map[string]any{"recording": "hours", "recordHours": []map[string]any{{"from": "9 o'clock", "to": "10:00"}}}, "recordHours"},
		"hours":                {map[string]any{"recording": "hours", "recordHours": []map[string]any{{"from": "22:00", "to": "06:00", "days": []int{1, 7}}}}, ""},
		"a way of fancy":       {map[string]any{"recording": "sometimes"}, "recording"},
	} {
		cam := map[string]any{"id": "c", "name": "x", "url": "rtsp://10.0.0.9/x", "record": true}
		for k, v := range c.with {
			cam[k] = v
		}
		rec := r.do(station.CommandPutCamera, "c", cam)
		if c.place == "" && rec.Problem != nil || c.place != "" && (rec.Problem == nil || !strings.HasPrefix(rec.Problem.Place, c.place) || rec.Problem.Hint == "") {
			t.Errorf("%s: %+v", name, rec.Problem)
		}
	}
}

// Many cameras by a file: whole or not at all; what is wrong is told with line,
// column and remedy; passwords go in and never come out.
func TestCamerasByCSV(t *testing.T) {
	zh := "名称,位置,视频地址,子码流,用户名,密码,录像,归属,归属单位,谁可以看,传输\r\n" +
		"南门,小区南门,rtsp://10.0.0.31/main,rtsp://10.0.0.31/sub,admin,right-horse,一直,公安,城东派出所,站长|信息员,自动\r\n" +
		"工地,塔吊,rtsp://admin:other-horse@10.0.0.32/main,,,,告警时,工地,三建,,TCP\r\n"
	r := newRig(t)
	post := func(query, file string) (station.ImportReport, int) {
		return r.post(admin, "/api/v1/cameras.csv"+query, []byte(file))
	}
	if rep, code := post("?try=1", zh); code != 200 || rep.Added != 2 || rep.Applied || len(rep.Faults) != 0 {
		t.Fatalf("%d %+v", code, rep)
	}
	if list, _ := r.Cameras(); len(list) != 0 {
		t.Fatal("a trial changed something")
	}
	if rep, code := post("", zh); code != 200 || rep.Added != 2 || !rep.Applied {
		t.Fatalf("%d %+v", code, rep)
	}
	reg, err := r.Registry()
	if err != nil || len(reg.Cameras) != 2 {
		t.Fatal(len(reg.Cameras), err)
	}
	byName := map[string]agent.CameraLink{}
	for _, c := range reg.Cameras {
		byName[c.Name] = c
	}
	gate, site := byName["南门"], byName["工地"]
	if gate.Password.Reveal() != "right-horse" || gate.Owner != station.OwnerPolice || len(gate.Roles) != 2 || gate.Transport != station.TransportAuto || !gate.Record || gate.Sub != "rtsp://10.0.0.31/sub" {
		t.Errorf("%+v", gate)
	}
	if site.Password.Reveal() != "other-horse" || site.Username != "admin" || site.Recording != station.RecordEvents || site.URL != "rtsp://10.0.0.32/main" {
		t.Errorf("%+v", site)
	}
	// Out and in again: nothing changes, and no password is in it.
	w := r.serve(admin, "GET", "/api/v1/cameras.csv?lang=en", nil)
	if w.Code != 200 || strings.Contains(w.Body.String(), "horse") {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if rep, code := post("", w.Body.String()); code != 200 || rep.Same != 2 || rep.Changed != 0 {
		t.Errorf("%d %+v", code, rep)
	}
	if link, err := r.CameraLink(gate.ID); err != nil || link.Password.Reveal() != "right-horse" {
		t.Errorf("the password is gone: %v", err)
	}
	// One bad line, and nothing is done.
	bad := "name,url,transport,owner,roles,x\nA,rtsp://10.0.0.41/a,tcp,,,\nB,http://10.0.0.42/b,tcp,,,\nC,rtsp://10.0.0.43/c,pigeon,,,\nD,rtsp://10.0.0.44/d,tcp,nobody,,\nE,rtsp://10.0.0.45/e,,,king,\nF,rtsp://10.0.0.46/f,,,,7\nA2,rtsp://10.0.0.41/a,,,,\n"
	rep, code := post("", bad)
	want := map[int]string{3: "url", 4: "transport", 5: "owner", 6: "roles", 7: "x", 8: ""}
	if code != 422 || len(rep.Faults) != len(want) {
		t.Fatalf("%d %+v", code, rep)
	}
	for _, f := range rep.Faults {
		if f.Column != want[f.Line] || f.Hint == "" || f.Message == "" {
			t.Errorf("%+v", f)
		}
	}
	if list, _ := r.Cameras(); len(list) != 2 {
		t.Errorf("%d cameras", len(list))
	}
}

// The largest file fits into one transaction; one line more is refused with a word.
func TestTheLargestFileOfCameras(t *testing.T) {
	r := newRig(t)
	file := func(n int) string {
		var b strings.Builder
		b.WriteString("name,place,url,sub,username,password,owner_name\n")
		for i := range n {
			fmt.Fprintf(&b, "摄像机 %d %s,%s,rtsp://10.0.%d.%d/main,rtsp://10.0.%d.%d/sub,admin,password-%d,%s\n", i, strings.Repeat("长", 40), strings.Repeat("位", 110), i/200, i%200+1, i/200, i%200+1, i, strings.Repeat("单", 50))
		}
		return b.String()
	}
	if rep, code := r.post(admin, "/api/v1/cameras.csv", []byte(file(256))); code != 200 || rep.Added != 256 || !rep.Applied {
		t.Fatalf("%d %+v", code, rep)
	}
	if rep, code := r.post(admin, "/api/v1/cameras.csv", []byte(file(257))); code != 422 || len(rep.Faults) != 1 || rep.Faults[0].Code != "csv.long" {
		t.Errorf("%d %+v", code, rep)
	}
}

func channels(f func(station.Recorder, station.Secret) ([]station.RecorderChannel, error)) func(context.Context, station.Recorder, station.Secret) ([]station.RecorderChannel, error) {
	return func(_ context.Context, r station.Recorder, p station.Secret) ([]station.RecorderChannel, error) {
		return f(r, p)
	}
}

// A camera that an account may not see is in no table of it, and is not changed by
// one, nor with its recorder.
func TestUnseenCamerasStayOutOfTables(t *testing.T) {
	r := newRig(t)
	result[station.Recorder](r, r.do(station.CommandPutRecorder, "nvr", recorder(station.RecorderHikvision)))
	r.must(r.do(station.CommandPutCamera, "police", map[string]any{"id": "police", "name": "街面", "url": "rtsp://10.0.0.20/x", "recorder": "nvr", "channel": "1", "record": false, "roles": []string{"admin", "chief"}}))
	r.must(r.do(station.CommandPutCamera, "ours", map[string]any{"id": "ours", "name": "走廊", "url": "rtsp://10.0.0.30/x", "record": false}))
	w := r.serve(installer, "GET", "/api/v1/cameras.csv?lang=en", nil)
	if w.Code != 200 || strings.Contains(w.Body.String(), "police") || !strings.Contains(w.Body.String(), "ours") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for _, file := range []string{"id,name\npolice,mine\n", "name,url\nmine,rtsp://10.0.0.20/x\n"} {
		if rep, code := r.post(installer, "/api/v1/cameras.csv", []byte(file)); code != 422 || len(rep.Faults) != 1 || rep.Faults[0].Code != "csv.unseen" {
			t.Errorf("%d %+v", code, rep)
		}
	}
	if rec := r.doAs(installer, station.NewID(), station.CommandRemoveRecorder, "nvr", map[string]any{"cameras": true}); rec.Problem == nil {
		t.Error("it was removed with its recorder")
	}
	if list, err := r.Registry(); err != nil || len(list.Cameras) != 2 {
		t.Errorf("%d cameras: %v", len(list.Cameras), err)
	}
}
