package payload

import (
	"fmt"
	"strings"
	"time"

	"stationd/agent/station"
)

// A Zigbee2MQTT session remembers of each bridge when it was started: what it
// republishes from its cache after that is told as such (Reading.Cached), so that
// smoke of last week is no smoke of now.
//
// Device is the device's topic ("zigbee2mqtt/3-1202/kitchen"), which is unique on
// a broker however many bridges it has; Name is the device's friendly name and
// Via the bridge's base topic, which is the Device of the bridge's own readings.

// cachedFor is how long after its start a bridge may still be republishing. The
// first message of each device within it is the cached one: Zigbee2MQTT sends
// all of them at once, before it listens to the devices.
const cachedFor = time.Minute

// maxCached bounds how many devices' first messages are remembered.
const maxCached = 4096

// NewZigbee2MQTT is the family of the bridges with these base topics; none means
// "zigbee2mqtt".
func NewZigbee2MQTT(bases ...string) Family {
	if len(bases) == 0 {
		bases = []string{FamilyZigbee2MQTT}
	}
	return zigbeeFamily{bases}
}

type zigbeeFamily struct{ bases []string }

func (zigbeeFamily) Name() string { return FamilyZigbee2MQTT }

func (f zigbeeFamily) Filters() []string {
	var filters []string
	for _, base := range f.bases {
		filters = append(filters, base+"/#")
	}
	return filters
}

func (f zigbeeFamily) Open() Session {
	return &zigbeeSession{bases: f.bases, started: map[string]zigbeeStart{}}
}

// zigbeeSession is the bridges of one broker.
type zigbeeSession struct {
	bases   []string
	started map[string]zigbeeStart // by base
}

type zigbeeStart struct {
	at    time.Time
	heard map[string]bool // devices that have been republished since
}

// Decode reads one message.
func (s *zigbeeSession) Decode(m Message) (Result, error) {
	if err := usable(m.Topic); err != nil {
		return Result{}, err
	}
	base, ok := s.base(m.Topic)
	if !ok {
		return Result{}, ErrIgnored
	}
	switch rest := m.Topic[len(base)+1:]; rest {
	case "bridge/devices":
		return zigbeeDevices(base, m.Payload)
	case "bridge/event":
		return zigbeeEvent(base, m.Payload)
	}
	r, err := Zigbee2MQTT{Base: base}.Decode(m.Topic, m.Payload)
	if err != nil {
		return Result{}, err
	}
	if r.Bridge {
		r.Device, r.Name = base, "Zigbee2MQTT "+base
		r.Class, r.Power = station.ClassOther, station.PowerMains
		if r.Presence == Online && !m.Retained {
			s.started[base] = zigbeeStart{at: m.Received, heard: map[string]bool{}}
		}
		return Result{Readings: []Reading{r}}, nil
	}
	r.Name, r.Device, r.Via = r.Device, base+"/"+r.Device, base
	if r.Presence == "" {
		r.Class = classOf(r.Values)
		r.Cached = s.cached(base, r, m)
	}
	return Result{Readings: []Reading{r}}, nil
}

// base finds the bridge whose topic this is; the longest base topic wins.
func (s *zigbeeSession) base(topic string) (string, bool) {
	found := ""
	for _, base := range s.bases {
		if len(base) > len(found) && strings.HasPrefix(topic, base+"/") {
			found = base
		}
	}
	return found, found != ""
}

// cached tells whether this is the bridge's memory and not the device. A button's
// press is never kept in the cache.
func (s *zigbeeSession) cached(base string, r Reading, m Message) bool {
	start, ok := s.started[base]
	if !ok {
		return false
	}
	if age := m.Received.Sub(start.at); age < 0 || age > cachedFor {
		delete(s.started, base)
		return false
	}
	if start.heard[r.Device] || len(start.heard) >= maxCached {
		return false
	}
	start.heard[r.Device] = true
	return len(r.Events) == 0
}

// zigbeeDevice is what the bridge tells of one device, as far as it is of use.
type zigbeeDevice struct {
	Name     string `json:"friendly_name"`
	Type     string `json:"type"`
	Power    string `json:"power_source"`
	Model    string `json:"model_id"`
	Maker    string `json:"manufacturer"`
	Firmware string `json:"software_build_id"`
	Status   string `json:"status"`
	Disabled bool   `json:"disabled"`
	// Definition is null for a device that Zigbee2MQTT does not know.
	Definition *struct {
		Model   string         `json:"model"`
		Vendor  string         `json:"vendor"`
		Exposes []zigbeeExpose `json:"exposes"`
	} `json:"definition"`
}

type zigbeeExpose struct {
	Property string `json:"property"`
}

// about is what a device's description says, without any value.
func (d zigbeeDevice) about(base string) Reading {
	r := Reading{
		Device: base + "/" + d.Name, Via: base, Name: clip(d.Name),
		Maker: clip(d.Maker), Model: clip(d.Model), Firmware: clip(d.Firmware),
	}
	if d.Definition != nil {
		r.Maker, r.Model = clip(d.Definition.Vendor), clip(d.Definition.Model)
		fields := map[string]station.Value{}
		for _, e := range d.Definition.Exposes {
			fields[zigbeeField(e.Property)] = true
		}
		r.Class = classOf(fields)
	}
	switch power := strings.ToLower(d.Power); {
	case strings.HasPrefix(power, "mains"), strings.HasPrefix(power, "dc"):
		r.Power = station.PowerMains
	case power == "battery":
		r.Power = station.PowerBattery
	}
	return r
}

// zigbeeField is our name of a property whose values Zigbee2MQTT describes.
func zigbeeField(property string) string {
	switch property {
	case "water_leak":
		return station.ClassWater
	case "contact":
		return station.ClassDoor
	case "occupancy", "presence":
		return station.ClassMotion
	case "carbon_monoxide":
		return station.ClassGas
	}
	return property
}

// zigbeeDevices reads the bridge's list of devices: model, maker and power of each.
func zigbeeDevices(base string, payload []byte) (Result, error) {
	var list []zigbeeDevice
	if err := parseInto(payload, &list); err != nil {
		if len(payload) == 0 {
			return Result{}, ErrIgnored
		}
		return Result{}, fmt.Errorf("zigbee2mqtt list of devices: %w", err)
	}
	var res Result
	for _, d := range list {
		if d.Name == "" || d.Type == "Coordinator" || d.Disabled {
			continue
		}
		if len(res.Readings) == MaxReadings {
			break
		}
		res.Readings = append(res.Readings, d.about(base))
	}
	if len(res.Readings) == 0 {
		return Result{}, ErrIgnored
	}
	return res, nil
}

// zigbeeEvent reads what happens to a device of the bridge: it has joined, was
// recognised, says that it is there, or has left.
func zigbeeEvent(base string, payload []byte) (Result, error) {
	var event struct {
		Type string       `json:"type"`
		Data zigbeeDevice `json:"data"`
	}
	if err := parseInto(payload, &event); err != nil {
		return Result{}, fmt.Errorf("zigbee2mqtt event: %w", err)
	}
	if event.Data.Name == "" {
		return Result{}, ErrIgnored
	}
	r := event.Data.about(base)
	switch event.Type {
	case "device_joined", "device_announce":
		r.Presence = Online
	case "device_interview":
		if event.Data.Status != "successful" {
			return Result{}, ErrIgnored
		}
	case "device_leave":
		r.Presence = Offline
	default:
		return Result{}, ErrIgnored
	}
	return Result{Readings: []Reading{r}}, nil
}
