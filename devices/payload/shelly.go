package payload

import (
	"fmt"
	"strings"

	"stationd/agent/station"
)

// A Shelly session remembers of each device the count of its last button event,
// because first-generation devices repeat the last event every half minute, and
// which topic prefixes belong to Shelly devices, because those of the second
// generation may be named at will.
//
// Generation 1 writes bare values below shellies/<id>/, generation 2 and later
// frames to <prefix>/events/rpc and the state of each component below
// <prefix>/status/. Device is the id, or the prefix; both say <…>/online.

// FamilyShelly is its name.
const FamilyShelly = "shelly"

// maxShellyMemory bounds what a session remembers.
const maxShellyMemory = 4096

// Shelly is the family of Shelly devices of all generations.
type Shelly struct{}

// Name is as in station.SensorSource.
func (Shelly) Name() string { return FamilyShelly }

// Filters are for prefixes of one level.
func (Shelly) Filters() []string {
	return []string{"shellies/#", "+/events/rpc", "+/online", "+/status/+"}
}

// Open returns a session.
func (Shelly) Open() Session {
	return &shellySession{counts: map[string]string{}, prefixes: map[string]bool{}}
}

type shellySession struct {
	counts   map[string]string // by device and input
	prefixes map[string]bool
}

// Decode reads one message.
func (s *shellySession) Decode(m Message) (Result, error) {
	if err := usable(m.Topic); err != nil {
		return Result{}, err
	}
	if rest, ok := strings.CutPrefix(m.Topic, "shellies/"); ok {
		return s.first(rest, m)
	}
	if prefix, ok := strings.CutSuffix(m.Topic, "/events/rpc"); ok && prefix != "" {
		return s.frame(prefix, m.Payload)
	}
	if prefix, ok := strings.CutSuffix(m.Topic, "/online"); ok && s.ours(prefix) {
		return shellyOnline(prefix, m.Payload)
	}
	if prefix, component, ok := strings.Cut(m.Topic, "/status/"); ok && s.ours(prefix) {
		return s.component(prefix, component, m.Payload)
	}
	return Result{}, ErrIgnored
}

// ours tells whether the prefix is a Shelly device's: by its default name, or
// because a frame of it was seen.
func (s *shellySession) ours(prefix string) bool {
	return strings.HasPrefix(strings.ToLower(prefix), "shelly") && prefix != "shellies" || s.prefixes[prefix]
}

func shellyOnline(device string, payload []byte) (Result, error) {
	switch text := strings.ToLower(strings.TrimSpace(string(payload))); text {
	case "true":
		return one(Reading{Device: device, Name: device, Presence: Online})
	case "false":
		return one(Reading{Device: device, Name: device, Presence: Offline})
	case "":
		return Result{}, ErrIgnored
	default:
		return Result{}, fmt.Errorf("shelly online: neither true nor false: %q", clip(text))
	}
}

func one(r Reading) (Result, error) { return Result{Readings: []Reading{r}}, nil }

// first reads a generation 1 message: "<id>/sensor/flood", "announce".
func (s *shellySession) first(rest string, m Message) (Result, error) {
	if rest == "announce" {
		return shellyAnnounce("", m.Payload)
	}
	device, what, ok := strings.Cut(rest, "/")
	if !ok || device == "" || len(m.Payload) == 0 {
		return Result{}, ErrIgnored
	}
	r := Reading{Device: device, Name: device, Power: shellyPower(device)}
	kind, inner, _ := strings.Cut(what, "/")
	switch {
	case what == "online":
		return shellyOnline(device, m.Payload)
	case what == "announce", what == "info":
		return shellyAnnounce(device, m.Payload)
	case kind == "sensor" && inner != "":
		if err := shellySensor(&r, inner, m.Payload); err != nil {
			return Result{}, err
		}
	case kind == "input_event" && inner != "" && !strings.Contains(inner, "/"):
		if err := s.inputEvent(&r, inner, m.Payload); err != nil {
			return Result{}, err
		}
	case kind == "input" && inner != "" && !strings.Contains(inner, "/"), kind == "relay" && inner != "" && !strings.Contains(inner, "/"):
		yes, isBool := truth(clip(strings.TrimSpace(string(m.Payload)))).(bool)
		if !isBool {
			return Result{}, ErrIgnored // "overpower"
		}
		r.set(kind+"_"+snake(inner), yes)
	case what == "temperature", what == "voltage":
		if v, ok := scalar(bareValue(m.Payload)); ok {
			r.set(what, v)
		}
	case what == "status": // the motion sensor's
		if err := shellyMotion(&r, m.Payload); err != nil {
			return Result{}, err
		}
	default:
		return Result{}, ErrIgnored
	}
	if len(r.Values) == 0 {
		return Result{}, ErrIgnored
	}
	r.Class = classOf(r.Values)
	return one(r)
}

// shellyPower tells from the id's model what feeds a generation 1 device.
func shellyPower(id string) station.Power {
	model, _, _ := strings.Cut(strings.ToLower(id), "-")
	switch model {
	case "shellyflood", "shellysmoke", "shellydw", "shellydw2", "shellyht", "shellymotionsensor", "shellymotion2", "shellybutton1", "shellybutton2", "shellysense", "shellytrv":
		return station.PowerBattery
	}
	if strings.HasPrefix(model, "shelly") {
		return station.PowerMains
	}
	return ""
}

func shellyAnnounce(device string, payload []byte) (Result, error) {
	var a struct {
		ID, Model, Firmware string
		FwVer               string `json:"fw_ver"`
	}
	if err := parseInto(payload, &a); err != nil {
		return Result{}, fmt.Errorf("shelly announcement: %w", err)
	}
	if a.ID == "" {
		a.ID = device
	}
	if a.ID == "" || a.Model == "" && a.FwVer == "" {
		return Result{}, ErrIgnored
	}
	return one(Reading{Device: clip(a.ID), Name: clip(a.ID), Maker: "Shelly", Model: clip(a.Model), Firmware: clip(a.FwVer), Power: shellyPower(a.ID)})
}

// shellySensor reads one value of a generation 1 sensor.
func shellySensor(r *Reading, name string, payload []byte) error {
	v, ok := scalar(bareValue(payload))
	if !ok || len(payload) > MaxText {
		return ErrIgnored
	}
	text := strings.ToLower(textOf(v))
	switch name {
	case "flood":
		return setYesNo(r, station.ClassWater, v)
	case "smoke":
		return setYesNo(r, station.ClassSmoke, v)
	case "motion":
		return setYesNo(r, station.ClassMotion, v)
	case "vibration":
		if text == "-1" { // the sensor has none
			return ErrIgnored
		}
		return setYesNo(r, FieldVibration, v)
	case "state":
		switch text {
		case "open":
			r.set(station.ClassDoor, true)
		case "close":
			r.set(station.ClassDoor, false)
		default: // "unknown"
			return ErrIgnored
		}
	case "gas":
		shellyGas(r, text)
	case "temperature", "humidity", "battery", "lux", "tilt", "concentration", "operation", "self_test":
		if text == "-1" && name == "tilt" {
			return ErrIgnored
		}
		r.set(name, v)
	case "charger", "ext_power":
		r.set(name, truth(v))
	default: // act_reasons, error
		return ErrIgnored
	}
	return nil
}

// shellyGas reads the gas sensor's alarm state. A self-test is no alarm, and
// tells nothing of the air either.
func shellyGas(r *Reading, state string) {
	switch state {
	case "none":
		r.set(station.ClassGas, false)
	case "mild", "heavy":
		r.set(station.ClassGas, true)
	}
	r.set("gas_state", clip(state))
}

func setYesNo(r *Reading, field string, v station.Value) error {
	yes, ok := truth(v).(bool)
	if !ok {
		return fmt.Errorf("shelly %s: neither yes nor no: %q", field, clip(textOf(v)))
	}
	r.set(field, yes)
	return nil
}

// inputEvent reads {"event":"S","event_cnt":2}. The same count is the same press.
// What a mains-powered device says first may be from long ago.
func (s *shellySession) inputEvent(r *Reading, input string, payload []byte) error {
	var e struct {
		Event string `json:"event"`
		Count any    `json:"event_cnt"`
	}
	if err := parseInto(payload, &e); err != nil {
		return fmt.Errorf("shelly input event: %w", err)
	}
	if e.Event == "" {
		return ErrIgnored
	}
	count := textOf(e.Count)
	if count != "" {
		r.Serial = clip("input_event/" + input + "/" + count)
		key := r.Device + "/" + input
		before, known := s.counts[key]
		if known && before == count {
			return ErrIgnored
		}
		if known || len(s.counts) < maxShellyMemory {
			s.counts[key] = count
		}
		r.Cached = !known && r.Power == station.PowerMains
	}
	r.set("input", clip(input))
	r.pressed(e.Event)
	return nil
}

func shellyMotion(r *Reading, payload []byte) error {
	var st struct {
		Motion, Vibration *bool
		Bat               *float64
		Lux               *float64
	}
	if err := parseInto(payload, &st); err != nil {
		return fmt.Errorf("shelly status: %w", err)
	}
	if st.Motion != nil {
		r.set(station.ClassMotion, *st.Motion)
	}
	if st.Vibration != nil {
		r.set(FieldVibration, *st.Vibration)
	}
	if st.Bat != nil {
		r.set(FieldBattery, *st.Bat)
	}
	if st.Lux != nil {
		r.set("lux", *st.Lux)
	}
	return nil
}
