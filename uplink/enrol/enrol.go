package enrol

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"stationd/agent/station"
	"stationd/uplink/pki"
	"stationd/uplink/protocol"
)

// Order is what somebody at the station typed, and who the station is.
type Order struct {
	// Code is a code, or an address, a slash and a code.
	Code string
	// Centre is the centre's address where the code names none.
	Centre string
	// Node is who the station is. Free tells that it may take another name: nothing
	// is set up under this one.
	Node station.NodeID
	Free bool
	// Software is the program's version.
	Software string
}

// Enrolment is one way to a parent.
type Enrolment struct {
	Place Place
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

func (e Enrolment) now() time.Time {
	if e.Now != nil {
		return e.Now()
	}
	return time.Now()
}

// trustOnce bounds one request.
const trustOnce = 20 * time.Second

// Enrol uses the code and keeps what comes of it. The uplink takes it up when it is
// opened the next time.
func (e Enrolment) Enrol(ctx context.Context, o Order) (Record, error) {
	var none Record
	address, code, err := protocol.ParseClaim(o.Code)
	if err != nil {
		return none, err
	}
	if o.Centre != "" {
		if address, err = protocol.EnrolmentAddress(o.Centre); err != nil {
			return none, err
		}
	}
	if address == "" {
		return none, station.Errorf(400, "enrol.address", "type the centre's address too, as it stands beside the code", "nobody knows where the centre is")
	}
	authority, theirs, err := e.authority(ctx, address)
	if err != nil {
		return none, err
	}
	known, err := pki.AuthorityKey(authority)
	if err != nil || !code.IsOf(known) {
		return none, station.Errorf(409, "enrol.other-authority", "check the address; if it is right, somebody may stand between: do not go on, ask the centre",
			"who answers at %s is not the centre that made the code", address).Because(err)
	}
	req, err := e.Place.pendingKey()
	if err != nil {
		return none, fmt.Errorf("keep the station's key: %w", err)
	}
	ask := protocol.Enrolment{Code: code.Secret(), Node: o.Node, Request: string(req.Request), Software: o.Software}
	if o.Free {
		ask.Node = ""
	}
	var got protocol.Enrolled
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	if err := e.post(ctx, &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool, Time: e.now}, address, protocol.EnrolmentPath, ask, &got, theirs); err != nil {
		return none, err
	}
	if err := protocol.CheckEnrolled(got); err != nil {
		return none, err
	}
	if _, err := pki.Check([]byte(got.Certificate), req.Key, authority, got.Node); err != nil {
		return none, station.Errorf(502, "enrol.answer", "look at the centre's log; update the older program", "the centre's certificate cannot be used").Because(err)
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return none, err
	}
	r := Record{
		Node: got.Node, Parent: got.Parent, ParentName: got.ParentName, Address: address,
		URL: "mqtts://" + net.JoinHostPort(host, strconv.Itoa(got.EventPort)), Target: TargetOf(known), At: e.now(),
	}
	if got.Node != o.Node {
		r.Was = o.Node
	}
	if before, err := e.Place.Record(); err == nil && before.Node == r.Node && r.Was == "" {
		r.Was = before.Was // a store that is restored from a backup may have it still
	}
	if r, err = e.Place.keep(r, pki.Identity([]byte(got.Certificate), req.Key), authority); err != nil {
		return none, fmt.Errorf("keep the enrolment: %w", err)
	}
	return r, nil
}

// TargetOf names the cursors of the parent with that authority.
func TargetOf(authorityKey []byte) string {
	sum := sha256.Sum256(authorityKey)
	return "centre-" + hex.EncodeToString(sum[:6])
}

// authority asks who vouches for the parent. Nothing is believed yet; theirs is the
// other end's clock, to explain certificates with.
func (e Enrolment) authority(ctx context.Context, address string) (text []byte, theirs time.Time, err error) {
	client, done := dial(&tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true}) //nolint:gosec // what comes is held against the print in the code
	defer done()
	ctx, cancel := context.WithTimeout(ctx, trustOnce)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+protocol.AuthorityPath, nil)
	if err != nil {
		return nil, theirs, err
	}
	resp, err := client.Do(r)
	if err != nil {
		return nil, theirs, e.explain(err, address, theirs)
	}
	defer resp.Body.Close()
	theirs, _ = http.ParseTime(resp.Header.Get("Date"))
	text, err = io.ReadAll(io.LimitReader(resp.Body, protocol.MaxEnrolmentBytes))
	if err != nil {
		return nil, theirs, e.explain(err, address, theirs)
	}
	if block, _ := pem.Decode(text); resp.StatusCode != http.StatusOK || block == nil {
		return nil, theirs, station.Errorf(502, "enrol.no-centre", "check the address and the port: it is the one of centre.clips_listen", "what answers at %s takes no stations in (%d)", address, resp.StatusCode)
	}
	return text, theirs, nil
}

// dial is a client that keeps no connection.
func dial(t *tls.Config) (*http.Client, func()) {
	tr := &http.Transport{TLSClientConfig: t, DisableKeepAlives: true, TLSHandshakeTimeout: 10 * time.Second, DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext}
	noRedirect := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &http.Client{Transport: tr, CheckRedirect: noRedirect}, tr.CloseIdleConnections
}

func (e Enrolment) post(ctx context.Context, t *tls.Config, address, path string, ask, answer any, theirs time.Time) error {
	body, err := json.Marshal(ask)
	if err != nil {
		return err
	}
	client, done := dial(t)
	defer done()
	ctx, cancel := context.WithTimeout(ctx, trustOnce)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+address+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(r)
	if err != nil {
		return e.explain(err, address, theirs)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, protocol.MaxEnrolmentBytes))
	if err != nil {
		return e.explain(err, address, theirs)
	}
	if resp.StatusCode != http.StatusCreated {
		var p struct{ Code, Detail, Hint string }
		if json.Unmarshal(text, &p) != nil || p.Code == "" {
			return station.Errorf(502, "enrol.no-centre", "check the address and the port", "what answers at %s takes no stations in (%d)", address, resp.StatusCode)
		}
		return station.Errorf(resp.StatusCode, p.Code, p.Hint, "%s", p.Detail)
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return protocol.ErrMalformed.Because(err)
	}
	return nil
}

// clockOff is how far two clocks may differ before a certificate's dates are
// explained by it.
const clockOff = 10 * time.Minute

// explain turns what went wrong on the way into words with a remedy.
func (e Enrolment) explain(err error, address string, theirs time.Time) error {
	var invalid x509.CertificateInvalidError
	var host x509.HostnameError
	var dns *net.DNSError
	var op *net.OpError
	now := e.now()
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && !theirs.IsZero() && now.Sub(theirs).Abs() > clockOff:
		return station.Errorf(409, "enrol.clock", "set this computer's clock and time zone, then use the code again", "this computer's clock says %s, the centre's %s", now.UTC().Format(time.DateTime), theirs.UTC().Format(time.DateTime)).Because(err)
	case errors.As(err, &invalid):
		return station.Errorf(502, "enrol.certificate", "look whether the centre's certificate is in date, and at both clocks", "the centre's certificate cannot be used: %v", invalid).Because(err)
	case errors.As(err, &host):
		return station.Errorf(502, "enrol.host", "enter the name into centre.hosts at the centre and start it again, or use a name that is there", "the centre's certificate is not for %s", address).Because(err)
	case errors.As(err, &dns):
		return station.Errorf(503, "enrol.unreachable", "check the centre's name, and this computer's name service", "the name of %s is not found", address).Because(err)
	case errors.As(err, &op) && op.Op == "dial":
		return station.Errorf(503, "enrol.unreachable", "check the address, the line and the firewall; the centre's HTTPS port must be open", "the centre at %s cannot be reached", address).Because(err)
	}
	return station.Errorf(503, "enrol.line", "try again: the same code still works from this computer", "the line to %s broke", address).Because(err)
}
