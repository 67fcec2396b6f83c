package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"
)

// The station's API, signed in: for viewers, and to set up there what is
// simulated.

// stationFlags say which station, and who signs in there.
type stationFlags struct {
	url, token, account, authority string
	password                       passwordFlags
}

func (f *stationFlags) add(flags *flag.FlagSet, usual string) {
	flags.StringVar(&f.url, "station", usual, "`address` of the station's console")
	flags.StringVar(&f.token, "token", "", "sign in with this `link`, or the token in it; it works once")
	flags.StringVar(&f.account, "account", "", "sign in with this account and its password")
	f.password.add(flags, "account-password", "the account")
	flags.StringVar(&f.authority, "authority", "", "`file` of the authority that vouches for the station or broker; empty trusts this machine's")
}

// stationAPI is a console that somebody is signed in at.
type stationAPI struct {
	url  *url.URL
	http *http.Client
}

// signIn signs in at the station. The caller closes it.
func (f *stationFlags) signIn(ctx context.Context) (*stationAPI, error) {
	base, err := url.Parse(f.url)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, wrongUsage("--station: %q is no address such as http://127.0.0.1:8480", f.url)
	}
	password, err := f.password.read()
	if err != nil {
		return nil, err
	}
	login := map[string]string{}
	switch {
	case f.token != "":
		login["token"] = f.token
		if _, in, link := strings.Cut(f.token, "#login="); link {
			login["token"] = in
		}
	case f.account != "":
		login["account"], login["password"] = f.account, password.Reveal()
	default:
		return nil, wrongUsage("sign in with --token or with --account")
	}
	trust, err := trusted(f.authority)
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = trust
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	s := &stationAPI{url: base, http: &http.Client{Transport: transport, Jar: jar, Timeout: 15 * time.Second}}
	if err := s.call(ctx, http.MethodPost, "login", login, nil); err != nil {
		s.close()
		return nil, fmt.Errorf("sign in at %s: %w", base, err)
	}
	return s, nil
}

func (s *stationAPI) close() { s.http.CloseIdleConnections() }

// path is the address of a route.
func (s *stationAPI) path(route ...string) string {
	return s.url.JoinPath(append([]string{"api", "v1"}, route...)...).String()
}

// call sends body, which may be nil, and reads the answer into result.
func (s *stationAPI) call(ctx context.Context, method, route string, body, result any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, s.path(strings.Split(route, "/")...), bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		var problem struct{ Detail, Hint string }
		if json.Unmarshal(answer, &problem) == nil && problem.Detail != "" {
			return fmt.Errorf("%s (%s)", problem.Detail, problem.Hint)
		}
		return errors.New(resp.Status)
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(answer, result)
}

// local tells whether the station is on this machine.
func (s *stationAPI) local() bool { return isLocal(s.url.Hostname()) }

func isLocal(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// trusted is how certificates are checked; an empty file means as this machine does.
func trusted(authority string) (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if authority == "" {
		return cfg, nil
	}
	text, err := os.ReadFile(authority)
	if err != nil {
		return nil, fmt.Errorf("read the authority: %w", err)
	}
	cfg.RootCAs = x509.NewCertPool()
	if !cfg.RootCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read the authority: %s holds no certificate", authority)
	}
	return cfg, nil
}

// ownAddress is an address under which others may reach this machine.
func ownAddress() string {
	addrs, _ := net.InterfaceAddrs() // none is as good as an error
	for _, a := range addrs {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.To4() != nil && ip.IP.IsGlobalUnicast() {
			return ip.IP.String()
		}
	}
	return "127.0.0.1"
}
