package agent_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/text/encoding/simplifiedchinese"

	"stationd/agent"
	"stationd/agent/station"
)

func (r *rig) post(who station.Actor, path string, file []byte) (station.ImportReport, int) {
	r.t.Helper()
	rec := r.serve(who, "POST", path, file)
	var rep station.ImportReport
	if err := json.Unmarshal(rec.Body.Bytes(), &rep); err != nil {
		r.t.Fatal(rec.Code, rec.Body, err)
	}
	return rep, rec.Code
}

func (r *rig) export(who station.Actor, query string) string {
	r.t.Helper()
	rec := r.serve(who, "GET", "/api/v1/sensors.csv"+query, nil)
	if rec.Code != 200 || !strings.HasPrefix(rec.Body.String(), "\xef\xbb\xbf") {
		r.t.Fatal(rec.Code, rec.Body)
	}
	return rec.Body.String()
}

// The same table as different spreadsheets write it.
func TestImportReadsWhatSpreadsheetsWrite(t *testing.T) {
	zh := "名称,位置,类别,主题,协议,重要,供电,失联时限\r\n厨房烟感,3号楼 1202 室,烟感,z/kitchen,json,是,电池,26h\r\n"
	en := "name;place;class;topic;family;important;power;silent_after\nKitchen;3号楼;smoke;z/kitchen;json;yes;battery;26h\n"
	gb, err := simplifiedchinese.GB18030.NewEncoder().String(zh)
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string]string{
		"UTF-8": zh, "UTF-8 with a mark": "\xef\xbb\xbf" + zh, "GB18030": gb,
		"semicolons": en, "tabs": strings.ReplaceAll(en, ";", "\t"), "sep line": "sep=;\r\n" + en,
	} {
		r := newRig(t)
		rep, code := r.post(admin, "/api/v1/sensors.csv", []byte(file))
		if code != 200 || !rep.Applied || rep.Added != 1 || len(rep.Faults) != 0 {
			t.Errorf("%s: %d %+v", name, code, rep)
			continue
		}
		all, err := r.Sensors()
		if err != nil || len(all) != 1 {
			t.Fatal(err)
		}
		s := all[0].Sensor
		if s.Class != station.ClassSmoke || s.Source.Topic != "z/kitchen" || s.Source.Broker != station.EmbeddedBroker || !s.Important || s.Power != station.PowerBattery || s.SilentAfter.Hours() != 26 || !s.Adopted {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

// A file with faults changes nothing, and every fault has its line, its column and
// its remedy.
func TestImportIsAllOrNothing(t *testing.T) {
	r := newRig(t)
	r.addSensor("old", station.ClassSmoke)
	r.appear("stranger", station.ClassSmoke, "tele/x/SENSOR", map[string]station.Value{"smoke": false})
	file := strings.Join([]string{
		"编号,名称,类别,主题,协议,摄像机,重要,平面图,横向,电话1,不认识",
		"n1,好的,烟感,t/1,json,,,,,,",
		"n2,,烟感,t/2,json,,,,,,",
		"n3,类别错,烟花,t/3,json,,,,,,",
		"n4,摄像机错,烟感,t/4,json,c9,也许,p9,2,,",
		"N 5,编号错,烟感,t/5,json,,,,,,",
		"n1,又一次,烟感,t/6,json,,,,,,",
		"n7,电话错,烟感,t/7,json,,,,,机密,",
		"n8,抢先,烟感,tele/x/SENSOR,tasmota,,,,,,",
		"old,改名,烟感,t/old,json,,,,,,",
	}, "\n")
	before := r.journal()
	for _, path := range []string{"/api/v1/sensors.csv?try=1", "/api/v1/sensors.csv"} {
		rep, code := r.post(admin, path, []byte(file))
		if want := map[bool]int{true: 200, false: 422}[strings.Contains(path, "try")]; code != want || rep.Applied {
			t.Fatalf("%s: %d %+v", path, code, rep)
		}
		got := map[string]bool{}
		for _, f := range rep.Faults {
			got[fmt.Sprintf("%d %s", f.Line, f.Column)] = true
			if f.Message == "" || f.Hint == "" {
				t.Errorf("no remedy: %+v", f)
			}
			if strings.Contains(f.Message, "机密") {
				t.Errorf("a cell of a person is quoted: %+v", f)
			}
		}
		for _, want := range []string{"3 name", "4 类别", "5 重要", "5 横向", "6 id", "7 ", "8 people.list[0].phone", "9 "} {
			if !got[want] {
				t.Errorf("%s: no fault at %q: %v", path, want, got)
			}
		}
		if len(rep.Notes) != 1 || rep.Notes[0].Column != "不认识" {
			t.Errorf("%+v", rep.Notes)
		}
	}
	if r.journal() != before {
		t.Error("something was changed")
	}
	if s, _ := r.sensor("old"); s.Name == "改名" {
		t.Error("half imported")
	}
	rep, _ := r.post(admin, "/api/v1/sensors.csv?try=1", []byte("编号,名称,类别,主题,协议\nold,改名,烟感,t/old,json\nn1,新,烟感,t/1,json\n,认领,烟感,tele/x/SENSOR,tasmota\n"))
	if len(rep.Faults) != 0 || rep.Changed != 2 || rep.Added != 1 || !rep.Try || rep.Applied {
		t.Errorf("%+v", rep)
	}
	for name, file := range map[string]string{
		"nothing": "", "a workbook": "PK\x03\x04\x00\x00", "no text": "\x81\x20\xff\xff", "UTF-16": "\xff\xfea\x00", "an open quote": "名称\n\"a\n",
		"no name": "类别\n烟感\n", "a column twice": "名称,name\na,b\n", "too large": "名称\n" + strings.Repeat("x", 400<<10),
	} {
		rec := r.serve(admin, "POST", "/api/v1/sensors.csv?try=1", []byte(file))
		if text := rec.Body.String(); !strings.Contains(text, `"code":"csv.`) {
			t.Errorf("%s: %d %s", name, rec.Code, text)
		}
	}
}

// What is exported can be imported: everything is the same. Nothing in the file is
// a formula to a spreadsheet.
func TestExportAndBack(t *testing.T) {
	r := newRig(t)
	r.must(r.do(station.CommandPutCamera, "c1", station.CameraOrder{Camera: station.Camera{ID: "c1", Name: "走廊", URL: "rtsp://127.0.0.1/x"}}))
	r.must(r.do(station.CommandPutPlan, "p1", station.Plan{Name: "3号楼"}))
	r.must(r.do(station.CommandPutSensor, "a", station.Sensor{
		ID: "a", Name: `=HYPERLINK("http://x","点我")`, Place: "'@SUM(A1)", Class: station.ClassSmoke, Cameras: []string{"c1"}, SilentAfter: -1,
		Position: &station.Position{Plan: "p1", X: 0.125, Y: 0.5}, Model: "+cmd|' /C calc'!A0", Firmware: "-1.0",
		Source: station.SensorSource{Broker: station.EmbeddedBroker, Family: "json", Topic: "t/a", Fields: map[string]string{"smoke": "a.b", "battery": "bat"}},
	}))
	r.addSensor("b", station.ClassGas)
	r.must(r.do(station.CommandPutPeople, "a", station.People{Flat: "＝1202", List: []station.Person{{Relation: "self", Name: "张三", Phone: "+86 138 1234 1234", Age: 80}, {Name: "李四"}, {Name: "王五", Note: "有钥匙, 住楼下"}}}))

	file := r.export(admin, "")
	for _, want := range []string{`"'=HYPERLINK(""http`, "''@SUM", "'+cmd|", "'-1.0", "'+86 138", "'＝1202", "张三", `"有钥匙, 住楼下"`, "室号", "battery=bat smoke=a.b", "never", "0.125"} {
		if !strings.Contains(file, want) {
			t.Errorf("%s is not in\n%s", want, file)
		}
	}
	if text := r.export(installer, "?lang=en"); strings.Contains(text, "张三") || strings.Contains(text, "phone1") || !strings.Contains(text, "silent_after") {
		t.Errorf("the installer's file: %s", text)
	}
	if rec := r.serve(viewer, "GET", "/api/v1/sensors.csv", nil); rec.Code != 403 {
		t.Error(rec.Code)
	}
	before, _ := r.sensor("a")
	rep, code := r.post(admin, "/api/v1/sensors.csv", []byte(file))
	if code != 200 || !rep.Applied || rep.Changed != 1 || rep.Same != 1 || len(rep.Faults) != 0 {
		t.Fatalf("%d %+v", code, rep)
	}
	after, _ := r.sensor("a")
	x, _ := json.Marshal(before)
	y, _ := json.Marshal(after)
	if string(x) != string(y) {
		t.Errorf("\n%s\n%s", x, y)
	}
	p, err := r.People(admin, "a")
	if err != nil || len(p.List) != 3 || p.List[0].Phone != "+86 138 1234 1234" || p.Flat != "＝1202" || p.List[2].Note != "有钥匙, 住楼下" {
		t.Errorf("%+v %v", p, err)
	}
	// An installer's file leaves the people alone; one with people is refused.
	if rep, code := r.post(installer, "/api/v1/sensors.csv", []byte(r.export(installer, ""))); code != 200 || rep.Same != 2 {
		t.Errorf("%d %+v", code, rep)
	}
	if rep, code := r.post(installer, "/api/v1/sensors.csv", []byte(file)); code != 422 || rep.Faults[0].Code != "csv.people" {
		t.Errorf("%d %+v", code, rep)
	}
}

// One file for many stations, imported where it is: each takes its own lines.
func TestImportTakesItsOwnStation(t *testing.T) {
	r := newRig(t)
	rep, code := r.post(admin, "/api/v1/sensors.csv", []byte("站点,名称,类别,主题,协议\nvillage-1,甲,烟感,t/1,json\nvillage-2,乙,无此类,t/2,json\n,丙,烟感,t/3,json\n"))
	if code != 200 || rep.Added != 2 || rep.Lines != 2 || len(rep.Notes) != 1 {
		t.Fatalf("%d %+v", code, rep)
	}
}

// A whole estate is more than one transaction. The program ends in the middle, and
// the rest follows at the next start; people are sealed all the while.
func TestImportOfAnEstateSurvivesAnEnd(t *testing.T) {
	dir := t.TempDir()
	var file strings.Builder
	file.WriteString("编号,名称,位置,类别,主题,协议,姓名1,电话1\n")
	for i := range 500 {
		fmt.Fprintf(&file, "s%03d,烟感 %d,%d号楼 %d 室,烟感,estate/%d,json,张三%d,1380000%04d\n", i, i, i%20, i, i, i, i)
	}
	r := newRigOn(t, dir, nil)
	rep, code := r.post(admin, "/api/v1/sensors.csv", []byte(file.String()))
	if code != 200 || rep.Added != 500 {
		t.Fatalf("%d %+v", code, rep)
	}
	if all, err := r.Sensors(); err != nil || len(all) != 500 {
		t.Fatal(len(all), err)
	}
	if p, err := r.People(admin, "s499"); err != nil || len(p.List) != 1 || p.List[0].Phone != "13800000499" {
		t.Fatalf("%+v %v", p, err)
	}

	half := newRigOn(t, t.TempDir(), nil)
	if err := half.BeginImport(context.Background(), admin, []byte(file.String())); err != nil {
		t.Fatal(err)
	}
	if all, _ := half.Sensors(); len(all) == 0 || len(all) == 500 {
		t.Fatalf("%d sensors in the middle of it", len(all))
	}
	half.refused(half.do(station.CommandImportSensors, "", station.ImportOrder{CSV: []byte("名称,类别,主题,协议\nx,烟感,t,json\n")}), "import.running", "")
	if strings.Contains(half.journal(), "张三1") {
		t.Error("a name is in the journal")
	}
	if err := half.store.Close(); err != nil {
		t.Fatal(err)
	}
	again := newRigOn(t, half.dir, nil)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- again.Run(ctx) }()
	again.eventually(func() bool {
		all, err := again.Sensors()
		return err == nil && len(all) == 500
	})
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func FuzzImport(f *testing.F) {
	f.Add([]byte("名称,类别,主题,协议\nx,烟感,t,json\n"))
	f.Add([]byte("sep=;\nname;class\n\"a\nb\";smoke"))
	f.Add([]byte("\xef\xbb\xbfid,x,y,plan,age1\n,0.1,2,p,x"))
	f.Add([]byte("\xc3\xfb\xb3\xc6\n\xd1\xcc"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		split, faults := agent.SplitByStation(raw, func(station.Sensor) error { return nil })
		if len(faults) > 0 && len(split) > 0 {
			t.Fatal("half a file")
		}
		for _, part := range split {
			if _, faults := agent.SplitByStation(part, func(station.Sensor) error { return nil }); len(faults) > 0 && !strings.Contains(faults[0].Code, "csv.station") {
				t.Fatalf("what was split cannot be read: %+v\n%q", faults, part)
			}
		}
	})
}

// One table of a whole district becomes one file for each station.
func TestSplitByStation(t *testing.T) {
	var file strings.Builder
	file.WriteString("站点;编号;名称;类别;主题;协议;姓名1;说明\n")
	for station := range 40 {
		for i := range 12 {
			fmt.Fprintf(&file, "village-%d;s%d;烟感 %d;烟感;t/%d;json;=张三;随便\n", station+1, i, i, i)
		}
	}
	check := func(s station.Sensor) error {
		if s.Source.Family != "json" {
			return station.Errorf(400, "sensor.source", "use json", "no family").At("source")
		}
		return nil
	}
	split, faults := agent.SplitByStation([]byte(file.String()), check)
	if len(faults) > 0 || len(split) != 40 {
		t.Fatalf("%d stations, %+v", len(split), faults)
	}
	r := newRig(t)
	rep, code := r.post(admin, "/api/v1/sensors.csv", split["village-1"])
	if code != 200 || rep.Added != 12 {
		t.Fatalf("%d %+v", code, rep)
	}
	if p, err := r.People(admin, "s3"); err != nil || p.List[0].Name != "=张三" {
		t.Errorf("%+v %v", p, err)
	}
	bad := "站点,编号,名称,类别,主题,协议\nvillage-1,a,x,烟感,t/1,json\n,b,x,烟感,t/2,json\n村,c,x,烟感,t/3,json\nvillage-2,d,x,烟感,t/4,abc\nvillage-1,a,x,烟感,t/5,json\nvillage-2,a,,烟感,t/5,json\n"
	split, faults = agent.SplitByStation([]byte(bad), check)
	var at []string
	for _, f := range faults {
		at = append(at, fmt.Sprintf("%d %s", f.Line, f.Column))
	}
	if want := "3 station, 4 station, 5 source, 6 id, 7 name"; strings.Join(at, ", ") != want || split != nil {
		t.Errorf("faults at %v, want %s", at, want)
	}
	if _, faults := agent.SplitByStation([]byte("编号,名称\na,b\n"), check); len(faults) != 1 || faults[0].Code != "csv.station" {
		t.Errorf("%+v", faults)
	}
}
