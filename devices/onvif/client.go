package onvif

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/kerberos-io/onvif/device"
	lib "github.com/kerberos-io/onvif/xsd/onvif"

	"stationd/agent/station"
)

// Login is a device and who asks.
type Login struct {
	// URL is the address of its device service: "http://192.168.1.64/onvif/device_service".
	// A host alone is made into one.
	URL      string
	Username string
	Password station.Secret
	// Fingerprint is the SHA-256 of the certificate that it shows (https), in
	// hexadecimal; empty takes what an authority of the system signed.
	Fingerprint string
}

// Problems that every conversation may meet.
var (
	errDenied      = &station.Problem{Code: "onvif.password", Status: 502, Message: "the device refuses the user name or password", Hint: "enter the account of its ONVIF users; many cameras have a list of their own for it"}
	errUnsupported = &station.Problem{Code: "onvif.unsupported", Status: 502, Message: "the device cannot do this", Hint: "its maker's own page may"}
	errRedirected  = errors.New("redirected")
)

// Client is one device in conversation. It is safe for use from any goroutine.
type Client struct {
	cfg   Config
	login Login
	base  *url.URL
	http  *http.Client
	now   func() time.Time

	mu        sync.Mutex
	offset    time.Duration // the device's clock minus ours
	clock     bool          // offset is known
	services  map[string]*url.URL
	challenge *challenge // of HTTP Digest, once the device has asked for it
	profiles  []Profile
	noLimit   bool // it refuses movements with a time limit
}

// The namespaces of the services that are used.
const (
	nsDevice = "http://www.onvif.org/ver10/device/wsdl"
	nsMedia  = "http://www.onvif.org/ver10/media/wsdl"
	nsMedia2 = "http://www.onvif.org/ver20/media/wsdl"
	nsPTZ    = "http://www.onvif.org/ver20/ptz/wsdl"
	nsEvents = "http://www.onvif.org/ver10/events/wsdl"
)

// Address makes the address of a device service of what a person may have typed.
func Address(text string) (*url.URL, error) {
	text = strings.TrimSpace(text)
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil {
		return nil, station.Errorf(400, "onvif.address", "write http://address/onvif/device_service, or the address alone; the account has fields of its own", "this is no address of an ONVIF device").At("onvif")
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/onvif/device_service"
	}
	u.Fragment = ""
	return u, nil
}

// Dial begins a conversation: it reads the device's clock, by which the password's
// digest is made, and which services there are.
func Dial(ctx context.Context, cfg Config, login Login) (*Client, error) {
	base, err := Address(login.URL)
	if err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, login: login, base: base, now: time.Now, services: map[string]*url.URL{nsDevice: base}}
	dialer := &net.Dialer{Timeout: cfg.Timeout}
	c.http = &http.Client{
		Transport: &http.Transport{
			Proxy: nil, DialContext: dialer.DialContext, TLSClientConfig: trust(login.Fingerprint), MaxIdleConnsPerHost: 2, IdleConnTimeout: 30 * time.Second,
			ResponseHeaderTimeout: 0, MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return errRedirected },
	}
	if err := c.readClock(ctx); err != nil {
		c.Close()
		return nil, err
	}
	if err := c.readServices(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// trust takes the one certificate with the fingerprint, or what the system trusts.
func trust(fingerprint string) *tls.Config {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if fingerprint == "" {
		return cfg
	}
	cfg.InsecureSkipVerify = true // VerifyConnection asks for more: the very certificate
	cfg.VerifyConnection = func(st tls.ConnectionState) error {
		if len(st.PeerCertificates) > 0 {
			if sum := sha256.Sum256(st.PeerCertificates[0].Raw); strings.EqualFold(hex.EncodeToString(sum[:]), fingerprint) {
				return nil
			}
		}
		return errCertificate
	}
	return cfg
}

var errCertificate = &station.Problem{Code: "onvif.certificate", Status: 502, Message: "the device shows another certificate than the one that was entered", Hint: "compare the fingerprint in the device's own page; it may have been reset, or it is another device"}

// ClockOffset is the device's clock minus ours, and whether it is known.
func (c *Client) ClockOffset() (time.Duration, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.offset, c.clock
}

// has is where a service is.
func (c *Client) service(ns string) (*url.URL, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	u, ok := c.services[ns]
	return u, ok
}

// call asks one service of the device, as whoever logs in, and reads its answer.
func (c *Client) call(ctx context.Context, ns string, body, reply any) error {
	at, ok := c.service(ns)
	if !ok {
		return errUnsupported.At(ns)
	}
	return c.ask(ctx, at, "", body, reply, c.cfg.Timeout)
}

// ask sends one request and reads its answer. It gives the password at most twice:
// as a token, and once more as HTTP Digest where the device asks for that.
func (c *Client) ask(ctx context.Context, at *url.URL, header string, body, reply any, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	var last error
	for range 2 {
		c.mu.Lock()
		ch, offset := c.challenge, c.offset
		var authorization, security string
		if c.login.Username != "" {
			if ch != nil {
				authorization = ch.answer(http.MethodPost, at.RequestURI(), c.login.Username, c.login.Password.Reveal())
			} else {
				security = securityHeader(c.login.Username, c.login.Password.Reveal(), c.now().Add(offset))
			}
		}
		c.mu.Unlock()
		message, err := envelope(header+security, body)
		if err != nil {
			return err
		}
		resp, err := c.send(ctx, http.MethodPost, at, message, authorization)
		if err != nil {
			return err
		}
		err = c.read(resp, reply)
		if !errors.Is(err, errDenied) {
			return err
		}
		last = err
		next := readChallenge(resp.Header)
		if next == nil || c.login.Username == "" || authorization != "" && !stale(resp.Header) {
			return err
		}
		c.mu.Lock()
		c.challenge = next
		c.mu.Unlock()
	}
	return last
}

// stale tells that the digest was right and only its nonce too old.
func stale(h http.Header) bool {
	return strings.Contains(strings.ToLower(strings.ReplaceAll(h.Get("WWW-Authenticate"), `"`, "")), "stale=true")
}

func (c *Client) send(ctx context.Context, method string, at *url.URL, message []byte, authorization string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, at.String(), bytes.NewReader(message))
	if err != nil {
		return nil, err
	}
	if message != nil {
		req.Header.Set("Content-Type", "application/soap+xml; charset=utf-8")
	}
	req.Header.Set("User-Agent", "stationd")
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, unreached(err)
	}
	return resp, nil
}

// read takes the answer of a request. The body is drained within bounds, so that
// the connection can be used again.
func (c *Client) read(resp *http.Response, reply any) error {
	defer resp.Body.Close()
	in := &io.LimitedReader{R: resp.Body, N: maxAnswer}
	err := open(in, reply)
	full := in.N <= 0
	if err == nil {
		_, _ = io.CopyN(io.Discard, in, 4<<10) // what is behind the envelope; more is not waited for
	}
	var f *fault
	switch {
	case err == nil && resp.StatusCode < 300:
		return nil
	case errors.As(err, &f):
		if f.denied() || resp.StatusCode == http.StatusUnauthorized {
			return errDenied
		}
		return fromFault("", f)
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
		return errDenied
	case full:
		return station.Errorf(502, "onvif.answer", "this may be no camera; check the address", "the device's answer has no end")
	case resp.StatusCode == http.StatusNotFound:
		return station.Errorf(502, "onvif.path", "check the address and that ONVIF is switched on in the device's settings", "there is no ONVIF service at this address (HTTP 404)")
	case resp.StatusCode >= 300:
		return station.Errorf(502, "onvif.answer", "check the address, and that ONVIF is switched on in the device's settings", "the device answers with HTTP %d", resp.StatusCode)
	}
	if reason := unreached(err); reason != nil && !errors.Is(err, errNoEnvelope) {
		if p, ok := station.AsProblem(reason); ok && p.Code != "onvif.failed" {
			return reason
		}
	}
	return station.Errorf(502, "onvif.answer", "check the address; if it is right, the device's firmware may need an update", "the device's answer cannot be read").Because(errors.New(plainText(err.Error())))
}

// unreached says in our words why there is no answer.
func unreached(err error) error {
	const wiring = "check the device's power, its network cable and the address"
	problem := func(code, hint, message string) error {
		return station.Errorf(502, "onvif."+code, hint, "%s", message).Because(errors.New(plainText(err.Error())))
	}
	var dns *net.DNSError
	var timeout net.Error
	var unknown *tls.CertificateVerificationError
	var plain tls.RecordHeaderError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, errCertificate):
		return errCertificate
	case errors.Is(err, errRedirected):
		return problem("redirect", "enter the address of the device itself; use https:// if it asks for that", "the device sends us to another address")
	case errors.As(err, &unknown):
		return problem("certificate", "enter the SHA-256 fingerprint of the device's certificate", "nobody that this machine trusts has signed the device's certificate")
	case errors.As(err, &plain):
		return problem("certificate", "use http://", "the device does not speak https at this port")
	case errors.As(err, &dns):
		return problem("host", "enter the IP address", "the host name is unknown")
	case errors.Is(err, syscall.ECONNREFUSED):
		return problem("port", "check the port (usually 80) and that ONVIF is switched on in the device's settings", "nothing listens at this address and port")
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return problem("unreachable", wiring, "there is no way to this address")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return problem("timeout", wiring, "the device does not answer")
	}
	return problem("failed", wiring, "the conversation with the device failed")
}

// readClock asks for the device's time, which needs no login. Where a device wants
// one even for this, the Date of its answer serves.
func (c *Client) readClock(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	message, err := envelope("", device.GetSystemDateAndTime{})
	if err != nil {
		return err
	}
	began := c.now()
	resp, err := c.send(ctx, http.MethodPost, c.base, message, "")
	if err != nil {
		return err
	}
	var reply struct {
		UTC dateTime `xml:"SystemDateAndTime>UTCDateTime"`
	}
	err = c.read(resp, &reply)
	half := c.now().Add(-c.now().Sub(began) / 2)
	at, ok := reply.UTC.time()
	if !ok {
		at, _ = http.ParseTime(resp.Header.Get("Date"))
		ok = !at.IsZero()
	}
	if ok {
		c.mu.Lock()
		c.offset, c.clock = at.Sub(half).Round(time.Millisecond), true
		if reply.UTC == (dateTime{}) { // the header's seconds are all that is known
			c.offset = c.offset.Round(time.Second)
		}
		c.mu.Unlock()
	}
	if p, isProblem := station.AsProblem(err); isProblem && (p.Code == errDenied.Code || p.Code == "onvif.fault" || p.Code == errUnsupported.Code) {
		return nil // it is an ONVIF device all the same
	}
	return err
}

// dateTime is a time as devices tell it, number by number.
type dateTime struct {
	Hour   string `xml:"Time>Hour"`
	Minute string `xml:"Time>Minute"`
	Second string `xml:"Time>Second"`
	Year   string `xml:"Date>Year"`
	Month  string `xml:"Date>Month"`
	Day    string `xml:"Date>Day"`
}

func (d dateTime) time() (time.Time, bool) {
	var n [6]int
	for i, text := range []string{d.Year, d.Month, d.Day, d.Hour, d.Minute, d.Second} {
		v, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || v < 0 || v > 9999 {
			return time.Time{}, false
		}
		n[i] = v
	}
	if n[0] < 1970 || n[1] < 1 || n[1] > 12 || n[2] < 1 || n[2] > 31 || n[3] > 23 || n[4] > 59 || n[5] > 60 {
		return time.Time{}, false
	}
	return time.Date(n[0], time.Month(n[1]), n[2], n[3], n[4], n[5], 0, time.UTC), true
}

// readServices asks where the services are: by GetServices, or as older devices
// tell it, by GetCapabilities.
func (c *Client) readServices(ctx context.Context) error {
	var reply struct {
		Service []struct {
			Namespace string
			XAddr     string
		}
	}
	err := c.call(ctx, nsDevice, device.GetServices{}, &reply)
	if err == nil && len(reply.Service) > 0 {
		for _, s := range reply.Service {
			c.learn(strings.TrimSpace(s.Namespace), s.XAddr)
		}
		return nil
	}
	if p, ok := station.AsProblem(err); err != nil && (!ok || p.Code != "onvif.fault" && p.Code != errUnsupported.Code) {
		return err
	}
	var old struct {
		Media  string `xml:"Capabilities>Media>XAddr"`
		PTZ    string `xml:"Capabilities>PTZ>XAddr"`
		Events string `xml:"Capabilities>Events>XAddr"`
	}
	if err := c.call(ctx, nsDevice, device.GetCapabilities{Category: []lib.CapabilityCategory{"All"}}, &old); err != nil {
		return err
	}
	c.learn(nsMedia, old.Media)
	c.learn(nsPTZ, old.PTZ)
	c.learn(nsEvents, old.Events)
	return nil
}

func (c *Client) learn(ns, address string) {
	u, ok := c.reachable(address)
	switch ns {
	case nsMedia, nsMedia2, nsPTZ, nsEvents:
	default:
		return
	}
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.services[ns] = u
}

// reachable is the address of a service as it can be reached from here: a device
// behind a forwarded port tells the address that it has itself.
func (c *Client) reachable(address string) (*url.URL, bool) {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || u.Host == "" && u.Path == "" || u.Scheme != "" && u.Scheme != "http" && u.Scheme != "https" {
		return nil, false
	}
	if u.Host == "" || !strings.EqualFold(u.Hostname(), c.base.Hostname()) {
		u.Host, u.Scheme = c.base.Host, c.base.Scheme
	}
	u.User, u.Fragment = nil, ""
	return u, true
}

// Information is what a device says that it is.
type Information struct {
	Maker    string `json:"maker,omitempty"`
	Model    string `json:"model,omitempty"`
	Firmware string `json:"firmware,omitempty"`
	Serial   string `json:"serial,omitempty"`
}

// Information asks what the device is.
func (c *Client) Information(ctx context.Context) (Information, error) {
	var reply device.GetDeviceInformationResponse
	if err := c.call(ctx, nsDevice, device.GetDeviceInformation{}, &reply); err != nil {
		return Information{}, err
	}
	return Information{
		Maker: plainText(reply.Manufacturer), Model: plainText(reply.Model), Firmware: plainText(reply.FirmwareVersion), Serial: plainText(reply.SerialNumber),
	}, nil
}

// readAtMost reads a whole body within a bound.
func readAtMost(resp *http.Response, most int64) ([]byte, error) {
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, most+1))
	if err != nil {
		return nil, unreached(err)
	}
	if int64(len(b)) > most {
		return nil, station.Errorf(502, "onvif.answer", "this may be no camera; check the address", "the device's answer has no end")
	}
	return b, nil
}
