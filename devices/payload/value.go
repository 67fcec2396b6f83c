package payload

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"stationd/agent/station"
)

// scalar is v as a station.Value, if it is one.
func scalar(v any) (station.Value, bool) {
	switch v := v.(type) {
	case bool:
		return v, true
	case float64:
		return v, true
	case json.Number:
		f, err := v.Float64()
		return f, err == nil
	case string:
		return clip(v), true
	}
	return nil, false
}

// clip bounds a text to MaxText bytes at a character's edge, and makes it one if it
// is none.
func clip(s string) string {
	if !utf8.ValidString(s[:min(len(s), 4*MaxText)]) {
		s = strings.ToValidUTF8(s[:min(len(s), 4*MaxText)], "\uFFFD")
	}
	if len(s) <= MaxText {
		return s
	}
	s = s[:MaxText]
	for len(s) > 0 && !utf8.ValidString(s[max(0, len(s)-utf8.UTFMax):]) {
		s = s[:len(s)-1]
	}
	return s
}

// truth reads the ways in which devices write yes and no. Other values stay as
// they are: a gas detector's "gas" may be a concentration.
func truth(v station.Value) station.Value {
	switch x := v.(type) {
	case float64:
		switch x {
		case 0:
			return false
		case 1:
			return true
		}
	case string:
		switch strings.ToLower(strings.TrimSpace(x)) {
		case "true", "on", "yes", "1", "alarm", "alert", "trigger", "triggered", "detected", "open", "opened", "active", "leak", "pressed":
			return true
		case "false", "off", "no", "0", "normal", "ok", "clear", "cleared", "idle", "closed", "close", "inactive", "none", "released":
			return false
		}
	}
	return v
}

// yesOrNo tells whether a field is one of those that truth is for.
func yesOrNo(field string) bool {
	switch field {
	case station.ClassSmoke, station.ClassGas, station.ClassWater, station.ClassSOS, station.ClassManhole,
		station.ClassDoor, station.ClassMotion, FieldTamper, FieldVibration, FieldBatteryLow:
		return true
	}
	return false
}

// measured tells whether a field is one of those that are numbers, whatever unit a
// device writes behind them.
func measured(field string) bool {
	switch field {
	case station.ClassTemperature, station.ClassLevel, FieldBattery, FieldHumidity, FieldLink:
		return true
	}
	return false
}

// instant reads a time: seconds, milli- or microseconds since 1970, told apart
// by their size, or RFC 3339. A time without a zone is not understood: which
// one the device means is anybody's guess.
func instant(v any) (time.Time, bool) {
	switch x := v.(type) {
	case json.Number:
		f, err := x.Float64()
		if err != nil {
			return time.Time{}, false
		}
		return instant(f)
	case float64:
		switch {
		case math.IsNaN(x) || x < 1e8 || x > 1e17: // before 1973, or nonsense
			return time.Time{}, false
		case x < 1e11:
			return time.UnixMilli(int64(x * 1e3)).UTC(), true
		case x < 1e14:
			return time.UnixMilli(int64(x)).UTC(), true
		default:
			return time.UnixMicro(int64(x)).UTC(), true
		}
	case string:
		x = strings.TrimSpace(x)
		if t, err := time.Parse(time.RFC3339, x); err == nil {
			return t, true
		}
		if f, err := strconv.ParseFloat(x, 64); err == nil {
			return instant(f)
		}
	}
	return time.Time{}, false
}
