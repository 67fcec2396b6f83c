package onviftest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// head is the pan-tilt head.
type head struct {
	at       Position
	velocity Position
	since    time.Time // when velocity was set
	until    time.Time // when it ends by itself; zero is never
	presets  map[string]preset
	stops    int
	moves    int
}

type preset struct {
	name string
	at   Position
}

// Position is where a head points, or how fast it turns.
type Position struct{ Pan, Tilt, Zoom float64 }

// Head is how the head is: where it points, how fast it turns, and how often it was
// told to move and to stop.
func (d *Device) Head() (at, velocity Position, moves, stops int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.head.settle(time.Now())
	return d.head.at, d.head.velocity, d.head.moves, d.head.stops
}

// settle moves the head to where it is at now.
func (h *head) settle(now time.Time) {
	end := now
	if !h.until.IsZero() && h.until.Before(now) {
		end = h.until
	}
	if took := end.Sub(h.since).Seconds(); took > 0 {
		limit := func(v float64) float64 { return max(-1, min(1, v)) }
		h.at = Position{limit(h.at.Pan + h.velocity.Pan*took/4), limit(h.at.Tilt + h.velocity.Tilt*took/4), max(0, limit(h.at.Zoom+h.velocity.Zoom*took/4))}
	}
	if end != now {
		h.velocity, h.until = Position{}, time.Time{}
	}
	h.since = now
}

func (d *Device) answerHead(op node, q Quirks) (reply, fault string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	h := &d.head
	now := time.Now()
	h.settle(now)
	if h.presets == nil {
		h.presets = map[string]preset{}
	}
	token := strings.TrimSpace(op.find("PresetToken").Text)
	switch name := op.XMLName.Local; name {
	case "ContinuousMove":
		limit := op.find("Timeout").Text
		if q.BadTimeouts && limit != "" {
			return "", "InvalidArgVal"
		}
		num := func(element, attr string) float64 {
			v, _ := strconv.ParseFloat(op.find(element).attr(attr), 64) // nothing is zero
			return v
		}
		pt := op.find("PanTilt")
		if pt.XMLName.Local != "" && (pt.attr("x") == "" || pt.attr("y") == "") {
			return "", "InvalidArgVal" // the schema asks for both
		}
		h.velocity = Position{num("PanTilt", "x"), num("PanTilt", "y"), num("Zoom", "x")}
		h.until = time.Time{}
		if seconds, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimPrefix(limit, "PT"), "S"), 64); err == nil {
			h.until = now.Add(time.Duration(seconds * float64(time.Second)))
		}
		h.moves++
		return `<tptz:ContinuousMoveResponse/>`, ""
	case "Stop":
		h.stops++
		h.velocity, h.until = Position{}, time.Time{}
		return `<tptz:StopResponse/>`, ""
	case "GetPresets":
		var b strings.Builder
		for _, t := range slices.Sorted(maps.Keys(h.presets)) {
			fmt.Fprintf(&b, `<tptz:Preset token="%s"><tt:Name>%s</tt:Name></tptz:Preset>`, t, escape(h.presets[t].name))
		}
		return `<tptz:GetPresetsResponse>` + b.String() + `</tptz:GetPresetsResponse>`, ""
	case "SetPreset":
		t := token
		for n := 1; t == ""; n++ {
			if _, taken := h.presets[strconv.Itoa(n)]; !taken {
				t = strconv.Itoa(n)
			}
		}
		h.presets[t] = preset{op.find("PresetName").Text, h.at}
		return `<tptz:SetPresetResponse><tptz:PresetToken>` + t + `</tptz:PresetToken></tptz:SetPresetResponse>`, ""
	case "GotoPreset", "RemovePreset":
		p, known := h.presets[token]
		if !known {
			return "", "NoToken"
		}
		if name == "RemovePreset" {
			delete(h.presets, token)
		} else {
			h.at, h.velocity = p.at, Position{}
		}
		return `<tptz:` + name + `Response/>`, ""
	}
	return "", "ActionNotSupported"
}
