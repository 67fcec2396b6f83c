package mse

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"stationd/agent/station"
	"stationd/video/stream"
)

// Hijack implements http.Hijacker.
func (u unwrapped) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(u.ResponseWriter).Hijack()
}

const (
	// behind is how many pictures a socket may be late before it skips.
	behind = 50
	// writeWithin is how long a browser may take for one picture.
	writeWithin = 10 * time.Second
	// pingEvery is how often a browser is asked whether it is there, silent how
	// long it may not answer.
	pingEvery = 15 * time.Second
	silent    = time.Minute
	// sendBuffer is what may wait in the kernel: more would be shown late.
	sendBuffer = 256 << 10
)

// Socket is one browser.
type Socket struct {
	conn    *websocket.Conn
	life    context.Context
	cancel  context.CancelFunc
	plays   func(sound string) bool
	skipped atomic.Uint64
	done    chan struct{}
}

// upgrader takes sockets of the console's own pages alone: it compares the
// Origin with the Host, which the console has checked.
var upgrader = websocket.Upgrader{HandshakeTimeout: 10 * time.Second, ReadBufferSize: 512, WriteBufferSize: 4096, WriteBufferPool: &sync.Pool{}}

// Open makes a socket of a request. When that fails, the answer has been given
// and the error is no *station.Problem, or it is one that is still to be told.
// The socket ends with life.
func Open(w http.ResponseWriter, r *http.Request, life context.Context) (*Socket, error) { //nolint:revive // the request has a context of its own
	if !websocket.IsWebSocketUpgrade(r) {
		return nil, station.Errorf(http.StatusUpgradeRequired, "live.socket", "open it as a WebSocket", "this is no page")
	}
	conn, err := upgrader.Upgrade(hijackable(w), r, nil)
	if err != nil {
		return nil, err
	}
	if c, ok := conn.NetConn().(*net.TCPConn); ok {
		_ = c.SetWriteBuffer(sendBuffer) // best effort
	}
	s := &Socket{conn: conn, done: make(chan struct{})}
	s.life, s.cancel = context.WithCancel(life)
	return s, nil
}

// Plays tells which sound the browser plays; without it none is sent. It is to be
// called before Serve.
func (s *Socket) Plays(plays func(codec string) bool) { s.plays = plays }

// Serve sends from to the browser, and returns when that has left, its life or
// from has ended, or Close was called. Whoever opened a socket must serve it.
func (s *Socket) Serve(from *stream.Stream) error {
	defer close(s.done)
	defer s.cancel()
	ctx := s.life
	var reading sync.WaitGroup
	reading.Go(func() {
		defer s.cancel()
		s.listen()
	})
	stop := context.AfterFunc(ctx, func() { _ = s.conn.SetReadDeadline(time.Now()) })
	err := s.send(ctx, from)
	s.leave(err)
	s.cancel()
	stop()
	_ = s.conn.Close()
	reading.Wait()
	return err
}

// Close ends the socket; Done tells when nothing of it is left.
func (s *Socket) Close() { s.cancel() }

// Done is closed when the socket has ended.
func (s *Socket) Done() <-chan struct{} { return s.done }

// Skipped is how many pictures it was not sent because it was slow.
func (s *Socket) Skipped() uint64 { return s.skipped.Load() }

// listen hears that the browser is there; it has nothing to say.
func (s *Socket) listen() {
	s.conn.SetReadLimit(512)
	_ = s.conn.SetReadDeadline(time.Now().Add(silent))
	s.conn.SetPongHandler(func(string) error { return s.conn.SetReadDeadline(time.Now().Add(silent)) })
	for {
		if _, _, err := s.conn.NextReader(); err != nil {
			return
		}
	}
}

func (s *Socket) send(ctx context.Context, from *stream.Stream) error {
	reader := from.Read(stream.ReadOptions{Name: "socket", Capacity: behind, FromCache: true, Pace: true, Sound: s.plays != nil})
	defer reader.Close()
	var writing sync.Mutex // pictures and pings
	write := func(what func() error) error {
		writing.Lock()
		defer writing.Unlock()
		_ = s.conn.SetWriteDeadline(time.Now().Add(writeWithin))
		return what()
	}
	var pinging sync.WaitGroup
	defer pinging.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	pinging.Go(func() {
		t := time.NewTicker(pingEvery)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				if write(func() error { return s.conn.WriteMessage(websocket.PingMessage, nil) }) != nil {
					stop()
					return
				}
			case <-ctx.Done():
				return
			}
		}
	})
	m := maker{plays: s.plays, guess: 40 * time.Millisecond}
	return readUnits(ctx, reader, func(u *stream.Unit) error {
		s.skipped.Store(reader.Skipped())
		return m.add(u, func(f Format) error {
			return write(func() error { return s.conn.WriteJSON(f) })
		}, func(b []byte) error {
			return write(func() error { return s.conn.WriteMessage(websocket.BinaryMessage, b) })
		})
	})
}

// leave tells the browser why, if it still listens.
func (s *Socket) leave(cause error) {
	code := websocket.CloseGoingAway
	if errors.Is(cause, errReordered) {
		code = websocket.CloseUnsupportedData
	}
	_ = s.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, ""), time.Now().Add(time.Second))
}
