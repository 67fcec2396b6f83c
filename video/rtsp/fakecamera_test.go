package rtsp_test

import (
	"bufio"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/format/rtph264"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"stationd/video/videotest"
)

// fakeCamera speaks just enough RTSP to be broken in every way that a proper
// server cannot be.
type fakeCamera struct {
	t *testing.T
	l net.Listener
	// answer may answer a request instead of the fake: a status line and
	// headers, "" for the usual answer.
	answer func(method, url string) string
	sdp    string
	// transport is the answer to every SETUP, "" for what is wished. udp takes
	// UDP and sends nothing that way.
	transport string
	udp       bool
	// play sends packets until it returns; the connection then stays open.
	play func(p *player)
	// deaf reads nothing more once it plays.
	deaf bool
	over chan struct{} // closed when the test ends

	mu       sync.Mutex
	requests []string
	reports  []rtcp.Packet // of RTCP, from the client
	conns    []net.Conn
	wg       sync.WaitGroup
}

// newFakeCamera listens; the fields may be set before the source is started.
func newFakeCamera(t *testing.T) *fakeCamera {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &fakeCamera{t: t, l: l, sdp: h264SDP(t), over: make(chan struct{})}
	c.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c.mu.Lock()
			c.conns = append(c.conns, conn)
			c.mu.Unlock()
			c.wg.Go(func() { c.serve(conn) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		close(c.over)
		c.mu.Lock()
		for _, conn := range c.conns {
			conn.Close()
		}
		c.mu.Unlock()
		c.wg.Wait()
	})
	return c
}

func (c *fakeCamera) url() string { return "rtsp://" + c.l.Addr().String() + "/live" }

// count is how many requests of a method came.
func (c *fakeCamera) count(method string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, r := range c.requests {
		if strings.HasPrefix(r, method+" ") {
			n++
		}
	}
	return n
}

func (c *fakeCamera) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	r := textproto.NewReader(in)
	var players sync.WaitGroup
	defer players.Wait()
	overUDP := false
	defer conn.Close()
	for {
		if first, err := in.Peek(1); err == nil && first[0] == '$' {
			c.report(in)
			continue
		}
		line, err := r.ReadLine()
		if err != nil {
			return
		}
		header, err := r.ReadMIMEHeader()
		if err != nil {
			return
		}
		c.mu.Lock()
		c.requests = append(c.requests, line)
		c.mu.Unlock()
		method, rest, _ := strings.Cut(line, " ")
		url, _, _ := strings.Cut(rest, " ")

		status, body := "", ""
		if c.answer != nil {
			status = c.answer(method, url)
		}
		if status == "" {
			status = "RTSP/1.0 200 OK\r\n"
			switch method {
			case "DESCRIBE":
				body = c.sdp
				status += fmt.Sprintf("Content-Type: application/sdp\r\nContent-Base: %s/\r\nContent-Length: %d\r\n", url, len(body))
			case "SETUP":
				transport := header.Get("Transport")
				if overUDP = strings.HasPrefix(transport, "RTP/AVP;"); overUDP && c.udp {
					transport += ";server_port=9-10"
				}
				if c.transport != "" {
					transport = c.transport
				}
				status += "Transport: " + transport + "\r\nSession: 1\r\n"
			}
		}
		if _, err := fmt.Fprintf(conn, "%sCSeq: %s\r\n\r\n%s", status, header.Get("CSeq"), body); err != nil {
			return
		}
		if method == "PLAY" && c.deaf {
			_ = conn.(*net.TCPConn).SetReadBuffer(4096) // so that it is full soon
			<-c.over
			return
		}
		if method == "PLAY" && c.play != nil && !overUDP {
			players.Go(func() { c.play(newPlayer(c.t, conn)) })
		}
	}
}

// report takes in RTCP of the client.
func (c *fakeCamera) report(in io.Reader) {
	var head [4]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return
	}
	raw := make([]byte, binary.BigEndian.Uint16(head[2:]))
	if _, err := io.ReadFull(in, raw); err != nil {
		return
	}
	packets, err := rtcp.Unmarshal(raw)
	if err != nil {
		c.t.Errorf("RTCP %x: %v", raw, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reports = append(c.reports, packets...)
}

// wishes is how often a key picture was asked for, and of which source last.
func (c *fakeCamera) wishes() (n int, ssrc uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.reports {
		if pli, ok := p.(*rtcp.PictureLossIndication); ok {
			n++
			ssrc = pli.MediaSSRC
		}
	}
	return n, ssrc
}

// player writes pictures of a film as interleaved RTP.
type player struct {
	conn  net.Conn
	coder rtph264.Encoder
	film  videotest.Film
	n     int
	// time is the RTP timestamp of the next picture.
	time uint32
	// change may change, or with false drop, a packet.
	change func(*rtp.Packet) bool
}

func newPlayer(t *testing.T, conn net.Conn) *player {
	p := &player{conn: conn, film: film(t), time: 1000}
	ssrc, seq := uint32(0x1111), uint16(100)
	p.coder = rtph264.Encoder{PayloadType: 96, PacketizationMode: 1, SSRC: &ssrc, InitialSequenceNumber: &seq}
	if err := p.coder.Init(); err != nil {
		t.Error(err)
	}
	return p
}

// pictures sends the next n pictures of the film, eight times as fast as they
// were taken; false when the connection has ended.
func (p *player) pictures(n int) bool {
	for range n {
		if !p.unit(p.film.Units[p.n%len(p.film.Units)]) {
			return false
		}
		p.n++
		time.Sleep(videotest.Interval / 8)
	}
	return true
}

func (p *player) unit(nalus [][]byte) bool {
	packets, err := p.coder.Encode(nalus)
	if err != nil {
		return false
	}
	for _, k := range packets {
		k.Timestamp = p.time
		if p.change != nil && !p.change(k) {
			continue
		}
		if !p.packet(k) {
			return false
		}
	}
	p.time += 3600
	return true
}

func (p *player) packet(k *rtp.Packet) bool {
	raw, err := k.Marshal()
	if err != nil {
		return false
	}
	frame := append([]byte{'$', 0}, binary.BigEndian.AppendUint16(nil, uint16(len(raw)))...)
	_, err = p.conn.Write(append(frame, raw...))
	return err == nil
}

// forever goes on until the connection ends.
func (p *player) forever() {
	for p.pictures(1) {
	}
}

func film(t *testing.T) videotest.Film {
	t.Helper()
	films, err := videotest.Films()
	if err != nil {
		t.Fatal(err)
	}
	return films[0]
}

// withoutSets are a film's units with no parameter sets in them.
func withoutSets(f videotest.Film) videotest.Film {
	out := f
	out.Units = nil
	for _, u := range f.Units {
		var kept [][]byte
		for _, n := range u {
			if t := n[0] & 0x1f; t != 7 && t != 8 {
				kept = append(kept, n)
			}
		}
		out.Units = append(out.Units, kept)
	}
	return out
}

func h264SDP(t *testing.T) string {
	var sets []string
	for _, n := range film(t).Units[0] {
		if k := n[0] & 0x1f; k == 7 || k == 8 {
			sets = append(sets, base64.StdEncoding.EncodeToString(n))
		}
	}
	return "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\n" +
		"m=video 0 RTP/AVP 96\r\na=control:video\r\na=rtpmap:96 H264/90000\r\n" +
		"a=fmtp:96 packetization-mode=1;sprop-parameter-sets=" + strings.Join(sets, ",") + "\r\n" +
		"m=audio 0 RTP/AVP 8\r\na=control:audio\r\n"
}
