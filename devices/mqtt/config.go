package mqtt

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"stationd/agent/station"
)

// Config is how links behave, the same for every broker.
type Config struct {
	// Workers is how many messages of different topics are taken at once; they
	// share commits.
	Workers int `yaml:"workers"`
	// Queue is how many messages wait at most. There are not more packet
	// identifiers than 65535, so that the usual one is full only by its bytes, of
	// which it takes 64 MiB.
	Queue int `yaml:"queue"`
	// KeepAlive is the longest silence on the connection.
	KeepAlive time.Duration `yaml:"keep_alive"`
	// ConnectTimeout bounds connecting, TLS and the broker's greeting included.
	ConnectTimeout time.Duration `yaml:"connect_timeout"`
	// RetryMin and RetryMax bound the growing pauses between attempts, both at
	// connecting and at taking a message that was refused.
	RetryMin time.Duration `yaml:"retry_min"`
	RetryMax time.Duration `yaml:"retry_max"`
	// ProbeAfter is how long after connecting, and then once a day, it is tried
	// whether the broker keeps messages for a client that is away: some thousand
	// small ones are published below stationd/probe/. Zero is never.
	ProbeAfter time.Duration `yaml:"probe_after"`
	// CAFile names a PEM file of authorities to trust besides the system's, for
	// brokers with a certificate of their own making.
	CAFile string `yaml:"ca_file"`
}

// DefaultConfig is right for any broker.
func DefaultConfig() Config {
	return Config{
		Workers:        512,
		Queue:          65536,
		KeepAlive:      30 * time.Second,
		ConnectTimeout: 10 * time.Second,
		RetryMin:       500 * time.Millisecond,
		RetryMax:       30 * time.Second,
		ProbeAfter:     time.Minute,
	}
}

// Validate names every fault with its key.
func (c Config) Validate() error {
	var faults []error
	fault := func(key, format string, args ...any) {
		faults = append(faults, station.Errorf(400, "config.invalid", "leave the key out for the default", format, args...).At(key))
	}
	if c.Workers < 1 || c.Workers > 1024 {
		fault("workers", "%d is not within 1 and 1024", c.Workers)
	}
	if c.Queue < 64 || c.Queue > 65536 {
		fault("queue", "%d is not within 64 and 65536", c.Queue)
	}
	if c.KeepAlive < time.Second || c.KeepAlive > time.Hour {
		fault("keep_alive", "%s is not within 1s and 1h", c.KeepAlive)
	}
	if c.ConnectTimeout <= 0 || c.ConnectTimeout > time.Minute {
		fault("connect_timeout", "%s is not within 0s and 1m", c.ConnectTimeout)
	}
	if c.RetryMin <= 0 || c.RetryMin > c.RetryMax {
		fault("retry_min", "%s is not within 0s and retry_max", c.RetryMin)
	}
	if c.RetryMax > time.Hour {
		fault("retry_max", "%s is more than 1h", c.RetryMax)
	}
	if c.ProbeAfter < 0 || c.ProbeAfter > 24*time.Hour {
		fault("probe_after", "%s is not within 0s and 24h", c.ProbeAfter)
	}
	if c.CAFile != "" {
		if _, err := c.roots(); err != nil {
			faults = append(faults, station.Errorf(400, "config.invalid", "give a readable PEM file of CA certificates", "%v", err).At("ca_file"))
		}
	}
	return errors.Join(faults...)
}

// roots are the authorities to trust; nil means the system's.
func (c Config) roots() (*x509.CertPool, error) {
	if c.CAFile == "" {
		return nil, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("read CA file: %w", err)
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("no certificate in %q", c.CAFile)
	}
	return pool, nil
}

// Endpoint reads a broker's URL: mqtt://host[:1883] or mqtts://host[:8883].
func Endpoint(rawURL string) (address string, secure bool, err error) {
	bad := func(why string) error {
		return station.Errorf(400, "broker.url", "write mqtt://host:1883, or mqtts://host:8883 for TLS", "%q is no address of a broker: %s", Shown(rawURL), why)
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		return "", false, bad("it cannot be read")
	}
	port := "1883"
	switch u.Scheme {
	case "mqtt", "tcp":
	case "mqtts", "ssl", "tls":
		secure, port = true, "8883"
	default:
		return "", false, bad("its scheme is neither mqtt nor mqtts")
	}
	if u.Hostname() == "" {
		return "", false, bad("it has no host")
	}
	if u.User != nil {
		return "", false, bad("the name and the password have their own fields")
	}
	if p := u.Port(); p != "" {
		port = p
	}
	return net.JoinHostPort(u.Hostname(), port), secure, nil
}

// dial opens the network connection and ends with ctx, whatever it is doing.
func (c Config) dial(ctx context.Context, rawURL string) (net.Conn, error) {
	address, secure, err := Endpoint(rawURL)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.ConnectTimeout)
	defer cancel()
	d := &net.Dialer{KeepAlive: 15 * time.Second}
	if !secure {
		return d.DialContext(ctx, "tcp", address)
	}
	roots, err := c.roots()
	if err != nil {
		return nil, err
	}
	t := tls.Dialer{NetDialer: d, Config: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	return t.DialContext(ctx, "tcp", address)
}

// Shown is a URL for logs and errors: without the name and the password that
// somebody may have written into it.
func Shown(rawURL string) string {
	scheme, rest, ok := strings.Cut(rawURL, "://")
	if !ok {
		scheme, rest = "", rawURL
	}
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		rest = "…" + rest[i:]
	}
	rest, _, _ = strings.Cut(rest, "?")
	if !ok {
		return rest
	}
	return scheme + "://" + rest
}
