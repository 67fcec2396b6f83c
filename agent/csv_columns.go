package agent

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"stationd/agent/station"
)

// The columns of a file of sensors: what they are called in either language, and
// how a cell becomes a field and a field a cell.

// column is one column that the program knows, of a file whose lines are L.
type column[L any] struct {
	key    string // in English, as the header may say
	zh     string
	people bool
	// read puts a cell into the line; write is its opposite, nil where it is not
	// exported.
	read  func(l *L, cell string) error
	write func(l L) string
}

// sensorLine is a sensor and the people behind it, as one line has them.
type sensorLine struct {
	station string
	sensor  station.Sensor
	people  station.People
}

// wordPair is a value and what it is called in Chinese.
type wordPair struct{ value, zh string }

func classWords() []wordPair {
	return []wordPair{
		{station.ClassSmoke, "烟感"},
		{station.ClassGas, "燃气"},
		{station.ClassWater, "水浸"},
		{station.ClassSOS, "求助"},
		{station.ClassManhole, "井盖"},
		{station.ClassDoor, "门磁"},
		{station.ClassMotion, "移动"},
		{station.ClassTemperature, "温度"},
		{station.ClassLevel, "水位"},
		{station.ClassOther, "其他"},
	}
}

func powerWords() []wordPair {
	return []wordPair{{string(station.PowerMains), "市电"}, {string(station.PowerBattery), "电池"}, {string(station.PowerLoRa), "LoRa"}}
}

// oneOf reads a word of either language; empty is empty.
func oneOf(words []wordPair, cell string) (string, error) {
	if cell == "" {
		return "", nil
	}
	all := make([]string, 0, len(words))
	for _, w := range words {
		if strings.EqualFold(cell, w.value) || strings.EqualFold(cell, w.zh) {
			return w.value, nil
		}
		all = append(all, w.zh+" "+w.value)
	}
	return "", csvFault("word", "use one of: "+strings.Join(all, ", "), "%q is not known here", clip(cell))
}

// listOf reads several IDs of one cell.
func listOf(cell string) []string {
	return strings.FieldsFunc(cell, func(r rune) bool { return strings.ContainsRune("|、，,; ", r) })
}

func readFlag(cell string) (bool, error) {
	switch strings.ToLower(cell) {
	case "1", "x", "y", "yes", "true", "是", "√", "✓", "重要":
		return true, nil
	case "", "0", "n", "no", "false", "否":
		return false, nil
	}
	return false, csvFault("flag", "write 是 or 否, yes or no", "%q is neither yes nor no", clip(cell))
}

func readSilence(cell string) (time.Duration, error) {
	switch strings.ToLower(cell) {
	case "":
		return 0, nil
	case "never", "从不":
		return -1, nil
	}
	d, err := time.ParseDuration(cell)
	if err != nil || d <= 0 {
		return 0, csvFault("duration", "write 90m or 25h; never for never; nothing for the default of its class", "%q is no span of time", clip(cell))
	}
	return d, nil
}

func writeSilence(d time.Duration) string {
	switch {
	case d == 0:
		return ""
	case d < 0:
		return "never"
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = text[:len(text)-2]
	}
	if strings.HasSuffix(text, "h0m") {
		text = text[:len(text)-2]
	}
	return text
}

// readFields reads "smoke=data.alarm battery=bat".
func readFields(cell string) (map[string]string, error) {
	if cell == "" {
		return nil, nil
	}
	out := map[string]string{}
	for _, pair := range strings.FieldsFunc(cell, func(r rune) bool { return strings.ContainsRune("|;； ", r) }) {
		name, path, ok := strings.Cut(pair, "=")
		if !ok || name == "" || path == "" {
			return nil, csvFault("fields", "write smoke=data.alarm battery=bat", "%q is no field and path", clip(pair))
		}
		out[name] = path
	}
	return out, nil
}

func writeFields(fields map[string]string) string {
	var pairs []string
	for name, path := range fields {
		pairs = append(pairs, name+"="+path)
	}
	slices.Sort(pairs)
	return strings.Join(pairs, " ")
}

func readShare(cell string) (float64, error) {
	v, err := strconv.ParseFloat(cell, 64)
	if err != nil || !(v >= 0 && v <= 1) {
		return 0, csvFault("position", "0 is the left or top edge of the picture, 1 the right or bottom", "%q is no place on a plan", clip(cell))
	}
	return v, nil
}

func writeShare(p *station.Position, pick func(station.Position) float64) string {
	if p == nil {
		return ""
	}
	return strconv.FormatFloat(pick(*p), 'f', -1, 64)
}

// textColumn is a column whose cell is the field as it is.
func textColumn[L any](key, zh string, field func(*L) *string) column[L] {
	return column[L]{
		key: key, zh: zh,
		read:  func(l *L, cell string) error { *field(l) = cell; return nil },
		write: func(l L) string { return *field(&l) },
	}
}

// sensorColumns are the columns without people, in the order of an export.
func sensorColumns() []column[sensorLine] {
	out := []column[sensorLine]{
		{key: "station", zh: "站点", read: func(l *sensorLine, cell string) error { l.station = cell; return nil }},
		textColumn("id", "编号", func(l *sensorLine) *string { return &l.sensor.ID }),
		textColumn("name", "名称", func(l *sensorLine) *string { return &l.sensor.Name }),
		textColumn("place", "位置", func(l *sensorLine) *string { return &l.sensor.Place }),
		{
			key: "class", zh: "类别",
			read: func(l *sensorLine, cell string) (err error) {
				l.sensor.Class, err = oneOf(classWords(), cell)
				return err
			},
			write: func(l sensorLine) string { return l.sensor.Class },
		},
		textColumn("broker", "接入", func(l *sensorLine) *string { return &l.sensor.Source.Broker }),
		textColumn("family", "协议", func(l *sensorLine) *string { return &l.sensor.Source.Family }),
		textColumn("topic", "主题", func(l *sensorLine) *string { return &l.sensor.Source.Topic }),
		textColumn("device", "设备号", func(l *sensorLine) *string { return &l.sensor.Source.Device }),
		{
			key: "fields", zh: "字段",
			read: func(l *sensorLine, cell string) (err error) {
				l.sensor.Source.Fields, err = readFields(cell)
				return err
			},
			write: func(l sensorLine) string { return writeFields(l.sensor.Source.Fields) },
		},
		{
			key: "cameras", zh: "摄像机",
			read:  func(l *sensorLine, cell string) error { l.sensor.Cameras = listOf(cell); return nil },
			write: func(l sensorLine) string { return strings.Join(l.sensor.Cameras, "|") },
		},
		{
			key: "important", zh: "重要",
			read: func(l *sensorLine, cell string) (err error) { l.sensor.Important, err = readFlag(cell); return err },
			write: func(l sensorLine) string {
				if l.sensor.Important {
					return "1"
				}
				return ""
			},
		},
		textColumn("bridge", "网关", func(l *sensorLine) *string { return &l.sensor.Bridge }),
		{
			key: "power", zh: "供电",
			read: func(l *sensorLine, cell string) error {
				v, err := oneOf(powerWords(), cell)
				l.sensor.Power = station.Power(v)
				return err
			},
			write: func(l sensorLine) string { return string(l.sensor.Power) },
		},
		{
			key: "silent_after", zh: "失联时限",
			read: func(l *sensorLine, cell string) (err error) {
				l.sensor.SilentAfter, err = readSilence(cell)
				return err
			},
			write: func(l sensorLine) string { return writeSilence(l.sensor.SilentAfter) },
		},
	}
	out = append(out, positionColumns(func(l *sensorLine) **station.Position { return &l.sensor.Position })...)
	return append(
		out,
		textColumn("maker", "厂家", func(l *sensorLine) *string { return &l.sensor.Maker }),
		textColumn("model", "型号", func(l *sensorLine) *string { return &l.sensor.Model }),
		textColumn("firmware", "固件", func(l *sensorLine) *string { return &l.sensor.Firmware }),
	)
}

// positionColumns are those of a place on a plan.
func positionColumns[L any](field func(*L) **station.Position) []column[L] {
	// onPlan is the line's position, made when one of its three cells has something.
	onPlan := func(l *L) *station.Position {
		p := station.Position{}
		if at := field(l); *at != nil {
			p = **at // it belongs to a record
		}
		*field(l) = &p
		return &p
	}
	share := func(key, zh string, pick func(*station.Position) *float64) column[L] {
		return column[L]{
			key: key, zh: zh,
			read: func(l *L, cell string) (err error) {
				if cell != "" {
					*pick(onPlan(l)), err = readShare(cell)
				}
				return err
			},
			write: func(l L) string {
				return writeShare(*field(&l), func(p station.Position) float64 { return *pick(&p) })
			},
		}
	}
	return []column[L]{
		{
			key: "plan", zh: "平面图",
			read: func(l *L, cell string) error {
				if cell == "" {
					*field(l) = nil
				} else {
					onPlan(l).Plan = cell
				}
				return nil
			},
			write: func(l L) string {
				if p := *field(&l); p != nil {
					return p.Plan
				}
				return ""
			},
		},
		share("x", "横向", func(p *station.Position) *float64 { return &p.X }),
		share("y", "纵向", func(p *station.Position) *float64 { return &p.Y }),
	}
}

// peopleColumns are those of the people, for n persons.
func peopleColumns(n int) []column[sensorLine] {
	flat := textColumn("flat", "室号", func(l *sensorLine) *string { return &l.people.Flat })
	flat.people = true
	out := []column[sensorLine]{flat}
	for i := range n {
		number := strconv.Itoa(i + 1)
		person := func(l *sensorLine) *station.Person {
			for len(l.people.List) <= i {
				l.people.List = append(l.people.List, station.Person{})
			}
			return &l.people.List[i]
		}
		text := func(key, zh string, field func(*station.Person) *string) {
			out = append(out, column[sensorLine]{
				key: key + number, zh: zh + number, people: true,
				read: func(l *sensorLine, cell string) error {
					if cell != "" {
						*field(person(l)) = cell
					}
					return nil
				},
				write: func(l sensorLine) string {
					if i >= len(l.people.List) {
						return ""
					}
					return *field(&l.people.List[i])
				},
			})
		}
		text("relation", "关系", func(p *station.Person) *string { return &p.Relation })
		text("person", "姓名", func(p *station.Person) *string { return &p.Name })
		text("phone", "电话", func(p *station.Person) *string { return &p.Phone })
		out = append(out, column[sensorLine]{
			key: "age" + number, zh: "年龄" + number, people: true,
			read: func(l *sensorLine, cell string) (err error) {
				if cell == "" {
					return nil
				}
				age, err := strconv.Atoi(cell)
				if err != nil {
					return csvFault("age", fmt.Sprintf("use 0 to %d", maxAge), "this is nobody's age")
				}
				person(l).Age = age
				return nil
			},
			write: func(l sensorLine) string {
				if i >= len(l.people.List) || l.people.List[i].Age == 0 {
					return ""
				}
				return strconv.Itoa(l.people.List[i].Age)
			},
		})
		text("note", "备注", func(p *station.Person) *string { return &p.Note })
	}
	return out
}
