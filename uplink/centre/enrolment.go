package centre

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"

	"stationd/agent/station"
	"stationd/uplink/pki"
	"stationd/uplink/protocol"
)

// Enrolments decides who may come in.
type Enrolments interface {
	// Authority is the certificate, PEM, of who vouches for this centre.
	Authority() []byte
	// Redeem uses a code up; from is the address that it came from. The answer lacks
	// what the centre itself knows.
	Redeem(ctx context.Context, from string, o protocol.Enrolment) (protocol.Enrolled, error)
	// Renew gives the next certificate to whoever came with a good one.
	Renew(ctx context.Context, node station.NodeID, serial string, request []byte) (protocol.Enrolled, error)
	// Admit tells whether a certificate of our authority is still let in. It is asked
	// in the handshake, before its key is proven, and changes nothing.
	Admit(node station.NodeID, serial string) error
	// Enter is Admit for who has proven to hold the key.
	Enter(ctx context.Context, node station.NodeID, serial string) error
}

// enrolling is how many requests for certificates are worked on at once.
const enrolling = 8

// enrolDoor serves the resources of an enrolment.
type enrolDoor struct {
	centre *Centre
	slots  chan struct{}
}

func (c *Centre) mountEnrolment(mux *http.ServeMux, admitted func(http.HandlerFunc) http.HandlerFunc) {
	d := &enrolDoor{centre: c, slots: make(chan struct{}, enrolling)}
	mux.HandleFunc("GET "+protocol.AuthorityPath, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-pem-file")
		_, _ = w.Write(c.deps.Enrolments.Authority())
	})
	mux.HandleFunc("POST "+protocol.EnrolmentPath, d.serve(d.redeem))
	mux.HandleFunc("POST "+protocol.CertificatePath, admitted(d.serve(d.renew)))
}

func (d *enrolDoor) serve(answer func(*http.Request, []byte) (protocol.Enrolled, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		e, err := d.answer(w, r, answer)
		if err != nil {
			d.centre.refuse(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(e)
	}
}

func (d *enrolDoor) answer(w http.ResponseWriter, r *http.Request, answer func(*http.Request, []byte) (protocol.Enrolled, error)) (e protocol.Enrolled, err error) {
	select {
	case d.slots <- struct{}{}:
		defer func() { <-d.slots }()
	default:
		w.Header().Set("Retry-After", "5")
		return e, station.Errorf(503, "enrol.busy", "try again in a moment", "too many stations ask for certificates")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, protocol.MaxEnrolmentBytes))
	if err != nil {
		return e, protocol.ErrTooLarge.Because(err)
	}
	if e, err = answer(r, body); err != nil {
		return e, err
	}
	e.Parent, e.Authority, e.Time = d.centre.deps.Node, string(d.centre.deps.Enrolments.Authority()), d.centre.deps.Now()
	if tcp, ok := d.centre.MQTTAddr().(*net.TCPAddr); ok {
		e.EventPort = tcp.Port
	}
	return e, nil
}

func (d *enrolDoor) redeem(r *http.Request, body []byte) (protocol.Enrolled, error) {
	var o protocol.Enrolment
	if err := json.Unmarshal(body, &o); err != nil {
		return protocol.Enrolled{}, protocol.ErrMalformed.Because(err)
	}
	return d.centre.deps.Enrolments.Redeem(r.Context(), hostOf(r.RemoteAddr), o)
}

func (d *enrolDoor) renew(r *http.Request, body []byte) (protocol.Enrolled, error) {
	var o protocol.Renewal
	if err := json.Unmarshal(body, &o); err != nil {
		return protocol.Enrolled{}, protocol.ErrMalformed.Because(err)
	}
	cert := r.TLS.PeerCertificates[0]
	node, err := pki.NodeOf(cert)
	if err != nil {
		return protocol.Enrolled{}, err
	}
	return d.centre.deps.Enrolments.Renew(r.Context(), node, pki.Serial(cert), []byte(o.Request))
}

// refuse answers with a problem document.
func (c *Centre) refuse(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(err)
	if p.Status >= 500 && !errors.Is(err, context.Canceled) {
		c.deps.Log.Error("request of a station failed", "path", r.URL.Path, "remote", r.RemoteAddr, "error", err)
	}
	writeProblem(w, p)
}

func writeProblem(w http.ResponseWriter, p *station.Problem) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(map[string]any{"title": http.StatusText(p.Status), "status": p.Status, "code": p.Code, "detail": p.Message, "hint": p.Hint})
}

func hostOf(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return remote
	}
	return strings.TrimPrefix(host, "::ffff:")
}
