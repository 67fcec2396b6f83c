package payload

import (
	"fmt"
	"strings"

	"stationd/agent/station"
)

// ESPHome reads what ESPHome nodes publish with their MQTT component:
//
//	<node>/status                   online or offline, birth and will
//	<node>/<component>/<id>/state   a bare value: ON, 21.5, a text
//
// There is neither a time nor a word about what a value means. The id tells: of a
// node's "smoke" it is the node's own field; a "smoke_kitchen" beside a
// "smoke_hall" is a device of its own, via the node, because each has a place.
// Where the node also announces itself by Home Assistant discovery, that family
// knows more, and the topics are its own (Result.Listen).
type ESPHome struct{}

// FamilyESPHome is its name.
const FamilyESPHome = "esphome"

// Name is as in station.SensorSource.
func (ESPHome) Name() string { return FamilyESPHome }

// Filters are for nodes whose topic_prefix is one level, as it is by default.
func (ESPHome) Filters() []string {
	filters := []string{"+/status"}
	for _, c := range esphomeComponents {
		filters = append(filters, "+/"+c+"/+/state")
	}
	return filters
}

// esphomeComponents are those that report something.
var esphomeComponents = [...]string{"binary_sensor", "sensor", "text_sensor", "event", "switch", "cover", "lock"}

// Open returns a session; there is nothing to remember.
func (e ESPHome) Open() Session { return e }

// Decode reads one message.
func (ESPHome) Decode(m Message) (Result, error) {
	if err := usable(m.Topic); err != nil {
		return Result{}, err
	}
	if node, ok := strings.CutSuffix(m.Topic, "/status"); ok && node != "" && !strings.Contains(node, "/") {
		p := Presence(strings.ToLower(strings.TrimSpace(string(m.Payload))))
		if p != Online && p != Offline {
			return Result{}, ErrIgnored // many others have a topic of this name
		}
		return Result{Readings: []Reading{{Device: node, Name: node, Presence: p, Power: station.PowerMains}}}, nil
	}
	levels := strings.Split(m.Topic, "/")
	if len(levels) < 4 || levels[len(levels)-1] != "state" {
		return Result{}, ErrIgnored
	}
	n := len(levels)
	node, component, id := strings.Join(levels[:n-3], "/"), levels[n-3], levels[n-2]
	if node == "" || id == "" || node == FamilyHomeAssistant { // Home Assistant tells its own states
		return Result{}, ErrIgnored
	}
	if len(m.Payload) > MaxPayload {
		return Result{}, fmt.Errorf("esphome: %w", errTooLong)
	}
	value, ok := scalar(bareValue(m.Payload))
	if text, isText := value.(string); !ok || isText && (text == "" || strings.EqualFold(text, "nan") || strings.EqualFold(text, "unknown")) {
		return Result{}, ErrIgnored // the sensor has no value yet
	}
	r := Reading{Device: node, Name: node, Power: station.PowerMains}
	switch component {
	case "binary_sensor":
		yes, isBool := truth(value).(bool)
		if !isBool {
			return Result{}, fmt.Errorf("esphome %s: neither ON nor OFF: %q", component, clip(textOf(value)))
		}
		field, exact := fieldOfWords(id)
		if field != "" && !exact {
			r.Device, r.Via, r.Name = node+"/"+id, node, node+" "+id
		}
		if field == "" {
			field = snake(id)
		}
		r.set(field, yes)
	case "sensor":
		r.set(esphomeField(id), value)
	case "text_sensor", "lock", "cover":
		r.set(snake(id), value)
	case "switch":
		r.set(snake(id), truth(value))
	case "event":
		r.pressed(textOf(value))
	default:
		return Result{}, ErrIgnored
	}
	if len(r.Values) == 0 {
		return Result{}, ErrIgnored
	}
	r.Class = classOf(r.Values)
	return Result{Readings: []Reading{r}}, nil
}

// esphomeField is our name for a sensor's number.
func esphomeField(id string) string {
	switch name := snake(id); name {
	case "battery_level", "battery_percentage", "battery_percent":
		return FieldBattery
	case "wifi_signal", "rssi", "wifi_signal_strength":
		return FieldLink
	case "water_level", "level", "distance":
		return station.ClassLevel
	default:
		return name
	}
}
