package devices_test

import (
	"log/slog"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"stationd/agent/station"
	"stationd/devices"
	"stationd/devices/devicestest"
	"stationd/devices/payload"
	"stationd/devices/sparkplug"
)

// A station that was restarted has heard no birth: it asks the node for one, over
// the broker, and understands the aliases from then on.
func TestASparkplugNodeIsAskedForItsBirth(t *testing.T) {
	account, password := devicestest.Account("node")
	sink := &ledger{}
	s := devices.New(config(), devices.Deps{Node: "n1", Sink: sink, Families: payload.Families("", sparkplug.New()), Log: slog.New(slog.DiscardHandler)})
	s.Apply(devices.Registry{
		Accounts: []station.BrokerAccount{account},
		Sensors: []station.Sensor{{
			ID: "stairs", Name: "楼道烟感", Class: station.ClassSmoke, Adopted: true,
			Source: station.SensorSource{Broker: station.EmbeddedBroker, Family: sparkplug.FamilyName, Topic: "spBv1.0/g/DDATA/n/d", Device: "g/n/d"},
		}},
	})
	start(t, s)
	node := device(t, s, "node", password)
	asked := make(chan []byte, 8)
	acked(t, node.Subscribe("spBv1.0/g/NCMD/n", 1, func(_ paho.Client, m paho.Message) { asked <- m.Payload() }))

	say := func(topic string, seq uint64, metrics ...devicestest.SparkplugMetric) {
		t.Helper()
		p := devicestest.SparkplugPayload{Timestamp: uint64(time.Now().UnixMilli()), Seq: &seq, Metrics: metrics}
		acked(t, node.Publish(topic, 1, false, p.Encode()))
	}
	alias := uint64(7)
	smoke := devicestest.SparkplugMetric{Alias: &alias, Bare: true, Type: 11, Value: true}
	say("spBv1.0/g/DDATA/n/d", 41, smoke)
	select {
	case body := <-asked:
		if len(body) == 0 {
			t.Error("the request is empty")
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the node is not asked")
	}
	if n := len(sink.fires()); n != 0 {
		t.Fatalf("%d fires out of an alias that nobody knows", n)
	}
	say("spBv1.0/g/NBIRTH/n", 0, devicestest.SparkplugMetric{Name: "bdSeq", Type: 4, Value: 1.0})
	say("spBv1.0/g/DBIRTH/n/d", 1, devicestest.SparkplugMetric{Name: "Smoke", Alias: &alias, Type: 11, Value: false})
	say("spBv1.0/g/DDATA/n/d", 2, smoke)
	eventually(t, "the fire", func() bool { return len(sink.fires()) == 1 })
	if r := sink.fires()[0]; r.Sensor != "stairs" {
		t.Errorf("%+v", r)
	}
}
