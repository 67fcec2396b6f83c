// Package socket is a WebSocket as the stream of bytes that MQTT takes it for: the
// bounds of messages mean nothing, and only binary ones are taken.
package socket

import (
	"errors"
	"io"
	"net"
	"time"

	"github.com/gorilla/websocket"

	"stationd/uplink/protocol"
)

// New makes a stream of a WebSocket. Messages larger than a batch end it.
func New(ws *websocket.Conn) net.Conn {
	ws.SetReadLimit(protocol.MaxBatchBytes + 4096)
	return &stream{Conn: ws}
}

type stream struct {
	*websocket.Conn
	message io.Reader // of the message that is being read
}

func (s *stream) Read(p []byte) (int, error) {
	for {
		if s.message == nil {
			kind, r, err := s.NextReader()
			if err != nil {
				return 0, err
			}
			if kind != websocket.BinaryMessage {
				return 0, errors.New("a WebSocket message is not binary")
			}
			s.message = r
		}
		n, err := s.message.Read(p)
		if errors.Is(err, io.EOF) {
			s.message = nil
			if n == 0 {
				continue
			}
			err = nil
		}
		return n, err
	}
}

func (s *stream) Write(p []byte) (int, error) {
	if err := s.WriteMessage(websocket.BinaryMessage, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (s *stream) SetDeadline(t time.Time) error {
	return errors.Join(s.SetReadDeadline(t), s.SetWriteDeadline(t))
}
