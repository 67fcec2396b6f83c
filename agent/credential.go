package agent

import (
	"net/http"
	"strings"

	"stationd/agent/account"
	"stationd/agent/station"
	"stationd/agent/store"
)

// Credentials: every device that speaks to the built-in broker itself can have an
// account of its own, which reaches its own topics and nothing else. Which topics
// those are follows from its family.

// topicsOf are the filters that a device needs: to publish, and to subscribe to.
// A device that speaks through a gateway has none; the gateway needs the account.
func topicsOf(src station.SensorSource) (publish, subscribe []string, err error) {
	if src.Topic == "" || strings.ContainsAny(src.Topic, "+#") {
		return nil, nil, station.Errorf(http.StatusConflict, "credential.topic", "give the sensor the topic that it publishes to", "the sensor has no topic of its own")
	}
	level := strings.Split(src.Topic, "/")
	at := func(i int) string {
		if i < len(level) {
			return level[i]
		}
		return ""
	}
	under := func(n int) string { return strings.Join(level[:min(n, len(level))], "/") + "/#" }
	switch src.Family {
	case "zigbee2mqtt", "frigate", "chirpstack":
		// The bridge's own account: it speaks for all of its devices.
		if base, ok := strings.CutSuffix(src.Topic, "/bridge/state"); ok {
			return []string{base + "/#"}, []string{base + "/#"}, nil // the base topic may have several levels
		}
		return []string{at(0) + "/#"}, []string{at(0) + "/#"}, nil
	case "tts":
		return []string{under(2)}, []string{under(2)}, nil
	case "tasmota":
		switch at(1) {
		case "tele", "stat", "cmnd": // FullTopic %topic%/%prefix%
			return []string{at(0) + "/tele/#", at(0) + "/stat/#", "tasmota/discovery/#"}, []string{at(0) + "/cmnd/#", "tasmotas/cmnd/#"}, nil
		}
		name := tasmotaName(level)
		return []string{"tele/" + name + "/#", "stat/" + name + "/#", "tasmota/discovery/#"}, []string{"cmnd/" + name + "/#", "cmnd/tasmotas/#"}, nil
	case "esphome":
		// It describes itself for Home Assistant unless told not to.
		return []string{at(0) + "/#", "homeassistant/+/" + at(0) + "/#"}, []string{at(0) + "/+/+/command/#", "homeassistant/status"}, nil
	case "homeassistant":
		if strings.HasSuffix(src.Topic, "/config") {
			return nil, nil, station.Errorf(http.StatusConflict, "credential.topic", "give the sensor the topic to which the device writes its state; the workbench shows it", "%q is where the device describes itself, not where it reports", src.Topic)
		}
		own := at(0) + "/#" // its states and its availability lie beside each other
		if at(0) == "homeassistant" {
			return []string{own}, []string{own}, nil
		}
		return []string{"homeassistant/#", own}, []string{"homeassistant/status", own}, nil
	case "shelly1", "shelly-gen1":
		return []string{under(2), "shellies/announce"}, []string{under(2), "shellies/command"}, nil
	case "shelly", "shelly2", "shelly-gen2":
		if at(0) == "shellies" {
			return []string{under(2), "shellies/announce"}, []string{under(2), "shellies/command"}, nil
		}
		return []string{at(0) + "/#"}, []string{at(0) + "/rpc", at(0) + "/command/#"}, nil
	case "sparkplug":
		group, node := at(1), at(3)
		return []string{"spBv1.0/" + group + "/+/" + node + "/#"},
			[]string{"spBv1.0/" + group + "/NCMD/" + node, "spBv1.0/" + group + "/DCMD/" + node + "/#", "spBv1.0/STATE/#"}, nil
	case "thingsboard":
		if at(1) == "devices" { // one that speaks for itself, by its own name
			return []string{under(3)}, []string{under(3)}, nil
		}
		return []string{"v1/devices/me/#", "v1/gateway/#"}, []string{"v1/devices/me/#", "v1/gateway/#"}, nil
	case "alink":
		return []string{under(4)}, []string{under(4)}, nil // /sys/{pk}/{dn}: the first level is empty
	case "iotda":
		n := 3 // $oc/devices/ID
		if at(0) == "" {
			n = 5 // /huawei/v1/devices/ID
		}
		return []string{under(n)}, []string{under(n)}, nil
	case "onenet": // $sys/{pid}/{dev}
		return []string{under(3)}, []string{under(3)}, nil
	case "tuya": // tylink/ID
		return []string{under(2)}, []string{under(2)}, nil
	case "shadow":
		n := 3
		if at(0) == "" || at(0) == "shadow" {
			n = len(level)
		}
		return []string{under(n)}, []string{under(n)}, nil
	}
	return []string{src.Topic}, nil, nil
}

// speaksForMany tells whether the client behind a source is a gateway's: its
// account must outlive each of the devices.
func speaksForMany(src station.SensorSource) bool {
	switch src.Family {
	case "zigbee2mqtt", "frigate", "chirpstack", "tts", "sparkplug", "homeassistant":
		return true
	case "thingsboard":
		return !strings.HasPrefix(src.Topic, "v1/devices/")
	}
	return false
}

// tasmotaName is the device's own level in tele/NAME/SENSOR; the prefix may be
// missing.
func tasmotaName(level []string) string {
	if len(level) > 1 {
		switch level[0] {
		case "tele", "stat", "cmnd":
			return level[1]
		}
	}
	return level[0]
}

func preparePutCredential(a *Agent, cmd station.Command) (plan, error) {
	password, digest := account.NewToken()
	now := a.now()
	acc := station.BrokerAccount{Digest: digest, Sensor: cmd.Subject, Made: now}
	// The name goes by the sensor's ID, which is one of a kind.
	acc.Username = cmd.Subject
	masked := station.DeviceCredential{Username: acc.Username, Password: station.SecretMask}
	return plan{
		subject: "sensor/" + cmd.Subject, lane: station.LaneNormal, registry: true, kept: masked,
		apply: func(tx *store.Tx) (any, error) {
			s, err := ownSensor(tx, cmd.Subject)
			if err != nil {
				return nil, err
			}
			if s.Source.Broker != station.EmbeddedBroker {
				return nil, station.Errorf(http.StatusConflict, "credential.broker", "make the account at that broker", "the sensor is heard at the broker %q, whose accounts are its own", s.Source.Broker)
			}
			if s.Bridge != "" {
				return nil, station.Errorf(http.StatusConflict, "credential.bridge", "make the account for the gateway", "the sensor speaks through the gateway %q", s.Bridge)
			}
			acc := acc
			if speaksForMany(s.Source) {
				acc.Sensor = ""
			}
			if other, known, err := store.Get[station.BrokerAccount](tx, key(deviceTable, acc.Username)); err != nil {
				return nil, err
			} else if known && other.Sensor != acc.Sensor {
				return nil, station.Errorf(http.StatusConflict, "credential.taken", "remove that account first", "there is an account %q that is not the sensor's", acc.Username)
			}
			if acc.Topics, acc.Subscribe, err = topicsOf(s.Source); err != nil {
				return nil, err
			}
			cred := station.DeviceCredential{Username: acc.Username, Password: password, Publish: acc.Topics, Subscribe: acc.Subscribe}
			if err := store.Put(tx, key(deviceTable, acc.Username), acc); err != nil {
				return nil, err
			}
			return cred, setupEvent(tx, "device/"+acc.Username, cmd.Actor, now, accountEvent(acc))
		},
	}, nil
}

// accountEvent is an account as events tell of it: without its digest.
func accountEvent(acc station.BrokerAccount) station.BrokerAccount {
	acc.Digest = ""
	return acc
}

// credentialsOf lists the accounts that were made for a sensor.
func credentialsOf(tx *store.Tx, sensor string) ([]station.BrokerAccount, error) {
	var out []station.BrokerAccount
	err := store.Each(tx, deviceTable, func(_ store.Key, acc station.BrokerAccount) error {
		if acc.Sensor == sensor {
			out = append(out, acc)
		}
		return nil
	})
	return out, err
}

// removeCredentials shuts the broker to the device behind a sensor.
func removeCredentials(tx *store.Tx, sensor string) error {
	list, err := credentialsOf(tx, sensor)
	for _, acc := range list {
		if err == nil {
			err = tx.Delete(key(deviceTable, acc.Username))
		}
	}
	return err
}

// renameCredentials lets a device keep its account when it becomes another sensor.
func renameCredentials(tx *store.Tx, from, to string) error {
	list, err := credentialsOf(tx, from)
	for _, acc := range list {
		if err == nil {
			acc.Sensor = to
			err = store.Put(tx, key(deviceTable, acc.Username), acc)
		}
	}
	return err
}
