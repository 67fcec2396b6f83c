package peer

import (
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/pion/webrtc/v4"

	"stationd/agent/station"
)

// Ways are the pairs of addresses between this node and a peer: which one carries the
// packets, and which have been tried. An installer learns from them what a firewall
// between lets through.

// maxWays bounds what is told of one session.
const maxWays = 16

// Ways tells the way that a session uses, if it has connected, the others, and the
// addresses that the peer was offered. They are as they were when it connected, or
// could not.
func (s *Session) Ways() (used station.ViewingWay, tried []station.ViewingWay, offered []string) {
	s.waysMu.Lock()
	defer s.waysMu.Unlock()
	if s.noted {
		return s.used, s.tried, s.offered()
	}
	used, tried = s.ways()
	return used, tried, s.offered()
}

// noteWays keeps them when the session has connected or has not. pion may not be asked
// while it closes, which it does by itself once a peer that was there has gone.
func (s *Session) noteWays() {
	s.waysMu.Lock()
	defer s.waysMu.Unlock()
	if s.pc.ConnectionState() != webrtc.PeerConnectionStateClosed {
		s.used, s.tried = s.ways()
	}
	s.noted = true
}

func (s *Session) ways() (used station.ViewingWay, tried []station.ViewingWay) {
	report := s.pc.GetStats()
	s.pc.GetReceivers() // takes the lock that a close takes: what was read above comes before it
	address := func(id string) (where, protocol string) {
		c, ok := report[id].(webrtc.ICECandidateStats)
		if !ok || c.IP == "" {
			return "", ""
		}
		return net.JoinHostPort(c.IP, strconv.Itoa(int(c.Port))), strings.ToLower(c.Protocol)
	}
	for _, x := range report {
		pair, ok := x.(webrtc.ICECandidatePairStats)
		if !ok {
			continue
		}
		var w station.ViewingWay
		w.Station, w.Protocol = address(pair.LocalCandidateID)
		w.Viewer, _ = address(pair.RemoteCandidateID)
		if w.State = string(pair.State); w.Station == "" || w.Viewer == "" {
			continue
		}
		if pair.Nominated {
			used = w
		} else {
			tried = append(tried, w)
		}
	}
	slices.SortFunc(tried, func(x, y station.ViewingWay) int {
		return strings.Compare(x.Protocol+x.Viewer+x.Station, y.Protocol+y.Viewer+y.Station)
	})
	return used, tried[:min(len(tried), maxWays)]
}

// offered lists the addresses of the answer, as "udp 10.0.0.5:8189".
func (s *Session) offered() (list []string) {
	for line := range strings.Lines(s.Answer) {
		if c, ok := strings.CutPrefix(line, "a=candidate:"); ok {
			if f := strings.Fields(c); len(f) > 5 {
				list = append(list, f[2]+" "+net.JoinHostPort(f[4], f[5]))
			}
		}
	}
	return list
}
