package main

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/devices/devicestest"
)

// BenchmarkMosquitto is how fast a station takes in what waits for it at a real
// Mosquitto, as after a night without it: each message is acknowledged to
// Mosquitto when it is stored. The messages are there before the clock starts,
// so that their publishers take no part of the machine; Mosquitto does. It is set
// up as docs/mosquitto.md says.
func BenchmarkMosquitto(b *testing.B) {
	m := devicestest.StartMosquitto(b, "max_inflight_messages 0", "autosave_on_changes false", "autosave_interval 1", "max_queued_bytes 67108864")
	n, _ := benchStation(b, b.TempDir(), nil)
	order := func(kind, subject string, body any) {
		raw, err := json.Marshal(body)
		if err != nil {
			b.Fatal(err)
		}
		r := n.agent.Handle(b.Context(), station.Command{ID: station.NewID(), Type: kind, Subject: subject, Actor: station.System(), Issued: time.Now(), Body: raw})
		if r.Problem != nil {
			b.Fatal(r.Problem)
		}
	}
	const sensors = 500
	for p := range sensors {
		id := fmt.Sprintf("outside-%03d", p)
		order(station.CommandPutSensor, id, station.Sensor{
			ID: id, Name: "地库水浸", Place: "地下车库 · 东侧集水井", Class: station.ClassWater,
			Source: station.SensorSource{Broker: "mosquitto", Family: "zigbee2mqtt", Topic: "zigbee2mqtt/" + id},
		})
	}
	isUp := false
	link := func(up bool) {
		if up == isUp {
			return
		}
		isUp = up
		if !up {
			order(station.CommandRemoveBroker, "mosquitto", nil)
		} else {
			order(station.CommandPutBroker, "mosquitto", station.BrokerOrder{Broker: station.Broker{ID: "mosquitto", URL: m.URL(), Topics: []string{"zigbee2mqtt/#"}}})
		}
		benchEventually(b, "the link to Mosquitto goes up or down", func() bool {
			for _, l := range n.devices.Links() {
				if l.Broker == "mosquitto" {
					return l.Connected == up
				}
			}
			return !up
		})
	}
	link(true) // leaves a session there
	link(false)
	var clients [4]publisher
	for i := range clients {
		c, err := devicestest.Connect(b.Context(), devicestest.Config{URL: m.URL(), ClientID: fmt.Sprint("bench-", i)}, nil)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { c.Disconnect(0) })
		clients[i] = func(topic, payload string) func() error {
			token := c.Publish(topic, 1, false, payload)
			return func() error { <-token.Done(); return token.Error() }
		}
	}
	b.Run("waiting", func(b *testing.B) {
		link(false)
		var all sync.WaitGroup
		for c, publish := range clients {
			all.Go(func() {
				var under []func() error
				for i := c; i < b.N; i += len(clients) {
					under = append(under, publish(fmt.Sprintf("zigbee2mqtt/outside-%03d", i%sensors), leakPayload(false)))
					if len(under) >= 100 {
						_ = under[0]()
						under = under[1:]
					}
				}
				for _, wait := range under {
					_ = wait()
				}
			})
		}
		all.Wait()
		before := n.devices.Stats().Reports
		b.ReportAllocs()
		b.ResetTimer()
		link(true)
		for n.devices.Stats().Reports-before < uint64(b.N) {
			time.Sleep(200 * time.Microsecond)
		}
		b.StopTimer()
		b.ReportMetric(perSecond(b), "readings/s")
	})
}
