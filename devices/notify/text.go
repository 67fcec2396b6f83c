package notify

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"stationd/agent/station"
)

// What a message says, to people who are far from any console.

// title is the one line: what and where.
func title(m station.Message) string {
	if m.Test {
		return "【测试】" + m.Station
	}
	zh, _ := m.Alarm.Kind.Words()
	return join(" ", zh, m.Alarm.Place)
}

// lines are what, where, which, when.
func lines(m station.Message) []string {
	if m.Test {
		return []string{"通知渠道测试，不是告警，不用处理。", m.At.Format("1月2日 15:04:05")}
	}
	out := []string{}
	for _, l := range []struct{ name, text string }{
		{"地点", m.Alarm.Place},
		{"设备", m.Alarm.Name},
		{"时间", m.Alarm.RaisedAt.Format("1月2日 15:04:05")},
		{"来自", m.Station},
	} {
		if l.text != "" {
			out = append(out, l.name+"："+l.text)
		}
	}
	if m.OtherCount > 0 {
		out = append(out, fmt.Sprintf("另有%d件告警：", m.OtherCount))
		for _, al := range m.Others {
			zh, _ := al.Kind.Words()
			out = append(out, "· "+join(" ", zh, al.Place, al.Name))
		}
	}
	return out
}

// short is for a telephone's screen.
func short(m station.Message) string {
	if m.Test {
		return title(m) + " " + strings.Join(lines(m), " ")
	}
	zh, _ := m.Alarm.Kind.Words()
	text := "【" + m.Station + "】" + join("，", zh, m.Alarm.Place, m.Alarm.Name, m.Alarm.RaisedAt.Format("15:04:05"))
	if m.OtherCount > 0 {
		text += fmt.Sprintf("；另有%d件告警", m.OtherCount)
	}
	if m.Link != "" {
		text += "。收到请点 " + m.Link
	}
	return text
}

// long is for a mail or a group.
func long(m station.Message) string {
	text := title(m) + "\n" + strings.Join(lines(m), "\n")
	if m.Link != "" {
		text += "\n收到请点：" + m.Link
	}
	return text
}

func join(by string, parts ...string) string {
	var out []string
	for _, p := range parts {
		if p != "" {
			out = append(out, p)
		}
	}
	return strings.Join(out, by)
}

// cut shortens a text to so many bytes, at a whole character.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	text = text[:most-len("…")]
	for !utf8.ValidString(text) {
		text = text[:len(text)-1]
	}
	return text + "…"
}
