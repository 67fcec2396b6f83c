package peer

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Candidates are the addresses in an answer. pion would list what its agent
// sees; here they are written anew, so that an answer names the configured
// addresses, or else those that the ports are bound to, and nothing more.

// maxCandidates bounds the addresses of one answer: a machine with many virtual
// interfaces must not send browsers to probe them all.
const maxCandidates = 8

// reachable lists the addresses that peers are told: advertise, or the bound
// one, or every IPv4 address of the machine, the loopback last. The loopback is named because a station whose cable is out still has
// its own screen.
func reachable(advertise []netip.Addr, bound netip.Addr, of func() ([]net.Addr, error)) []netip.Addr {
	if len(advertise) > 0 {
		return advertise
	}
	if !bound.IsUnspecified() {
		return []netip.Addr{bound}
	}
	var found, loopback []netip.Addr
	addrs, _ := of() // none are as good as an error: the loopback is always there
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err != nil {
			continue
		}
		switch ip := p.Addr().Unmap(); {
		case ip.Is6(), ip.IsLinkLocalUnicast(), ip.IsMulticast():
		case ip.IsLoopback():
			loopback = append(loopback, ip)
		case !slices.Contains(found, ip):
			found = append(found, ip)
		}
	}
	if len(loopback) == 0 {
		loopback = append(loopback, shown(bound))
	}
	found = found[:min(len(found), maxCandidates-1)]
	return append(found, loopback[0])
}

// Type preferences of RFC 8445 and RFC 6544: a host over UDP is liked best, over
// TCP it is the last resort.
const (
	prefUDP = 126
	prefTCP = 90
)

// candidateLines writes the lines of an answer. tcpPort 0 means no TCP.
func candidateLines(addrs []netip.Addr, udpPort, tcpPort uint16) []string {
	var lines []string
	for i, a := range addrs {
		lines = append(lines, fmt.Sprintf("a=candidate:%d 1 udp %d %s %d typ host",
			i+1, prefUDP<<24|(65535-i)<<8|255, a, udpPort))
	}
	if tcpPort != 0 {
		for i, a := range addrs {
			lines = append(lines, fmt.Sprintf("a=candidate:%d 1 tcp %d %s %d typ host tcptype passive",
				100+i, prefTCP<<24|(65535-i)<<8|255, a, tcpPort))
		}
	}
	return append(lines, "a=end-of-candidates")
}

// withCandidates replaces the candidates of a session description. They go to
// the end of the first media section, with which the others are bundled.
func withCandidates(sdp string, lines []string) string {
	var out []string
	sections := 0
	for l := range strings.Lines(sdp) {
		l = strings.TrimRight(l, "\r\n")
		if strings.HasPrefix(l, "a=candidate:") || l == "a=end-of-candidates" || l == "" {
			continue
		}
		if strings.HasPrefix(l, "m=") {
			if sections++; sections == 2 {
				out = append(out, lines...)
			}
		}
		out = append(out, l)
	}
	if sections == 1 {
		out = append(out, lines...)
	}
	return strings.Join(out, "\r\n") + "\r\n"
}

// splitTCP takes the TCP candidates out of a session description.
func splitTCP(sdp string) (rest string, tcp []string) {
	var out []string
	for l := range strings.Lines(sdp) {
		l = strings.TrimRight(l, "\r\n")
		if c, ok := strings.CutPrefix(l, "a="); ok && strings.HasPrefix(c, "candidate:") {
			if f := strings.Fields(c); len(f) > 2 && strings.EqualFold(f[2], "tcp") {
				tcp = append(tcp, c)
				continue
			}
		}
		out = append(out, l)
	}
	return strings.Join(out, "\r\n") + "\r\n", tcp
}
