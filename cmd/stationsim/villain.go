package main

import (
	"context"
	"crypto/rand"
	"maps"
	"net/url"
	"path/filepath"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"stationd/agent/station"
	"stationd/uplink/pki"
	"stationd/uplink/protocol"
)

// misdeeds are what a misbehaving station does.
var misdeeds = []string{"flood", "huge", "garbage", "foreign"}

// villain is a station with a good certificate that misbehaves: it floods, sends what
// is far too large and what nobody can read, and speaks on another station's topics.
type villain struct {
	cfg   stationsConfig
	files pki.Files

	mu   sync.Mutex
	done map[string]int
}

const villainName station.NodeID = "sim-villain"

func (c stationsConfig) openVillain(ca *pki.Authority) (*villain, error) {
	if len(c.bad) == 0 {
		return nil, nil //nolint:nilnil // nobody misbehaves
	}
	files, err := ca.EnsureNode(filepath.Join(c.work, string(villainName)), villainName)
	return &villain{cfg: c, files: files, done: map[string]int{}}, err
}

// run misbehaves until ctx ends, and comes back whenever it is thrown out.
func (v *villain) run(ctx context.Context) {
	for ctx.Err() == nil {
		v.visit(ctx)
		wait(ctx, time.Now().Add(200*time.Millisecond))
	}
}

// visit is one connection.
func (v *villain) visit(ctx context.Context) {
	u, err := url.Parse(v.cfg.url)
	if err != nil {
		return
	}
	trust, err := pki.ClientTLS(v.files, u.Hostname())
	if err != nil {
		return
	}
	lost := make(chan struct{}, 1)
	session := rand.Text()
	client := paho.NewClient(paho.NewClientOptions().AddBroker("tls://" + u.Host).SetClientID(string(villainName) + "." + session).
		SetTLSConfig(trust.Clone()).SetAutoReconnect(false).SetConnectTimeout(5 * time.Second).SetWriteTimeout(2 * time.Second).
		SetConnectionLostHandler(func(paho.Client, error) { lost <- struct{}{} }))
	if t := client.Connect(); !t.WaitTimeout(5*time.Second) || t.Error() != nil {
		return
	}
	defer client.Disconnect(0)
	batch := []byte(`[{"specversion":"1.0","id":"x","source":"/nodes/sim-001","type":"cityops.alarm.raised.v1","lane":"urgent","seq":"1","hop":"1","epoch":"deadbeefdeadbeef","data":{}}]`)
	for i := 0; ctx.Err() == nil; i++ {
		select {
		case <-lost:
			return
		default:
		}
		own := protocol.Topic{Node: villainName, Channel: protocol.ChannelEvents, Lane: station.LaneUrgent}
		switch deed := v.cfg.bad[i%len(v.cfg.bad)]; deed {
		case "flood":
			for range 200 {
				client.Publish(own.String(), 0, false, batch)
				v.did(deed, 1)
			}
		case "huge":
			client.Publish(own.String(), 0, false, make([]byte, protocol.MaxBatchBytes+(1<<20)))
			v.did(deed, 1)
		case "garbage":
			junk := make([]byte, 4096)
			_, _ = rand.Read(junk)
			for _, ch := range []protocol.Channel{protocol.ChannelHello, protocol.ChannelReceipts, protocol.ChannelSignalUp, protocol.ChannelStatus, protocol.ChannelHealth} {
				client.Publish(protocol.Topic{Node: villainName, Channel: ch}.String(), 0, false, junk)
				v.did(deed, 1)
			}
		case "foreign":
			victim := own
			victim.Node = stationName(i % v.cfg.n)
			client.Publish(victim.String(), 0, false, batch)
			v.did(deed, 1)
		}
		wait(ctx, time.Now().Add(5*time.Millisecond))
	}
}

func (v *villain) did(deed string, n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.done[deed] += n
}

func (v *villain) count() map[string]int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return maps.Clone(v.done)
}
