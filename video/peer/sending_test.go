package peer

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"stationd/video/stream"
)

// taken is where an outlet writes to.
type taken struct{}

func (taken) WriteRTP(_ *rtp.Header, payload []byte) (int, error) { return len(payload), nil }
func (taken) Write(b []byte) (int, error)                         { return len(b), nil }

// Two outlets of one session say by their reports which of their timestamps
// belong together, and a report that is answered tells the round trip.
func TestReportsSpeakOfTheStreamsTimeline(t *testing.T) {
	now := time.Date(2026, 11, 21, 20, 0, 0, 0, time.UTC)
	begin := now.Add(-10 * time.Second)
	a, b := pictureOutlet(stream.H264, nil), pictureOutlet(stream.H264, nil)
	a.to, b.to = taken{}, taken{}
	unit := func(pts time.Duration) *stream.Unit {
		return &stream.Unit{PTS: pts, Packets: []*rtp.Packet{{Header: rtp.Header{Timestamp: uint32(stream.ToTicks(pts))}}}}
	}
	// The picture comes late, from the cache, the other at its time.
	ra := a.report(unit(8*time.Second), begin, now)
	rb := b.report(unit(10*time.Second), begin, now)
	if ra == nil || rb == nil {
		t.Fatal("no report")
	}
	apart := float64(rb.NTPTime-ra.NTPTime) / (1 << 32)
	ticks := (rb.RTPTime - b.offset) - (ra.RTPTime - a.offset)
	if apart < 1.999 || apart > 2.001 || ticks != 2*stream.ClockRate {
		t.Errorf("%.4f s and %d ticks apart", apart, ticks)
	}
	if a.report(unit(8*time.Second), begin, now.Add(reportEvery/2)) != nil {
		t.Error("reported too soon")
	}
	answer := &rtcp.ReceiverReport{Reports: []rtcp.ReceptionReport{{
		SSRC: a.header.SSRC, LastSenderReport: uint32(ra.NTPTime >> 16), Delay: 65536 / 2,
	}}}
	a.hear(answer, now.Add(530*time.Millisecond))
	if a.rtt.Round(time.Millisecond) != 30*time.Millisecond {
		t.Errorf("round trip %v", a.rtt)
	}
	answer.Reports[0].LastSenderReport++ // of a report that was never sent
	a.hear(answer, now.Add(10*time.Second))
	if a.rtt.Round(time.Millisecond) != 30*time.Millisecond {
		t.Errorf("round trip %v from nothing", a.rtt)
	}
}

// MEDIA trap 15: pion paces nothing. A key picture is spread, an ordinary
// picture is not held up, and no burst is larger than what may be saved up.
func TestPaceSpreadsAKeyPicture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace(firstViewer, paceViewer, saveViewer)
		send := func(packets int) (took time.Duration, largest int) {
			began := time.Now()
			for packets > 0 {
				n, err := p.take(context.Background(), packets)
				if err != nil {
					t.Fatal(err)
				}
				packets -= n
				largest = max(largest, n)
			}
			return time.Since(began), largest
		}
		first, _ := send(145)
		p.begun()
		time.Sleep(40 * time.Millisecond)
		if took, most := send(17); took != 0 || most != 17 {
			t.Errorf("a picture of 17 packets took %v, in bursts of %d", took, most)
		}
		time.Sleep(40 * time.Millisecond)
		took, most := send(145)
		if least := (145 - saveViewer) * time.Millisecond / paceViewer; took < least || took > 2*least || most > saveViewer {
			t.Errorf("a key picture took %v, in bursts of %d", took, most)
		}
		if first*firstViewer > took*paceViewer*2 {
			t.Errorf("the first picture took %v, a later one %v", first, took)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		for range 3 {
			if _, err := p.take(ctx, 1000); err != nil {
				return
			}
		}
		t.Error("it does not end")
	})
}

// What is gathered arrives as it was given, one datagram each, in order; also
// where it cannot be cut up by the kernel.
func TestBatchArrivesAsItWasGiven(t *testing.T) {
	for _, whole := range []bool{false, true} {
		t.Run(fmt.Sprint("whole=", whole), func(t *testing.T) {
			port, err := listenUDP("127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = port.Close() }()
			peer, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = peer.Close() }()
			to := peer.LocalAddr().(*net.UDPAddr).AddrPort()
			to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())

			const ssrc = 0x12345678
			b := port.gather(ssrc)
			b.whole = whole
			datagram := func(n, size int) []byte {
				d := bytes.Repeat([]byte{byte(n)}, size)
				d[0], d[1] = 0x80, 96
				binary.BigEndian.PutUint32(d[8:], ssrc)
				return d
			}
			var want [][]byte
			give := func(d []byte) {
				t.Helper()
				want = append(want, d)
				if n, err := port.WriteToAddrPort(d, to); n != len(d) || err != nil {
					t.Fatal(n, err)
				}
			}
			if !b.begin() {
				t.Fatal("not begun")
			}
			sizes := []int{30, 1200, 1200, 1200, 700, 1201, 1200, 1200}
			for n, size := range sizes {
				give(datagram(n, size))
			}
			for n := range 70 {
				give(datagram(n, 1000))
			}
			other := datagram(99, 500)
			binary.BigEndian.PutUint32(other[8:], 1) // of another session
			want = append([][]byte{other}, want...)  // is it ahead? It waits for nobody.
			_ = peer.SetReadDeadline(time.Now().Add(5 * time.Second))
			if _, err := port.WriteToAddrPort(other, to); err != nil {
				t.Fatal(err)
			}
			if !b.end() {
				t.Fatal("not sent")
			}
			give(datagram(7, 100)) // no batch is open: at once
			// Those that filled a batch went ahead of the other session's one.
			seen := 0
			buf := make([]byte, 2000)
			for range want {
				n, err := peer.Read(buf)
				if err != nil {
					t.Fatalf("after %d of %d: %v", seen, len(want), err)
				}
				if bytes.Equal(buf[:n], other) {
					continue
				}
				if seen++; !bytes.Equal(buf[:n], want[seen]) {
					t.Fatalf("number %d: %d bytes of %d", seen, n, buf[2])
				}
			}
			if got := port.sent.Load(); got != uint64(len(want)) {
				t.Errorf("%d counted of %d", got, len(want))
			}
			port.release(ssrc, b)
			if port.batchOf(want[1]) != nil {
				t.Error("still gathered for a session that ended")
			}
		})
	}
}

// What the kernel does not take is kept and sent later, and meanwhile nothing
// more is taken.
func TestBatchThatIsRefusedIsKept(t *testing.T) {
	port, err := listenUDP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = port.Close() }()
	b := port.gather(1)
	nowhere := netip.AddrPortFrom(netip.MustParseAddr("fd00::1"), 9) // the socket is of the other family
	d := make([]byte, 100)
	d[0], d[1], d[11] = 0x80, 96, 1
	for range 3 {
		b.begin()
		if n, err := port.WriteToAddrPort(d, nowhere); n != len(d) || err != nil {
			t.Fatal(n, err)
		}
		if b.end() || b.n != 1 {
			t.Fatal("it was sent", b.n)
		}
		if b.begin() {
			t.Fatal("begun, though the last one waits")
		}
		port.release(1, b)
		b = port.gather(1)
	}
	if port.refused.Load() == 0 {
		t.Error("not counted")
	}
}
