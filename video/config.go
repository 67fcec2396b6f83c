package video

import (
	"errors"
	"time"

	"stationd/agent/station"
	"stationd/video/peer"
	"stationd/video/restream"
	"stationd/video/rtsp"
)

// Config is how pictures are pulled, shown and called up. Which cameras there
// are is data; see Set.Apply.
type Config struct {
	// RTSP is how patient the node is with its cameras.
	RTSP rtsp.Config `yaml:"rtsp"`
	// Peer is where viewers connect; it configures Deps.Hub.
	Peer peer.Config `yaml:"peer"`
	// Linger is how long a stream on demand is kept after its last reader has
	// left.
	Linger time.Duration `yaml:"linger"`
	// Restream is where other software finds the cameras over RTSP.
	Restream restream.Config `yaml:"restream"`
	// TalkMost is how long somebody may talk through a camera at a time; 0 lets
	// nobody talk, and no camera is asked whether it has a loudspeaker.
	TalkMost time.Duration `yaml:"talk_most"`
	// LegTimeout is how long a station may take to bring the picture that
	// somebody at the centre called up.
	LegTimeout time.Duration `yaml:"leg_timeout"`
	// LegLinger is how long a called-up picture is kept after its last viewer
	// has left.
	LegLinger time.Duration `yaml:"leg_linger"`
}

// DefaultConfig is right for most nodes.
func DefaultConfig() Config {
	return Config{
		RTSP:       rtsp.DefaultConfig(),
		Peer:       peer.DefaultConfig(),
		Linger:     20 * time.Second,
		Restream:   restream.DefaultConfig(),
		TalkMost:   time.Minute,
		LegTimeout: 10 * time.Second,
		LegLinger:  10 * time.Second,
	}
}

// Validate names every fault with its key.
func (c Config) Validate() error {
	faults := []error{station.Under("rtsp", c.RTSP.Validate()), station.Under("peer", c.Peer.Validate()), station.Under("restream", c.Restream.Validate())}
	for _, x := range []struct {
		key string
		d   time.Duration
	}{{"linger", c.Linger}, {"leg_timeout", c.LegTimeout}, {"leg_linger", c.LegLinger}} {
		if x.d < time.Second || x.d > 5*time.Minute {
			faults = append(faults, station.Errorf(400, "config.invalid", "10s is right for most lines",
				"%v is not between 1s and 5m", x.d).At(x.key))
		}
	}
	if c.TalkMost != 0 && (c.TalkMost < 5*time.Second || c.TalkMost > 10*time.Minute) {
		faults = append(faults, station.Errorf(400, "config.invalid", "60s is right for a few sentences; 0 lets nobody talk",
			"%v is not between 5s and 10m", c.TalkMost).At("talk_most"))
	}
	return errors.Join(faults...)
}
