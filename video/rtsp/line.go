package rtsp

import (
	"context"
	"net"
	"strings"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
)

const (
	// maxDials bounds how often one attempt may be redirected.
	maxDials = 3
	// Connecting to a camera that was there a moment ago has eight times as long as
	// it took then, within these bounds.
	hurriedLeast = 300 * time.Millisecond
	hurriedMost  = 2 * time.Second
)

// line is the way of one client to its camera: to that host and no other, and
// bounded where the library is not.
type line struct {
	s         *Source
	transport gortsplib.Transport
	hurried   bool
	// room is what may wait in the system for a camera that does not read, in
	// bytes; 0 leaves that to the system.
	room    int
	dials   int
	reach   time.Duration // how long connecting took
	greeted func()        // to be called with the first answer; nil for nothing
}

// address is the camera's, with what it is asked for.
func (s *Source) address() *base.URL {
	return &base.URL{Scheme: s.url.Scheme, Host: s.url.Host, Path: s.url.Path, RawPath: s.url.RawPath, RawQuery: s.url.RawQuery, User: s.user}
}

// dial refuses any host but the camera's own.
func (l *line) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if !strings.EqualFold(host, l.s.url.Hostname()) {
		return nil, errRedirect
	}
	if l.dials++; l.dials > maxDials {
		return nil, errLoop
	}
	if l.hurried {
		// A camera that is starting lets the first packets go by; better call anew
		// than wait for the system to do so.
		var cancel context.CancelFunc
		patience := min(max(8*l.s.reach, hurriedLeast), hurriedMost)
		if l.s.reach == 0 {
			patience = hurriedMost
		}
		ctx, cancel = context.WithTimeout(ctx, min(patience, l.s.cfg.RequestTimeout))
		defer cancel()
	}
	began := time.Now()
	conn, err := l.s.cfg.Dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l.reach = time.Since(began)
	if c, ok := conn.(interface{ SetWriteBuffer(bytes int) error }); ok && l.room > 0 {
		_ = c.SetWriteBuffer(l.room) // with more of it a voice would be late, not lost
	}
	if l.s.url.Scheme == "rtsps" {
		// The library waits for the camera's part of the handshake without end.
		_ = conn.SetReadDeadline(time.Now().Add(l.s.cfg.RequestTimeout))
		l.greeted = func() { _ = conn.SetReadDeadline(time.Time{}) }
	}
	return conn, nil
}

// answered takes in each answer before the library does.
func (l *line) answered(res *base.Response) {
	if l.greeted != nil {
		l.greeted()
		l.greeted = nil
	}
	l.keepHome(res)
}

// keepHome lets a camera name nobody but itself as the one to whom packets are
// sent: over UDP the library would send where "source" says. A group of
// multicast must be one.
func (l *line) keepHome(res *base.Response) {
	values := res.Header["Transport"]
	for i, v := range values {
		var kept []string
		for part := range strings.SplitSeq(v, ";") {
			key, value, _ := strings.Cut(strings.TrimSpace(part), "=")
			switch ip := net.ParseIP(value); strings.ToLower(key) {
			case "source":
				continue
			case "destination":
				if l.transport == gortsplib.TransportUDPMulticast && (ip == nil || !ip.IsMulticast()) {
					continue
				}
			}
			kept = append(kept, part)
		}
		values[i] = strings.Join(kept, ";")
	}
}
