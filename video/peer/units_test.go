package peer

import (
	"bytes"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtp"

	"stationd/agent/station"
	"stationd/video/stream"
)

// The parts that need no network.

func packetOf(seq uint16, payload ...byte) *rtp.Packet {
	return &rtp.Packet{Header: rtp.Header{SequenceNumber: seq}, Payload: payload}
}

func TestReorderHandsOnInOrder(t *testing.T) {
	now := time.Unix(1000, 0)
	var q reorder
	var got []uint16
	take := func() {
		for {
			p, gap := q.pop(now)
			if p == nil {
				return
			}
			if gap {
				t.Errorf("a gap before %d", p.SequenceNumber)
			}
			got = append(got, p.SequenceNumber)
		}
	}
	const first = 65530 // over the wrap
	order := rand.New(rand.NewPCG(3, 4)).Perm(100)
	q.push(packetOf(first, 1), now)
	take()
	for _, i := range order {
		q.push(packetOf(first+1+uint16(i), 1), now)
		q.push(packetOf(first+1+uint16(i), 1), now) // twice
		take()
	}
	if len(got) != 101 {
		t.Fatalf("%d packets came out", len(got))
	}
	for i, s := range got {
		if s != first+uint16(i) {
			t.Fatalf("place %d: %d", i, s)
		}
	}
}

func TestReorderAsksWithinBounds(t *testing.T) {
	now := time.Unix(1000, 0)
	var q reorder
	for seq := range uint16(100) {
		if seq != 50 {
			q.push(packetOf(seq, 1), now)
		}
	}
	asked, handed := 0, 0
	for ; now.Before(time.Unix(1002, 0)); now = now.Add(lookEvery) {
		for {
			p, gap := q.pop(now)
			if p == nil {
				break
			}
			if gap != (p.SequenceNumber == 51) {
				t.Errorf("gap %v before %d", gap, p.SequenceNumber)
			}
			handed++
		}
		for _, seq := range q.missing(now) {
			if asked++; seq != 50 {
				t.Errorf("asked for %d", seq)
			}
		}
	}
	if asked != maxResends || handed != 99 || q.count.Lost != 1 {
		t.Errorf("asked %d times, handed on %d, lost %d", asked, handed, q.count.Lost)
	}

	// However much is missing, no more than a fifth is asked for.
	q = reorder{}
	rnd := rand.New(rand.NewPCG(5, 6))
	for seq := range uint16(10000) {
		now = now.Add(time.Millisecond)
		if rnd.IntN(2) == 0 {
			q.push(packetOf(seq, 1), now)
		}
		for p, _ := q.pop(now); p != nil; p, _ = q.pop(now) {
		}
		q.missing(now)
	}
	if share := float64(q.count.Asked) / float64(q.count.Packets); share > 0.2 {
		t.Errorf("%.0f %% were asked for", 100*share)
	}
}

func TestReorderBeginsAnew(t *testing.T) {
	now := time.Unix(1000, 0)
	var q reorder
	q.push(packetOf(7, 1), now)
	q.pop(now)
	q.push(packetOf(30000, 1), now)
	if p, gap := q.pop(now); p == nil || p.SequenceNumber != 30000 || !gap {
		t.Errorf("got %v, gap %v", p, gap)
	}
}

// Pictures that package stream cut come out as they went in.
func TestAssemble(t *testing.T) {
	s := stream.New(stream.Config{})
	r := s.Read(stream.ReadOptions{})
	defer r.Close()
	sets := [][]byte{{0x67, 0x42, 0xc0, 0x1e, 0xd9, 0x00, 0xa0, 0x47, 0xfe, 0xc8}, {0x68, 0xce, 0x3c, 0x80}}
	rnd := rand.New(rand.NewPCG(7, 8))
	for n := range 50 {
		var nalus [][]byte
		head := byte(0x41)
		if n%10 == 0 {
			nalus, head = append(nalus, sets...), 0x65
		}
		for range 1 + rnd.IntN(3) {
			slice := make([]byte, 2+rnd.IntN(9000))
			for i := range slice {
				slice[i] = byte(rnd.Uint32())
			}
			slice[0] = head
			nalus = append(nalus, slice)
		}
		s.Write(nalus, time.Duration(n)*40*time.Millisecond, time.Now(), false)
	}
	var a assembler
	for range 50 {
		u, err := r.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got []picture
		for _, p := range u.Packets {
			a.push(p, false, func(p picture) { got = append(got, p) })
		}
		if len(got) != 1 || got[0].damaged || got[0].key != u.Key || got[0].timestamp != u.Packets[0].Timestamp {
			t.Fatalf("got %d pictures", len(got))
		}
		if !slices.EqualFunc(got[0].nalus, u.NALUs, bytes.Equal) {
			t.Fatal("other NALUs")
		}
	}
}

func TestAssembleMarksDamage(t *testing.T) {
	at := func(ts uint32, marker bool, payload ...byte) *rtp.Packet {
		return &rtp.Packet{Header: rtp.Header{Timestamp: ts, Marker: marker}, Payload: payload}
	}
	type in struct {
		p   *rtp.Packet
		gap bool
	}
	for _, c := range []struct {
		name string
		in   []in
		want []bool // damaged
	}{
		{"whole", []in{{at(1, true, 0x41, 1), false}, {at(2, true, 0x41, 2), false}}, []bool{false, false}},
		{"a gap before the second", []in{{at(1, true, 0x41, 1), false}, {at(2, true, 0x41, 2), true}}, []bool{false, true}},
		{"a gap within", []in{{at(1, false, 0x41, 1), false}, {at(1, true, 0x41, 2), true}}, []bool{true}},
		{"the end is missing", []in{{at(1, false, 0x41, 1), false}, {at(2, true, 0x41, 2), true}}, []bool{true, true}},
		{"a key picture mends it", []in{{at(1, false, 0x41, 1), false}, {at(2, false, 0x67, 2, 2, 2), true}, {at(2, true, 0x65, 2), false}}, []bool{true, false}},
		{"a fragment without its beginning", []in{{at(1, true, 0x5c, 0x41, 1), false}, {at(2, true, 0x41, 1), false}}, []bool{true}},
		{"a fragment without its end", []in{{at(1, false, 0x5c, 0x81, 1), false}, {at(2, true, 0x41, 1), false}}, []bool{true}},
		{"a STAP-A that is too short", []in{{at(1, false, 0x78, 0, 9, 1), false}, {at(1, true, 0x41, 1), false}}, []bool{true}},
		{"padding", []in{{at(1, false), false}, {at(1, true, 0x41, 1), false}}, []bool{false}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var a assembler
			var got []bool
			for _, i := range c.in {
				a.push(i.p, i.gap, func(p picture) { got = append(got, p.damaged) })
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("damaged %v, want %v", got, c.want)
			}
		})
	}
}

func TestRepairBounds(t *testing.T) {
	var r repair
	now := time.Unix(1000, 0)
	p := packetOf(0, make([]byte, 1000)...)
	for seq := range uint16(100) {
		r.sent(p, seq, 0)
	}
	const rtt = 250 * time.Millisecond
	times := 0
	for i := range 200 { // every 10 ms for two seconds
		if _, ok := r.again(99, now.Add(time.Duration(i)*10*time.Millisecond), rtt); ok {
			times++
		}
	}
	if times != maxResends {
		t.Errorf("repeated %d times", times)
	}
	total := times
	for seq := range uint16(100) {
		if _, ok := r.again(seq, now.Add(3*time.Second), rtt); ok {
			total++
		}
	}
	if total != 20 {
		t.Errorf("%d of 100 packets repeated", total)
	}
	if _, ok := r.again(100, now, rtt); ok {
		t.Error("repeated what was never sent")
	}
	r.sent(p, 100+keptPackets, 0)
	if _, ok := r.again(100, now, rtt); ok {
		t.Error("repeated what is no longer kept")
	}
}

func TestWishes(t *testing.T) {
	var w wishes
	began := time.Unix(1000, 0)
	granted := 0
	for ms := range 20000 {
		if w.grant(began.Add(time.Duration(ms) * time.Millisecond)) {
			granted++
		}
	}
	if granted < 5 || granted > 9 {
		t.Errorf("granted %d times in 20 s", granted)
	}
	if !w.grant(began.Add(time.Minute)) || w.grant(began.Add(time.Minute+400*time.Millisecond)) ||
		!w.grant(began.Add(time.Minute+500*time.Millisecond)) {
		t.Error("not patient again after a calm")
	}
}

func TestReachable(t *testing.T) {
	has := func(s ...string) func() ([]net.Addr, error) {
		return func() ([]net.Addr, error) {
			var out []net.Addr
			for _, p := range s {
				ip, n, err := net.ParseCIDR(p)
				if err != nil {
					t.Fatal(err)
				}
				out = append(out, &net.IPNet{IP: ip, Mask: n.Mask})
			}
			return out, nil
		}
	}
	all := has("127.0.0.1/8", "192.168.1.5/24", "169.254.3.3/16", "fe80::1/64", "fd00::5/64", "10.0.0.2/8")
	for _, c := range []struct {
		name, bound, want string
		advertise         []netip.Addr
		has               func() ([]net.Addr, error)
	}{
		{name: "bound to one", bound: "192.168.1.5", want: "192.168.1.5", has: all},
		{name: "bound to all", bound: "0.0.0.0", want: "192.168.1.5 10.0.0.2 127.0.0.1", has: all},
		{name: "IPv6", bound: "fd00::5", want: "fd00::5", has: all},
		{name: "no network", bound: "0.0.0.0", want: "127.0.0.1", has: has()},
		{name: "configured", bound: "0.0.0.0", want: "203.0.113.4", advertise: []netip.Addr{netip.MustParseAddr("203.0.113.4")}, has: all},
		{
			name: "bounded", bound: "0.0.0.0", want: "10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5 10.0.0.6 10.0.0.7 127.0.0.1",
			has: has("10.0.0.1/8", "10.0.0.2/8", "10.0.0.3/8", "10.0.0.4/8", "10.0.0.5/8", "10.0.0.6/8", "10.0.0.7/8", "10.0.0.8/8"),
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, a := range reachable(c.advertise, netip.MustParseAddr(c.bound), c.has) {
				got = append(got, a.String())
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("%s", s)
			}
		})
	}
}

func TestCandidatesAreReplaced(t *testing.T) {
	sdp := "v=0\r\nm=video 9 x 96\r\na=candidate:1 1 udp 5 10.0.0.1 9 typ host\r\na=mid:0\r\na=end-of-candidates\r\nm=audio 0 x 0\r\na=mid:1\r\n"
	got := withCandidates(sdp, []string{"a=candidate:new"})
	want := "v=0\r\nm=video 9 x 96\r\na=mid:0\r\na=candidate:new\r\nm=audio 0 x 0\r\na=mid:1\r\n"
	if got != want {
		t.Errorf("got %q", got)
	}
	rest, tcp := splitTCP("m=video\r\na=candidate:1 1 udp 5 h 9 typ host\r\na=candidate:2 1 TCP 5 h 9 typ host tcptype passive\r\n")
	if len(tcp) != 1 || !strings.HasPrefix(tcp[0], "candidate:2") || strings.Contains(rest, "TCP") || !strings.Contains(rest, "udp") {
		t.Errorf("rest %q, tcp %q", rest, tcp)
	}
}

func TestConfig(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	bad := Config{
		UDPListen: "nowhere", TCPListen: "[::1]:x", MaxSessions: 0,
		Advertise: []netip.Addr{netip.IPv4Unspecified()},
	}
	err := bad.Validate()
	if err == nil {
		t.Fatal("no fault found")
	}
	var keys []string
	for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
		p, ok := station.AsProblem(e)
		if !ok || p.Hint == "" {
			t.Errorf("%v", e)
			continue
		}
		keys = append(keys, p.Place)
	}
	if want := []string{"udp_listen", "tcp_listen", "advertise", "max_sessions", "session_timeout"}; !slices.Equal(keys, want) {
		t.Errorf("faults %q", keys)
	}
	mixed := DefaultConfig()
	mixed.UDPListen, mixed.TCPListen = "[fd00::1]:0", "127.0.0.1:0"
	if mixed.Validate() == nil {
		t.Error("two families were taken")
	}
	for _, a := range []string{"[::]:0", "[::1]:0", "[fe80::1]:0", ":x", "host:1"} {
		c := DefaultConfig()
		c.UDPListen, c.TCPListen = a, ""
		if c.Validate() == nil {
			t.Errorf("%s was taken", a)
		}
	}
}
