package onvif

import (
	"bytes"
	"cmp"
	"context"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"stationd/agent/station"
)

// Found is a device that answered on the network.
type Found struct {
	// Address is its device service, under the address that its answer came from.
	Address string `json:"address"`
	Name    string `json:"name,omitempty"`
	Model   string `json:"model,omitempty"`
	Place   string `json:"place,omitempty"`
	// Recorder tells that it calls itself a recorder.
	Recorder bool `json:"recorder,omitempty"`

	endpoint string // the device's own name for ever
}

// The bounds of one search.
const (
	maxFound    = 512
	maxDatagram = 64 << 10
)

// discoveryGroup is where devices listen for whoever looks for them.
var discoveryGroup = netip.MustParseAddrPort("239.255.255.250:3702")

// Discover looks for devices on the configured networks and returns after
// Config.DiscoverFor, or when ctx ends.
func Discover(ctx context.Context, cfg Config) ([]Found, error) {
	addrs, err := cfg.interfaces()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.DiscoverFor)
	defer cancel()
	var (
		mu    sync.Mutex
		found = map[string]Found{}
		wg    sync.WaitGroup
		fault error
		heard bool // at least one network could be looked on
	)
	for _, addr := range addrs {
		wg.Go(func() {
			err := look(ctx, addr, cfg.DiscoverFor, func(f Found) {
				mu.Lock()
				defer mu.Unlock()
				key := cmp.Or(f.endpoint, f.Address)
				if _, known := found[key]; !known && len(found) < maxFound {
					found[key] = f
				}
			})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				fault = err
			} else {
				heard = true
			}
		})
	}
	wg.Wait()
	if !heard {
		return nil, station.Errorf(409, "onvif.interface", "name an interface that is up in onvif.interface, or leave it empty for all", "the network cannot be looked on").Because(fault)
	}
	out := []Found{}
	for _, f := range found {
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b Found) int { return cmp.Compare(a.Address, b.Address) })
	return out, nil
}

// look asks on one network and tells of each answer until ctx ends.
func look(ctx context.Context, from netip.Addr, within time.Duration, tell func(Found)) error {
	lc := net.ListenConfig{Control: sendFrom(from)}
	conn, err := lc.ListenPacket(ctx, "udp4", netip.AddrPortFrom(from, 0).String())
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) }) // wakes the reader
	defer stop()
	var ask sync.WaitGroup
	defer ask.Wait()
	defer conn.Close()
	ask.Go(func() {
		// Datagrams are lost: it is asked twice, for either kind of device.
		for range 2 {
			for _, kind := range []string{"dn:NetworkVideoTransmitter", "tds:Device"} {
				if _, err := conn.WriteTo(probeMessage(kind), net.UDPAddrFromAddrPort(discoveryGroup)); err != nil {
					return // the reader will wait in vain
				}
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(within / 4):
			}
		}
	})
	buf := make([]byte, maxDatagram)
	for n := 0; n < 4*maxFound; n++ {
		size, at, err := conn.ReadFrom(buf)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		sender, _ := netip.ParseAddrPort(at.String())
		for _, f := range readMatches(buf[:size], sender.Addr().Unmap()) {
			tell(f)
		}
	}
	return nil
}

func probeMessage(kind string) []byte {
	return []byte(`<?xml version="1.0" encoding="UTF-8"?><e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"` +
		` xmlns:w="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery"` +
		` xmlns:dn="http://www.onvif.org/ver10/network/wsdl" xmlns:tds="http://www.onvif.org/ver10/device/wsdl"><e:Header>` +
		`<w:MessageID>uuid:` + station.NewID() + `</w:MessageID><w:To e:mustUnderstand="true">urn:schemas-xmlsoap-org:ws:2005:04:discovery</w:To>` +
		`<w:Action e:mustUnderstand="true">http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</w:Action></e:Header>` +
		`<e:Body><d:Probe><d:Types>` + kind + `</d:Types></d:Probe></e:Body></e:Envelope>`)
}

// readMatches reads an answer. What cannot be read is nobody's.
func readMatches(datagram []byte, sender netip.Addr) []Found {
	var reply struct {
		Match []struct {
			Endpoint string `xml:"EndpointReference>Address"`
			Types    string
			Scopes   string
			XAddrs   string
		} `xml:"ProbeMatch"`
	}
	if err := open(bytes.NewReader(datagram), &reply); err != nil {
		return nil
	}
	var out []Found
	for _, m := range reply.Match[:min(len(reply.Match), 16)] {
		f := Found{endpoint: plainText(m.Endpoint), Recorder: strings.Contains(m.Types, "NetworkVideoStorage")}
		for _, x := range strings.Fields(m.XAddrs) {
			u, err := url.Parse(x)
			if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
				continue
			}
			if own, err := netip.ParseAddr(u.Hostname()); (err != nil || own.Unmap() != sender) && f.Address != "" {
				continue // the one that it answered from is better
			}
			host := sender.String()
			if port := u.Port(); port != "" {
				host = net.JoinHostPort(host, port)
			}
			u.Host, u.User, u.Fragment = host, nil, ""
			f.Address = u.String()
		}
		for _, scope := range strings.Fields(m.Scopes) {
			rest, ours := strings.CutPrefix(scope, "onvif://www.onvif.org/")
			kind, value, _ := strings.Cut(rest, "/")
			if text, err := url.PathUnescape(value); err == nil {
				value = text
			}
			switch value = plainText(value); {
			case !ours:
			case strings.EqualFold(kind, "name") && f.Name == "":
				f.Name = value
			case strings.EqualFold(kind, "hardware") && f.Model == "":
				f.Model = value
			case strings.EqualFold(kind, "location") && f.Place == "":
				f.Place = value
			}
		}
		if f.Address != "" {
			out = append(out, f)
		}
	}
	return out
}
