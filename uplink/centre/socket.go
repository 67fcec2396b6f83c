package centre

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/gorilla/websocket"

	"stationd/devices/broker"
	"stationd/uplink/transport/socket"
)

// socketDoor lets stations in by MQTT over WebSocket, at the port where clips come
// in, for networks that let nothing else out. The certificate is the same, and so
// is what it is good for: behind the handshake stands the same broker.
type socketDoor struct {
	broker *broker.Broker
	log    *slog.Logger
}

var upgrader = websocket.Upgrader{
	Subprotocols: []string{"mqtt"}, HandshakeTimeout: 10 * time.Second, ReadBufferSize: 4096, WriteBufferSize: 4096,
	// No browser has a station's certificate, and none is let in by a cookie.
	CheckOrigin: func(*http.Request) bool { return true },
}

func (s *socketDoor) serve(w http.ResponseWriter, r *http.Request) {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		http.Error(w, "a station's certificate is needed", http.StatusForbidden)
		return
	}
	ws, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		s.log.Debug("no WebSocket", "remote", r.RemoteAddr, "error", err)
		return // it has been answered
	}
	if ws.Subprotocol() != "mqtt" {
		_ = ws.Close()
		return
	}
	if err := s.broker.Serve(socket.New(ws), r.TLS.VerifiedChains[0][0]); err != nil {
		s.log.Info("station's WebSocket not served", "remote", r.RemoteAddr, "error", err)
	}
}
