package uplinktest_test

import (
	"testing"

	"stationd/agent/station"
	"stationd/uplink/centre"
	"stationd/uplink/uplinktest"
)

func TestInbox(t *testing.T) {
	uplinktest.TestInbox(t,
		func(*testing.T) centre.Inbox { return uplinktest.NewInbox() },
		func(b centre.Inbox, node station.NodeID, lane station.Lane) []station.Event {
			return b.(*uplinktest.Inbox).Events(node, lane)
		})
}
