package uplink

import (
	"errors"
	"net/netip"
	"net/url"
	"regexp"
	"time"

	"stationd/agent/station"
)

// Target is a receiver beside the parent: another centre, which speaks the
// protocol of this package, or a web service that takes events by HTTP. It gets
// events and nothing else; commands, clips and calls are the parent's.
type Target struct {
	// Name names the target on the status page, and its cursors. It stays when
	// the address changes.
	Name string `yaml:"name"`
	// URL is "https://host/path" for a web service, "mqtts://host:8883" or
	// "wss://host" for a centre.
	URL string `yaml:"url"`
	// SecretFile holds the secret with which a web service knows that events
	// are ours (HMAC-SHA256).
	SecretFile string `yaml:"secret_file"`
	// Single sends each event by itself to a web service that takes no batches.
	Single bool `yaml:"single"`
	// Certificate, Key and Authority are PEM files: this node's certificate and
	// key, and who vouches for the target. A web service may do without; it is
	// then trusted as browsers trust it.
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
	Authority   string `yaml:"authority"`
	// Filter is which events the target gets.
	Filter Filter `yaml:"filter"`
}

// Web tells whether the target is a web service.
func (t Target) Web() bool {
	u, err := url.Parse(t.URL)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http")
}

// Lanes are the lanes that the target gets.
func (t Target) Lanes() []station.Lane { return t.Filter.lanes() }

var targetName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

// Validate names every fault.
func (t Target) Validate() error {
	var faults []error
	fault := func(place, hint, format string, args ...any) {
		faults = append(faults, station.Errorf(400, "config.invalid", hint, format, args...).At(place))
	}
	if !targetName.MatchString(t.Name) {
		fault("name", "use a-z, 0-9 and '-', at most 32", "%q cannot name a target", t.Name)
	}
	u, err := url.Parse(t.URL)
	switch {
	case err != nil || u.Hostname() == "":
		fault("url", "write https://host/path, mqtts://host:8883 or wss://host", "%q is not an address", t.URL)
	case u.User != nil:
		fault("url", "put the secret into a file and name it in secret_file", "a secret does not belong into the address")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		fault("url", "write https", "%q would cross the network unprotected", t.URL)
	case t.Web():
		if t.SecretFile == "" {
			fault("secret_file", "name a file with a secret of 16 bytes or more, and give the receiver the same", "the file is not named")
		}
		if (t.Certificate == "") != (t.Key == "") {
			fault("certificate", "name both files or none", "certificate and key belong together")
		}
	case u.Scheme == "mqtts" || u.Scheme == "wss":
		if t.Certificate == "" || t.Key == "" || t.Authority == "" {
			fault("certificate", "name PEM files; a centre is never spoken to without certificates", "certificate, key and authority are not all named")
		}
	default:
		fault("url", "write https://host/path, mqtts://host:8883 or wss://host", "%q is not an address", t.URL)
	}
	faults = append(faults, station.Under("filter", t.Filter.Validate()))
	return errors.Join(faults...)
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// Beside makes the configuration of a target: what the file does not say is as
// for the parent.
func (c Config) Beside(t Target) Config {
	c.URL, c.Target, c.Filter = t.URL, t.Name, t.Filter
	c.Certificate, c.Key, c.Authority, c.ServerName, c.ClipsURL = t.Certificate, t.Key, t.Authority, "", ""
	c.Second, c.web = Second{}, nil
	if t.Web() {
		c.web = &t
		c.AckTimeout = max(c.AckTimeout, time.Minute) // a web service answers when it likes
		c.Window.Events = 1                           // one batch of a lane is on its way, so that no lane waits for another
		if t.Single {
			c.Window.BatchEvents = 1
		}
	}
	return c
}
