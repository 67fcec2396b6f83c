package centre

import (
	"context"
	"sync"
	"time"

	"stationd/agent/station"
	"stationd/uplink/protocol"
)

// maxOrders bounds the commands that wait for receipts; more are refused.
const maxOrders = 256

// orders are the commands that wait for their receipts. They live as long as
// the call that sent them; whoever must keep a command across a restart stores
// it and calls again with the same ID.
type orders struct {
	mu      sync.Mutex
	pending map[string]*pendingOrder // by command ID
}

type pendingOrder struct {
	node    station.NodeID
	payload []byte
	done    chan station.Receipt // buffered by one
}

// Order sends a command to node and waits for its receipt. While the station is
// away the command waits, until ctx or the command itself expires; it is sent
// again until the receipt comes, which the station's idempotence makes harmless.
func (c *Centre) Order(ctx context.Context, node station.NodeID, cmd station.Command) (station.Receipt, error) {
	d := c.desk
	if !cmd.Expires.IsZero() && !cmd.Expires.After(d.deps.Now()) {
		return station.Receipt{}, protocol.ErrExpired
	}
	payload, err := protocol.Encode(protocol.Order{Protocol: protocol.Version, Command: cmd})
	if err != nil {
		return station.Receipt{}, err
	}
	p := &pendingOrder{node: node, payload: payload, done: make(chan station.Receipt, 1)}
	if err := d.orders.add(cmd.ID, p); err != nil {
		return station.Receipt{}, err
	}
	defer d.orders.remove(cmd.ID)
	var expired <-chan time.Time
	if !cmd.Expires.IsZero() {
		t := time.NewTimer(cmd.Expires.Sub(d.deps.Now()))
		defer t.Stop()
		expired = t.C
	}
	again := time.NewTicker(d.cfg.CommandRetry)
	defer again.Stop()
	for {
		if _, ok := d.online(node); ok {
			if err := d.send(node, protocol.ChannelCommands, payload); err != nil {
				d.log.Warn("command not sent", "node", node, "command", cmd.ID, "error", err)
			}
		}
		select {
		case r := <-p.done:
			return r, nil
		case <-expired:
			return station.Receipt{}, protocol.ErrExpired
		case <-ctx.Done():
			return station.Receipt{}, ctx.Err()
		case <-again.C:
		}
	}
}

func (o *orders) add(id string, p *pendingOrder) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, ok := o.pending[id]; ok {
		return station.Errorf(409, "command.pending", "wait for its receipt", "command %q is on its way already", id)
	}
	if len(o.pending) >= maxOrders {
		return station.Errorf(503, "command.busy", "try again when stations have answered", "%d commands wait for receipts", maxOrders)
	}
	o.pending[id] = p
	return nil
}

func (o *orders) remove(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.pending, id)
}

// resendOrders sends what waits for a station that came back.
func (d *desk) resendOrders(node station.NodeID) {
	d.orders.mu.Lock()
	var payloads [][]byte
	for _, p := range d.orders.pending {
		if p.node == node {
			payloads = append(payloads, p.payload)
		}
	}
	d.orders.mu.Unlock()
	for _, b := range payloads {
		if err := d.send(node, protocol.ChannelCommands, b); err != nil {
			d.log.Warn("command not sent", "node", node, "error", err)
			return
		}
	}
}

// receipt takes a receipt in. One for a command of another node, or for one that
// nobody waits for any more, is ignored.
func (d *desk) receipt(node station.NodeID, payload []byte) error {
	r, err := protocol.Decode[protocol.Report](payload)
	if err != nil {
		return err
	}
	d.orders.mu.Lock()
	defer d.orders.mu.Unlock()
	if p := d.orders.pending[r.Receipt.Command]; p != nil && p.node == node {
		select {
		case p.done <- r.Receipt:
		default:
		}
	}
	return nil
}
