package broker

import (
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"
)

// door decides who may have a connection, for all listeners together: how many
// there are in all, of one address, and of those who have not introduced
// themselves yet. A stranger who opens connections and says nothing can keep out
// others at his own address at most.
type door struct {
	cfg  Config
	log  *slog.Logger
	gone func(*conn) // told of the end of each connection

	mu       sync.Mutex
	closing  bool
	open     map[*conn]bool     // true once the client was let in
	from     map[netip.Addr]int // connections by address
	waiting  map[netip.Addr]int // of them, those that were not let in yet
	strange  int                // all that were not let in yet
	turned   uint64
	saidFull time.Time
}

func newDoor(cfg Config, log *slog.Logger, gone func(*conn)) *door {
	return &door{cfg: cfg, log: log, gone: gone, open: map[*conn]bool{}, from: map[netip.Addr]int{}, waiting: map[netip.Addr]int{}}
}

// add admits a connection that has not introduced itself yet, or names the limit
// that it is beyond.
func (d *door) add(c *conn) (limit string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.closing:
		return "closing"
	case len(d.open)-d.strange >= d.cfg.MaxClients+spareClients:
		return "max_clients"
	case d.strange >= d.cfg.MaxHalfOpen:
		return "max_half_open"
	case d.waiting[c.from] >= max(d.cfg.MaxHalfOpen/2, 1):
		return "max_half_open of one address"
	case d.cfg.MaxPerAddress > 0 && d.from[c.from] >= d.cfg.MaxPerAddress:
		return "max_per_address"
	}
	d.open[c] = false
	d.from[c.from]++
	d.waiting[c.from]++
	d.strange++
	return ""
}

// spareClients is how many more may be connected than are let in, so that those
// beyond are told that the broker is full instead of being cut off.
const spareClients = 64

// letIn notes that a client has introduced itself.
func (d *door) letIn(c *conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if in, here := d.open[c]; here && !in {
		d.open[c] = true
		d.introduced(c)
	}
}

func (d *door) introduced(c *conn) {
	d.strange--
	if d.waiting[c.from]--; d.waiting[c.from] == 0 {
		delete(d.waiting, c.from)
	}
}

func (d *door) remove(c *conn) {
	_ = c.Close()
	d.gone(c)
	close(c.gone)
	c.linger()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.open[c] {
		d.introduced(c)
	}
	delete(d.open, c)
	if d.from[c.from]--; d.from[c.from] == 0 {
		delete(d.from, c.from)
	}
}

// turnedAway counts, and says not more often than fullEvery, that there is no room.
func (d *door) turnedAway(c *conn, limit string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.turned++
	if d.closing || time.Since(d.saidFull) < fullEvery {
		return
	}
	d.saidFull = time.Now()
	d.log.Warn("sensor clients turned away: too many are connected", "open", len(d.open), "limit", limit, "remote", c.RemoteAddr().String())
}

// fullEvery keeps a crowd at the door from filling the log.
const fullEvery = time.Minute

// shut closes every connection. A 3.1.1 server has no farewell, so mochi's way of
// closing clients, which sends one, is not used.
func (d *door) shut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closing = true
	for c := range d.open {
		_ = c.Close()
		_ = c.raw.Close()
	}
}

// addressOf is what connections are counted by: an IPv4 address, or the network
// that one IPv6 household has.
func addressOf(c net.Conn) netip.Addr {
	at, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	a := at.Addr().Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}
