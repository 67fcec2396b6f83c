package uplink

import (
	"errors"
	"net/url"
	"time"

	"stationd/agent/station"
	"stationd/uplink/budget"
	"stationd/uplink/linetest"
	"stationd/uplink/pki"
	"stationd/uplink/protocol"
)

// Config is where the parent is and how to reach it.
type Config struct {
	// URL is the parent's address, "mqtts://host:8883", or "wss://host" for the
	// centre's HTTPS port. Empty means that this node has no parent.
	URL string `yaml:"url"`
	// ClipsURL is where clips go, "https://host:port". Empty means the parent's
	// host at the port that the parent tells.
	ClipsURL string `yaml:"clips_url"`
	// Certificate, Key and Authority are PEM files: this node's certificate,
	// its key, and who vouches for the parent.
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
	Authority   string `yaml:"authority"`
	// ServerName is the name in the parent's certificate. Empty means the host
	// of URL.
	ServerName string `yaml:"server_name"`
	// Target names the cursors. It stays when the address changes.
	Target string `yaml:"target"`
	// Filter is which events the parent gets.
	Filter Filter `yaml:"filter"`
	// Second is another way for the urgent lane while the first is down.
	Second Second `yaml:"second"`
	// Window bounds what is on its way without acknowledgement, per lane.
	Window Window `yaml:"window"`
	// AckTimeout is how long the parent may be silent before the lane is sent
	// again from the cursor.
	AckTimeout time.Duration `yaml:"ack_timeout"`
	// ConnectTimeout limits dialling and, again, the parent's welcome.
	ConnectTimeout time.Duration `yaml:"connect_timeout"`
	// KeepAlive is how often a silent line is tried.
	KeepAlive time.Duration `yaml:"keep_alive"`
	// RetryMin and RetryMax bound the pause between attempts to connect; it
	// doubles, with jitter.
	RetryMin time.Duration `yaml:"retry_min"`
	RetryMax time.Duration `yaml:"retry_max"`
	// ClipChunk is how many bytes of a clip go in one piece.
	ClipChunk int `yaml:"clip_chunk"`
	// ClipRetryMax is the longest pause between attempts with one clip.
	ClipRetryMax time.Duration `yaml:"clip_retry_max"`
	// BehindAfter is how old the oldest unacknowledged event of the lanes
	// urgent and normal may be before the lamp says so.
	BehindAfter time.Duration `yaml:"behind_after"`
	// ClockEvery is how often our clock is compared with the parent's.
	ClockEvery time.Duration `yaml:"clock_every"`
	// Budget is what the line carries, and what of it is kept for conferences.
	Budget budget.Config `yaml:"budget"`
	// LineTest is when and how the line is tested by itself.
	LineTest linetest.Config `yaml:"line_test"`

	web *Target // set for a web service
}

// Second is a second line, for example by 4G.
type Second struct {
	// URL is the parent's address on that way; empty means the first one's.
	URL string `yaml:"url"`
	// From is the address of this machine from which that way begins, or the
	// name of its network interface.
	From string `yaml:"from"`
	// After is how long the first way must have been down.
	After time.Duration `yaml:"after"`
}

// Enabled tells whether there is a second line.
func (s Second) Enabled() bool { return s.URL != "" || s.From != "" }

// Window bounds what is on its way.
type Window struct {
	// Events and Bytes bound what is on its way in one lane.
	Events int `yaml:"events"`
	Bytes  int `yaml:"bytes"`
	// BatchEvents and BatchBytes bound one batch.
	BatchEvents int `yaml:"batch_events"`
	BatchBytes  int `yaml:"batch_bytes"`
}

// DefaultConfig has no parent; everything else fits a line of 50 Mbit/s. The
// bulk lane gets a quarter of the window's bytes, so that what it has put into
// the line delays an alarm by some 40 ms there.
func DefaultConfig() Config {
	return Config{
		Target:     "centre",
		Window:     Window{Events: 1024, Bytes: 1 << 20, BatchEvents: 128, BatchBytes: 64 << 10},
		AckTimeout: 10 * time.Second, ConnectTimeout: 20 * time.Second, KeepAlive: 20 * time.Second,
		RetryMin: 500 * time.Millisecond, RetryMax: 30 * time.Second,
		ClipChunk: 256 << 10, ClipRetryMax: 30 * time.Minute, BehindAfter: 30 * time.Second,
		ClockEvery: time.Minute, Budget: budget.DefaultConfig(), LineTest: linetest.DefaultConfig(),
		Second: Second{After: 10 * time.Second},
	}
}

// Enabled tells whether there is a parent.
func (c Config) Enabled() bool { return c.URL != "" }

// Validate names every fault.
func (c Config) Validate() error {
	if !c.Enabled() {
		return nil
	}
	var faults []error
	fault := func(place, hint, format string, args ...any) {
		faults = append(faults, station.Errorf(400, "config.invalid", hint, format, args...).At(place))
	}
	if u, err := url.Parse(c.URL); err != nil || !parentScheme(u.Scheme) || u.Hostname() == "" {
		fault("url", "write mqtts://host:8883 or wss://host", "%q is not a parent's address", c.URL)
	}
	if c.Second.URL != "" {
		if u, err := url.Parse(c.Second.URL); err != nil || !parentScheme(u.Scheme) || u.Hostname() == "" {
			fault("second.url", "write mqtts://host:8883 or wss://host, or leave the key out", "%q is not a parent's address", c.Second.URL)
		}
	}
	faults = append(faults, station.Under("filter", c.Filter.Validate()))
	if c.ClipsURL != "" {
		if u, err := url.Parse(c.ClipsURL); err != nil || u.Scheme != "https" || u.Hostname() == "" {
			fault("clips_url", "write https://host:port, or leave the key out", "%q is not an address for clips", c.ClipsURL)
		}
	}
	for _, f := range []struct{ place, file string }{{"certificate", c.Certificate}, {"key", c.Key}, {"authority", c.Authority}} {
		if f.file == "" {
			fault(f.place, "name a PEM file; the uplink never runs without certificates", "the file is not named")
		}
	}
	if c.Target == "" {
		fault("target", "leave the key out for the default", "the target has no name")
	}
	within := func(place string, v, least, most int) {
		if v < least || v > most {
			fault(place, "leave the key out for the default", "%d is not within %d and %d", v, least, most)
		}
	}
	within("window.events", c.Window.Events, 1, 100_000)
	within("window.bytes", c.Window.Bytes, 4096, 64<<20)
	within("window.batch_events", c.Window.BatchEvents, 1, protocol.MaxBatch)
	within("window.batch_bytes", c.Window.BatchBytes, 4096, protocol.MaxBatchBytes-protocol.MaxEventBytes)
	within("clip_chunk", c.ClipChunk, 1024, protocol.MaxChunk)
	span := func(place string, v, least, most time.Duration) {
		if v < least || v > most {
			fault(place, "leave the key out for the default", "%s is not within %s and %s", v, least, most)
		}
	}
	span("ack_timeout", c.AckTimeout, 100*time.Millisecond, 10*time.Minute)
	span("connect_timeout", c.ConnectTimeout, time.Second, 5*time.Minute)
	span("keep_alive", c.KeepAlive, time.Second, 10*time.Minute)
	span("retry_min", c.RetryMin, time.Millisecond, time.Minute)
	span("retry_max", c.RetryMax, c.RetryMin, time.Hour)
	span("clip_retry_max", c.ClipRetryMax, time.Second, 24*time.Hour)
	span("clock_every", c.ClockEvery, 10*time.Millisecond, time.Hour)
	span("second.after", c.Second.After, time.Second, time.Hour)
	span("behind_after", c.BehindAfter, time.Second, 24*time.Hour)
	return errors.Join(append(faults, station.Under("budget", c.Budget.Validate()), station.Under("line_test", c.LineTest.Validate()))...)
}

func parentScheme(s string) bool { return s == "mqtts" || s == "wss" }

func (c Config) files() pki.Files {
	return pki.Files{Certificate: c.Certificate, Key: c.Key, Authority: c.Authority}
}

func (c Config) serverName() string {
	if c.ServerName != "" {
		return c.ServerName
	}
	u, err := url.Parse(c.URL)
	if err != nil {
		return ""
	}
	return u.Hostname()
}
