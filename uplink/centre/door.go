package centre

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"strings"
	"sync"

	"stationd/agent/station"
	"stationd/devices/broker"
	"stationd/uplink/pki"
	"stationd/uplink/protocol"
)

// perNodeConnections is how many connections one station may have: one that is
// alive and some that died without a word on a line that flaps.
const perNodeConnections = 8

// door is who may come in and who may say what, by certificate.
type door struct {
	desk  *desk
	enter func(*x509.Certificate) error
	log   *slog.Logger

	mu      sync.Mutex
	perNode map[station.NodeID]int
}

func brokerConfig(cfg Config, t *tls.Config) broker.Config {
	b := broker.DefaultConfig()
	b.Listen, b.TLS = cfg.Listen, t
	// Stations have certificates, and many may come through one address.
	b.MaxPerAddress, b.MaxRate = 0, 0
	b.MaxClients, b.MaxSessions = cfg.MaxStations, 2*cfg.MaxStations
	b.MaxPacket = protocol.MaxBatchBytes + 4096
	b.MaxRetained = 2 * cfg.MaxStations
	return b
}

func (d *door) hooks() broker.Hooks {
	return broker.Hooks{
		Authenticate: d.authenticate,
		MayPublish: func(c broker.Client, topic string) bool {
			node, _, ok := identity(c)
			t, known := protocol.ParseTopic(topic)
			return ok && known && t.Node == node && t.Channel.Up()
		},
		// Filters must be exactly our topics; a wildcard is none.
		MaySubscribe: func(c broker.Client, filter string) bool {
			node, _, ok := identity(c)
			t, known := protocol.ParseTopic(filter)
			return ok && known && t.Node == node && t.Channel.Down()
		},
		Connected: func(c broker.Client) {
			if node, _, ok := identity(c); ok {
				d.mu.Lock()
				d.perNode[node]++
				d.mu.Unlock()
			}
		},
		Disconnected: func(c broker.Client) {
			node, session, ok := identity(c)
			if !ok {
				return
			}
			d.mu.Lock()
			if d.perNode[node]--; d.perNode[node] <= 0 {
				delete(d.perNode, node)
			}
			d.mu.Unlock()
			d.desk.gone(node, session, "")
		},
		Publish: func(ctx context.Context, m broker.Message) error {
			node, session, ok := identity(m.Client)
			t, known := protocol.ParseTopic(m.Topic)
			if ok && known {
				d.desk.message(ctx, node, session, t, m.Payload)
			}
			return nil // read; the Ack is what counts
		},
	}
}

// authenticate wants the client identifier that belongs to the certificate.
func (d *door) authenticate(info broker.ConnectInfo) bool {
	node, _, ok := identity(broker.Client{ID: info.ClientID, Cert: info.Cert})
	if !ok {
		d.log.Warn("stranger at the stations' door", "client", info.ClientID, "remote", info.Remote)
		return false
	}
	if err := d.enter(info.Cert); err != nil {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.perNode[node] >= perNodeConnections {
		d.log.Warn("station has too many connections", "node", node, "remote", info.Remote)
		return false
	}
	return true
}

// identity is the node by the certificate and the session by the identifier,
// which must name the same node.
func identity(c broker.Client) (node station.NodeID, session string, ok bool) {
	if c.Cert == nil {
		return "", "", false
	}
	node, err := pki.NodeOf(c.Cert)
	if err != nil {
		return "", "", false
	}
	name, session, found := strings.Cut(c.ID, ".")
	return node, session, found && name == string(node) && protocol.ValidSession(session)
}
