package mqtt

import (
	"context"
	"fmt"
	"net"

	"github.com/gorilla/websocket"

	"stationd/uplink/protocol"
	"stationd/uplink/transport/socket"
)

// upgrade makes a WebSocket for MQTT of a connection that has TLS already.
func upgrade(ctx context.Context, raw net.Conn, host string) (net.Conn, error) {
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	defer stop()
	d := websocket.Dialer{
		NetDialTLSContext: func(context.Context, string, string) (net.Conn, error) { return raw, nil },
		Subprotocols:      []string{"mqtt"},
	}
	ws, answer, err := d.DialContext(ctx, "wss://"+host+protocol.SocketPath, nil)
	if err != nil {
		_ = raw.Close()
		if answer != nil {
			return nil, fmt.Errorf("the HTTPS port answers %s: %w", answer.Status, err)
		}
		return nil, err
	}
	return socket.New(ws), nil
}
