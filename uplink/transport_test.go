package uplink_test

import (
	"testing"

	"stationd/agent/station"
	"stationd/devices/devicestest"
	"stationd/uplink/uplinktest"
)

// TestTransports: one suite, every transport.
func TestTransports(t *testing.T) {
	for _, scheme := range []string{"mqtts", "wss"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			uplinktest.TestTransport(t, func(t *testing.T, node station.NodeID) uplinktest.Rig {
				w := uplinktest.NewWorld(t)
				w.Start()
				return w.Rig(scheme, node)
			})
		})
	}
	t.Run("mosquitto between", func(t *testing.T) {
		t.Parallel()
		uplinktest.TestTransport(t, func(t *testing.T, node station.NodeID) uplinktest.Rig {
			w := uplinktest.NewWorld(t)
			addr := "127.0.0.1:" + devicestest.FreePort(t)
			conf, r := w.Behind(node, addr)
			m := devicestest.StartMosquittoWith(t, conf, addr)
			w.Start()
			r.Down, r.Up = func() { w.Stop(); m.Stop() }, func() { m.Start(); w.Start() }
			return r
		})
	})
	t.Run("webhook", func(t *testing.T) {
		t.Parallel()
		uplinktest.TestTransport(t, func(t *testing.T, _ station.NodeID) uplinktest.Rig { return uplinktest.NewService(t).Rig() })
	})
}
