package centre

import (
	"context"
	"crypto/x509"
	"net"
	"net/http"
	"sync"
	"time"

	"stationd/agent/station"
	"stationd/devices/broker"
	"stationd/uplink/pki"
)

// recheckEvery is how often open connections are looked at without being asked: what
// was revoked behind our back, by a backup that was brought in, is out within it.
const recheckEvery = 20 * time.Second

// admit tells whether a verified certificate is let in. It is asked at every
// handshake and of every open connection.
func (c *Centre) admit(cert *x509.Certificate) error {
	return c.ask(cert, func(e Enrolments, node station.NodeID, serial string) error { return e.Admit(node, serial) })
}

// enter is admit behind the handshake: for an MQTT session and each HTTPS request.
func (c *Centre) enter(cert *x509.Certificate) error {
	return c.ask(cert, func(e Enrolments, node station.NodeID, serial string) error {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		return e.Enter(ctx, node, serial)
	})
}

func (c *Centre) ask(cert *x509.Certificate, whether func(Enrolments, station.NodeID, string) error) error {
	if c.deps.Enrolments == nil {
		return nil
	}
	node, err := pki.NodeOf(cert)
	if err != nil {
		return err
	}
	err = whether(c.deps.Enrolments, node, pki.Serial(cert))
	if err != nil {
		c.deps.Log.Warn("station not let in", "node", node, "serial", pki.Serial(cert), "error", err)
	}
	return err
}

// Recheck cuts the connections of all who are let in no more. It may be called
// from anywhere and does not wait.
func (c *Centre) Recheck() {
	select {
	case c.recheck <- struct{}{}:
	default:
	}
}

// runRecheck looks at the open connections when asked, and every now and then.
func (c *Centre) runRecheck(ctx context.Context, b *broker.Broker, open *guests) error {
	tick := time.NewTicker(recheckEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.recheck:
		case <-tick.C:
		}
		known := map[string]error{} // many connections, few certificates
		out := func(cert *x509.Certificate) bool {
			if cert == nil {
				return false // whoever has none is not in
			}
			serial := pki.Serial(cert)
			err, asked := known[serial]
			if !asked {
				err = c.admit(cert)
				known[serial] = err
			}
			return refused(err)
		}
		b.Disconnect(func(cl broker.Client) bool { return out(cl.Cert) })
		if open != nil {
			open.cut(out)
		}
	}
}

// refused tells a refusal from a question that could not be answered, for which
// nobody is thrown out.
func refused(err error) bool {
	p, ok := station.AsProblem(err)
	return ok && p.Status < 500
}

// guests are the HTTPS connections that showed a certificate.
type guests struct {
	admit func(*x509.Certificate) error

	mu   sync.Mutex
	open map[net.Conn]*x509.Certificate
}

type connKey struct{}

func newGuests(admit func(*x509.Certificate) error) *guests {
	return &guests{admit: admit, open: map[net.Conn]*x509.Certificate{}}
}

// with lets a request know its connection.
func (g *guests) with(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, conn)
}

// changed forgets connections that are over. One that was taken over by its handler
// is that handler's to end.
func (g *guests) changed(conn net.Conn, state http.ConnState) {
	if state == http.StateClosed || state == http.StateHijacked {
		g.mu.Lock()
		delete(g.open, conn)
		g.mu.Unlock()
	}
}

// admitted serves who shows a certificate that is let in.
func (g *guests) admitted(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
			writeProblem(w, station.Errorf(401, "uplink.stranger", "show the station's certificate", "no certificate"))
			return
		}
		cert := r.TLS.PeerCertificates[0]
		if conn, ok := r.Context().Value(connKey{}).(net.Conn); ok {
			g.mu.Lock()
			g.open[conn] = cert
			g.mu.Unlock()
		}
		if err := g.admit(cert); err != nil {
			w.Header().Set("Connection", "close")
			writeProblem(w, problemOf(err))
			return
		}
		next(w, r)
	}
}

// cut closes the connections of certificates that are out.
func (g *guests) cut(out func(*x509.Certificate) bool) {
	g.mu.Lock()
	var closing []net.Conn
	for conn, cert := range g.open {
		if out(cert) {
			closing = append(closing, conn)
		}
	}
	g.mu.Unlock()
	for _, conn := range closing {
		_ = conn.Close()
	}
}
