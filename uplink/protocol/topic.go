package protocol

import (
	"strings"

	"stationd/agent/station"
)

// Root is the first two levels of every topic. The version in it changes only
// when two versions could not share one broker.
const Root = "cityops/v1"

// SocketPath is where the centre's HTTPS port speaks MQTT over WebSocket.
const SocketPath = "/uplink/v1/mqtt"

// Channel is what a topic is for. Up and down are separate topics, so that a
// broker's access list can be exact and nobody hears his own words.
type Channel string

// The channels.
const (
	ChannelHello      Channel = "hello"       // up: Hello
	ChannelWelcome    Channel = "welcome"     // down: Welcome
	ChannelEvents     Channel = "events"      // up: a batch; one topic per lane
	ChannelAcks       Channel = "acks"        // down: Ack
	ChannelCommands   Channel = "commands"    // down: Order
	ChannelReceipts   Channel = "receipts"    // up: Report
	ChannelSignalUp   Channel = "signal/up"   // up: Signal
	ChannelSignalDown Channel = "signal/down" // down: Signal
	ChannelStatus     Channel = "status"      // up, retained, and the last will: Status
	ChannelHealth     Channel = "health"      // up, when the parent has asked for it: Health
)

// Up tells whether the station speaks on c, and Down whether its parent does.
func (c Channel) Up() bool {
	switch c {
	case ChannelHello, ChannelEvents, ChannelReceipts, ChannelSignalUp, ChannelStatus, ChannelHealth:
		return true
	}
	return false
}

// Down tells whether the parent speaks on c.
func (c Channel) Down() bool {
	switch c {
	case ChannelWelcome, ChannelAcks, ChannelCommands, ChannelSignalDown:
		return true
	}
	return false
}

// DownChannels lists what a station subscribes to.
func DownChannels() []Channel {
	return []Channel{ChannelWelcome, ChannelAcks, ChannelCommands, ChannelSignalDown}
}

// Topic is one topic of one node.
type Topic struct {
	Node    station.NodeID
	Channel Channel
	// Lane is set for ChannelEvents alone.
	Lane station.Lane
}

// String is the topic as brokers know it.
func (t Topic) String() string {
	s := Root + "/" + string(t.Node) + "/" + string(t.Channel)
	if t.Channel == ChannelEvents {
		s += "/" + string(t.Lane)
	}
	return s
}

// ParseTopic takes a topic apart. Whatever is not exactly one of ours,
// wildcards included, is not ok.
func ParseTopic(s string) (t Topic, ok bool) {
	rest, ok := strings.CutPrefix(s, Root+"/")
	if !ok {
		return Topic{}, false
	}
	node, channel, ok := strings.Cut(rest, "/")
	if !ok || station.NodeID(node).Validate() != nil {
		return Topic{}, false
	}
	t = Topic{Node: station.NodeID(node), Channel: Channel(channel)}
	if lane, isEvents := strings.CutPrefix(channel, string(ChannelEvents)+"/"); isEvents {
		t.Channel, t.Lane = ChannelEvents, station.Lane(lane)
		return t, knownLane(t.Lane)
	}
	if t.Channel == ChannelEvents || !t.Channel.Up() && !t.Channel.Down() {
		return Topic{}, false
	}
	return t, true
}

func knownLane(l station.Lane) bool {
	switch l {
	case station.LaneUrgent, station.LaneNormal, station.LaneBulk:
		return true
	}
	return false
}
