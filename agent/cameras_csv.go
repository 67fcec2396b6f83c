package agent

import (
	"net/http"
	"slices"
	"strings"

	"stationd/agent/account"
	"stationd/agent/station"
	"stationd/agent/store"
)

// The cameras as a file of a spreadsheet, out and in again. Passwords only go in.

// maxCameraLines bounds a file: it is carried out in one transaction.
const maxCameraLines = 256

// cameraLine is a camera as one line has it.
type cameraLine struct {
	camera   station.Camera
	password station.Secret
}

func transportWords() []wordPair {
	return []wordPair{{"tcp", "TCP"}, {"udp", "UDP"}, {"multicast", "组播"}, {"auto", "自动"}}
}

func recordingWords() []wordPair {
	return []wordPair{{string(station.RecordAlways), "一直"}, {string(station.RecordHours), "时段"}, {string(station.RecordEvents), "告警时"}, {"no", "不录"}}
}

func ownerWords() []wordPair {
	return []wordPair{
		{string(station.OwnerPolice), "公安"},
		{string(station.OwnerEnterprise), "企事业"},
		{string(station.OwnerProperty), "物业"},
		{string(station.OwnerSite), "工地"},
		{string(station.OwnerOther), "其他"},
	}
}

func roleWords() []wordPair {
	return []wordPair{
		{account.RoleAdmin, "管理员"},
		{account.RoleChief, "站长"},
		{account.RoleOperator, "信息员"},
		{account.RoleInstaller, "安装员"},
		{account.RoleViewer, "只看"},
		{account.RoleDisplay, "大屏"},
	}
}

// flagColumn is a column that says yes or no.
func flagColumn[L any](key, zh string, field func(*L) *bool) column[L] {
	return column[L]{
		key: key, zh: zh,
		read: func(l *L, cell string) (err error) { *field(l), err = readFlag(cell); return err },
		write: func(l L) string {
			if *field(&l) {
				return "1"
			}
			return ""
		},
	}
}

// cameraColumns are the columns in the order of an export.
func cameraColumns() []column[cameraLine] {
	text := func(key, zh string, field func(*station.Camera) *string) column[cameraLine] {
		return textColumn(key, zh, func(l *cameraLine) *string { return field(&l.camera) })
	}
	out := []column[cameraLine]{
		text("id", "编号", func(c *station.Camera) *string { return &c.ID }),
		text("name", "名称", func(c *station.Camera) *string { return &c.Name }),
		text("place", "位置", func(c *station.Camera) *string { return &c.Place }),
		text("url", "视频地址", func(c *station.Camera) *string { return &c.URL }),
		text("sub", "子码流", func(c *station.Camera) *string { return &c.Sub }),
		text("username", "用户名", func(c *station.Camera) *string { return &c.Username }),
		{key: "password", zh: "密码", read: func(l *cameraLine, cell string) error { l.password = station.Secret(cell); return nil }},
		{
			key: "transport", zh: "传输",
			read: func(l *cameraLine, cell string) error {
				v, err := oneOf(transportWords(), cell)
				l.camera.Transport = station.Transport(v)
				return err
			},
			write: func(l cameraLine) string { return string(l.camera.Transport) },
		},
		text("fingerprint", "证书指纹", func(c *station.Camera) *string { return &c.Fingerprint }),
		{
			key: "recording", zh: "录像",
			read: func(l *cameraLine, cell string) error {
				v, err := oneOf(recordingWords(), cell)
				l.camera.Record, l.camera.Recording = v != "no", ""
				if v != "no" && v != string(station.RecordAlways) {
					l.camera.Recording = station.Recording(v)
				}
				if l.camera.Recording != station.RecordHours {
					l.camera.RecordHours = nil // they are drawn in the console
				}
				return err
			},
			write: func(l cameraLine) string {
				switch {
				case !l.camera.Record:
					return "no"
				case l.camera.Recording == "":
					return string(station.RecordAlways)
				}
				return string(l.camera.Recording)
			},
		},
		flagColumn("record_sub", "录子码流", func(l *cameraLine) *bool { return &l.camera.RecordSub }),
		flagColumn("on_demand", "按需", func(l *cameraLine) *bool { return &l.camera.OnDemand }),
		flagColumn("mute", "静音", func(l *cameraLine) *bool { return &l.camera.Mute }),
		text("onvif", "ONVIF", func(c *station.Camera) *string { return &c.ONVIF }),
		text("profile", "配置文件", func(c *station.Camera) *string { return &c.Profile }),
		text("sub_profile", "子配置文件", func(c *station.Camera) *string { return &c.SubProfile }),
		text("recorder", "录像机", func(c *station.Camera) *string { return &c.Recorder }),
		text("channel", "通道", func(c *station.Camera) *string { return &c.Channel }),
		{
			key: "owner", zh: "归属",
			read: func(l *cameraLine, cell string) error {
				if cell == "本站" || strings.EqualFold(cell, "station") {
					cell = ""
				}
				v, err := oneOf(ownerWords(), cell)
				l.camera.Owner = station.CameraOwner(v)
				return err
			},
			write: func(l cameraLine) string { return string(l.camera.Owner) },
		},
		text("owner_name", "归属单位", func(c *station.Camera) *string { return &c.OwnerName }),
		{
			key: "roles", zh: "谁可以看",
			read: func(l *cameraLine, cell string) error {
				l.camera.Roles = nil
				for _, word := range listOf(cell) {
					role, err := oneOf(roleWords(), word)
					if err != nil {
						return err
					}
					l.camera.Roles = append(l.camera.Roles, role)
				}
				return nil
			},
			write: func(l cameraLine) string { return strings.Join(l.camera.Roles, "|") },
		},
	}
	return append(out, positionColumns(func(l *cameraLine) **station.Position { return &l.camera.Position })...)
}

// ExportCameras writes the node's own cameras that actor may see, without passwords.
func (a *Agent) ExportCameras(actor station.Actor, lang string) ([]byte, error) {
	var lines []cameraLine
	err := a.store.View(func(tx *store.Tx) error {
		return store.Each(tx, cameraTable, func(_ store.Key, c station.Camera) error {
			if c.Node != "" {
				return nil
			}
			seen, err := sees(tx, actor, c.ID)
			if seen {
				lines = append(lines, cameraLine{camera: c})
			}
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return writeCSV(cameraColumns(), lines, lang)
}

// cameraChange is what one line does.
type cameraChange struct {
	camera   station.Camera
	password station.Secret
}

// judgeCameras tells what each line of a file does, and all that is wrong with it.
func judgeCameras(tx *store.Tx, actor station.Actor, raw []byte) ([]cameraChange, station.ImportReport, *lineFaults, error) {
	f, faults, notes := openCSV(raw, limits{bytes: maxCSVBytes, lines: maxCameraLines}, cameraColumns())
	report := station.ImportReport{Notes: notes}
	if !faults.none() {
		return nil, report, faults, nil
	}
	here := map[string]station.Camera{}
	byURL := map[string][]string{}
	err := store.Each(tx, cameraTable, func(_ store.Key, c station.Camera) error {
		if c.Node == "" {
			here[c.ID] = c
			byURL[c.URL] = append(byURL[c.URL], c.ID)
		}
		return nil
	})
	if err != nil {
		return nil, report, faults, err
	}
	var changes []cameraChange
	lines := map[string]int{} // by ID
	for _, row := range f.table.rows {
		report.Lines++
		change, same, err := judgeCamera(tx, f, row, here, byURL, faults)
		if err != nil {
			return nil, report, faults, err
		}
		id := change.camera.ID
		if seen, err := sees(tx, actor, id); err != nil {
			return nil, report, faults, err
		} else if !seen {
			faults.add(row.line, "", csvFault("unseen", "leave the line out, or ask an administrator", "there is a camera of this address or ID that this account may not see"))
			continue
		}
		if first, twice := lines[id]; twice && id != "" {
			faults.add(row.line, "", csvFault("same", "give each camera one line", "the camera %q is in line %d already", id, first))
			continue
		}
		lines[id] = row.line
		switch _, known := here[id]; {
		case same:
			report.Same++
			continue
		case known:
			report.Changed++
		default:
			report.Added++
		}
		changes = append(changes, change)
	}
	return changes, report, faults, nil
}

// judgeCamera makes the camera of one line. A line without an ID is the camera at
// its address, or a new one.
func judgeCamera(tx *store.Tx, f csvFile[cameraLine], row tableRow, here map[string]station.Camera, byURL map[string][]string, faults *lineFaults) (change cameraChange, same bool, err error) {
	own := &lineFaults{}
	var probe cameraLine
	f.read(row, &probe, false, own)
	if !own.none() {
		faults.list, faults.more = append(faults.list, own.list...), faults.more+own.more
		return change, false, nil
	}
	id := probe.camera.ID
	if id == "" && probe.camera.URL != "" {
		clean, _, _, err := cameraAddress("url", probe.camera.URL)
		if err != nil {
			faults.add(row.line, "", err)
			return change, false, nil
		}
		switch at := byURL[clean]; {
		case len(at) > 1:
			faults.add(row.line, "", csvFault("which", "write its 编号 (id) in the line", "several cameras have this address: %s", strings.Join(at, ", ")))
			return change, false, nil
		case len(at) == 1:
			id = at[0]
		default:
			id = idOf(station.SensorSource{Topic: clean})
		}
	}
	before := here[id]
	l := cameraLine{camera: before}
	if before.ID == "" {
		l.camera.Record = true // as the form has it
	}
	f.read(row, &l, false, &lineFaults{})
	l.camera.ID = id
	if slices.Equal(l.camera.Roles, before.Roles) {
		l.camera.Roles = before.Roles
	}
	c, password, err := checkCamera(l.camera, l.password)
	if err != nil {
		faults.add(row.line, "", err)
		return change, false, nil
	}
	change = cameraChange{c, password}
	if password == "" && before.HasPassword {
		change.password = station.SecretMask // an empty cell keeps it
	}
	for _, e := range []error{checkPosition(tx, c.Position), checkRecorderOf(tx, c, change.password), checkKept(before, c, change.password)} {
		if _, ok := station.AsProblem(e); e != nil && !ok {
			return change, false, e
		}
		faults.add(row.line, "", e)
	}
	return change, before.ID != "" && password == "" && equalRecords(before, c), nil
}

// checkKept tells whether a kept password may still be used.
func checkKept(before, c station.Camera, password station.Secret) error {
	if password.Unchanged() && (!sameHost(before.URL, c.URL) || before.Username != c.Username || before.ONVIF != c.ONVIF && !sameHost(before.ONVIF, c.ONVIF)) {
		return invalid("password", "write the password again", "the kept password belongs to another address or user name")
	}
	return nil
}

// checkRecorderOf tells whether a camera fits the recorder that it names.
func checkRecorderOf(tx *store.Tx, c station.Camera, password station.Secret) error {
	if c.Recorder == "" {
		return nil
	}
	r, ok, err := store.Get[station.Recorder](tx, key(recorderTable, c.Recorder))
	if err != nil {
		return err
	}
	if !ok {
		return invalid("recorder", "add the recorder first, or leave the cell empty", "there is no recorder %q", c.Recorder)
	}
	if password == "" {
		return checkBehind(r, c)
	}
	return nil
}

// TryImportCameras tells what an import would do, and changes nothing.
func (a *Agent) TryImportCameras(actor station.Actor, raw []byte) (station.ImportReport, error) {
	var report station.ImportReport
	err := a.store.View(func(tx *store.Tx) error {
		_, rep, faults, err := judgeCameras(tx, actor, raw)
		report = told(rep, faults)
		return err
	})
	return report, err
}

func told(r station.ImportReport, faults *lineFaults) station.ImportReport {
	r.Faults = []station.LineFault{}
	if faults != nil && !faults.none() {
		r.Faults, r.More = faults.list, faults.more
	}
	return r
}

func prepareImportCameras(a *Agent, cmd station.Command) (plan, error) {
	o, err := decodeBody[station.ImportOrder](cmd)
	if err != nil {
		return plan{}, err
	}
	now := a.now()
	return plan{subject: "cameras", lane: station.LaneNormal, registry: true, apply: func(tx *store.Tx) (any, error) {
		changes, rep, faults, err := judgeCameras(tx, cmd.Actor, o.CSV)
		if err != nil {
			return nil, err
		}
		report := told(rep, faults)
		if len(report.Faults) > 0 {
			return nil, importRefused(report)
		}
		for _, c := range changes {
			if _, err := putCamera(tx, c.camera, c.password, cmd.Actor, now); err != nil {
				return nil, err
			}
		}
		report.Applied = true
		return report, nil
	}}, nil
}

func (a *Agent) getCamerasCSV(w http.ResponseWriter, r *http.Request) error {
	b, err := a.ExportCameras(station.ActorFrom(r.Context()), r.URL.Query().Get("lang"))
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="cameras-`+string(a.store.Node())+`.csv"`)
	_, _ = w.Write(b) // the client is gone: nothing to tell it
	return nil
}

func (a *Agent) postCamerasCSV(w http.ResponseWriter, r *http.Request) error {
	return a.postCSV(w, r, station.CommandImportCameras, "cameras", a.TryImportCameras)
}
