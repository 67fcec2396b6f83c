package rtsp

import (
	"context"
	"errors"
	"net"
	"net/url"
	"time"

	"stationd/agent/station"
)

// Config names a camera's stream and how patient the source is with it. Zero
// durations have the values of DefaultConfig.
type Config struct {
	// Camera is its ID, for states and log lines.
	Camera string `yaml:"-"`
	// URL is rtsp://host[:port]/path, or rtsps, without user name and password.
	URL      string         `yaml:"-"`
	Username string         `yaml:"-"`
	Password station.Secret `yaml:"-"`
	// Transport, Fingerprint and Mute are as station.Camera has them.
	Transport   station.Transport `yaml:"-"`
	Fingerprint string            `yaml:"-"`
	Mute        bool              `yaml:"-"`

	// RequestTimeout bounds connecting and each answer of the camera.
	RequestTimeout time.Duration `yaml:"request_timeout"`
	// PictureTimeout is how long no picture may come before the connection is
	// given up. The first picture has RequestTimeout.
	PictureTimeout time.Duration `yaml:"picture_timeout"`
	// KeyTimeout is the same for key pictures, without which nobody can begin to
	// watch.
	KeyTimeout time.Duration `yaml:"key_timeout"`
	// RetryMin is the first waiting time after a failure; it doubles with each
	// further one up to RetryMax. After a good session the first minute is spent
	// with a tenth of it, a fifth, and then a quarter each time, since a camera that
	// starts again is back within it.
	RetryMin time.Duration `yaml:"retry_min"`
	RetryMax time.Duration `yaml:"retry_max"`
	// RetryDenied is the first waiting time after a refused password or an
	// unusable format, half of it after a lack of sessions; it doubles up to
	// five times its value.
	RetryDenied time.Duration `yaml:"retry_denied"`

	// Wish asks the camera for a key picture in some way that is not RTSP's, if there
	// is one. It is called when a session begins in the middle of a group of pictures,
	// and must not block.
	Wish func() `yaml:"-"`

	// Dial replaces the network, in tests.
	Dial func(ctx context.Context, network, address string) (net.Conn, error) `yaml:"-"`
}

// DefaultConfig has the times; the camera is to be filled in.
func DefaultConfig() Config {
	return Config{
		RequestTimeout: 10 * time.Second,
		PictureTimeout: 5 * time.Second,
		KeyTimeout:     60 * time.Second,
		RetryMin:       time.Second,
		RetryMax:       30 * time.Second,
		RetryDenied:    60 * time.Second,
	}
}

func (c Config) withDefaults() Config {
	d := DefaultConfig()
	for _, f := range []struct{ value, fallback *time.Duration }{
		{&c.RequestTimeout, &d.RequestTimeout},
		{&c.PictureTimeout, &d.PictureTimeout},
		{&c.KeyTimeout, &d.KeyTimeout},
		{&c.RetryMin, &d.RetryMin},
		{&c.RetryMax, &d.RetryMax},
		{&c.RetryDenied, &d.RetryDenied},
	} {
		if *f.value == 0 {
			*f.value = *f.fallback
		}
	}
	if c.Wish == nil {
		c.Wish = func() {}
	}
	if c.Dial == nil {
		c.Dial = (&net.Dialer{}).DialContext
	}
	return c
}

// Validate finds all faults. The URL is checked too if there is one.
func (c Config) Validate() error {
	var faults []error
	if c.URL != "" {
		if _, err := parseURL(c.URL); err != nil {
			faults = append(faults, err)
		}
	}
	for _, f := range []struct {
		key   string
		value time.Duration
	}{
		{"request_timeout", c.RequestTimeout},
		{"picture_timeout", c.PictureTimeout},
		{"key_timeout", c.KeyTimeout},
		{"retry_min", c.RetryMin},
		{"retry_max", c.RetryMax},
		{"retry_denied", c.RetryDenied},
	} {
		if f.value < 0 {
			faults = append(faults, station.Errorf(400, "config.invalid", "give a positive time, such as 5s", "the time is negative").At(f.key))
		}
	}
	if d := c.withDefaults(); d.RetryMax < d.RetryMin {
		faults = append(faults, station.Errorf(400, "config.invalid", "make it at least retry_min", "the longest waiting time is below the shortest").At("retry_max"))
	}
	return errors.Join(faults...)
}

// parseURL checks a camera's address. Its errors do not repeat the address: it
// may have a password in it.
func parseURL(s string) (*url.URL, error) {
	invalid := func(hint, message string) error {
		return station.Errorf(400, "config.invalid", hint, "%s", message).At("url")
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, invalid("write rtsp://host:554/path", "the address cannot be read")
	case u.Scheme != "rtsp" && u.Scheme != "rtsps":
		return nil, invalid("write rtsp://host:554/path", "the address begins neither with rtsp:// nor with rtsps://")
	case u.Hostname() == "":
		return nil, invalid("write rtsp://host:554/path", "the address has no host")
	case u.User != nil:
		return nil, invalid("give user name and password in their own fields", "the address has a user name or password in it")
	}
	return u, nil
}
