package peertest

import (
	"net"

	"github.com/pion/transport/v4"
	"github.com/pion/transport/v4/stdnet"
)

// sockets is the network, with UDP sockets that have a receive buffer of a given
// size.
type sockets struct {
	transport.Net
	receive int
}

func smallSockets(receive int) (transport.Net, error) {
	n, err := stdnet.NewNet()
	if err != nil {
		return nil, err
	}
	return sockets{n, receive}, nil
}

// ListenUDP opens a socket.
func (s sockets) ListenUDP(network string, at *net.UDPAddr) (transport.UDPConn, error) {
	c, err := net.ListenUDP(network, at)
	if err != nil {
		return nil, err
	}
	// Linux takes twice what it is asked for, and calls that the size.
	if err := c.SetReadBuffer(s.receive / 2); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}
