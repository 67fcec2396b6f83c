package console

import (
	"time"

	"stationd/agent/station"
)

// Status is the health of the node, as every page shows it.
type Status struct {
	Now   time.Time      `json:"now"`
	Lamps []station.Lamp `json:"lamps"`
	// QuietSince is when the last alarm ended; absent while one is live.
	QuietSince time.Time     `json:"quietSince,omitzero"`
	Uplink     *UplinkStatus `json:"uplink,omitempty"` // absent where no parent is configured
	// Targets are the lines to other receivers.
	Targets []UplinkStatus `json:"targets,omitempty"`
	Storage StorageStatus  `json:"storage"`
	Cameras Count          `json:"cameras"`
	Sensors Count          `json:"sensors"`
	Nodes   []station.Node `json:"nodes"`
	// Brokers are the links to outside brokers.
	Brokers []BrokerStatus `json:"brokers"`
}

// UplinkStatus is the line to the parent, or to another target.
type UplinkStatus struct {
	// Target is the target's name, URL where it is, Parent who answered there.
	Target    string         `json:"target,omitempty"`
	URL       string         `json:"url,omitempty"`
	Parent    station.NodeID `json:"parent,omitempty"`
	Connected bool           `json:"connected"`
	Since     time.Time      `json:"since,omitzero"`
	Lanes     []LaneStatus   `json:"lanes"`
	LastError string         `json:"lastError,omitempty"`
	Hint      string         `json:"hint,omitempty"`
	ErrorAt   time.Time      `json:"errorAt,omitzero"`
	Sent      uint64         `json:"sent"` // bytes since the start
	// Second is the second line, where there is one.
	Second *SecondStatus `json:"second,omitempty"`
	// ClockOffset is the parent's clock minus ours.
	ClockOffset time.Duration `json:"clockOffset,omitempty"`
}

// LaneStatus is what waits in one lane.
type LaneStatus struct {
	Lane    station.Lane `json:"lane"`
	Backlog int          `json:"backlog"` // counted up to 10,000
	Oldest  time.Time    `json:"oldest,omitzero"`
	Rate    float64      `json:"rate"` // events a second that were acknowledged
	// Held is why the receiver asked for a slower pace, while it does.
	Held string `json:"held,omitempty"`
}

// SecondStatus is the second line.
type SecondStatus struct {
	Connected bool      `json:"connected"`
	Since     time.Time `json:"since,omitzero"`
	Used      uint64    `json:"used"` // how often it had to serve
	LastError string    `json:"lastError,omitempty"`
}

// StorageStatus is the data disk; sizes are bytes.
type StorageStatus struct {
	Free        uint64    `json:"free"`
	Total       uint64    `json:"total"`
	Level       string    `json:"level"`
	VideoBytes  int64     `json:"videoBytes"`
	OldestVideo time.Time `json:"oldestVideo,omitzero"`
	// DaysLeft is how many days of video the quota holds at today's rate;
	// absent while that is not known.
	DaysLeft float64 `json:"daysLeft,omitempty"`
}

// Count is how many of a kind are well.
type Count struct {
	Online int `json:"online"`
	Total  int `json:"total"`
}

// BrokerStatus is the link to one broker.
type BrokerStatus struct {
	ID        string    `json:"id"`
	Connected bool      `json:"connected"`
	Since     time.Time `json:"since,omitzero"`
	LastError string    `json:"lastError,omitempty"`
	Hint      string    `json:"hint,omitempty"`
}
