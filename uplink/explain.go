package uplink

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"strings"
	"syscall"

	"stationd/agent/station"
	"stationd/uplink/transport"
)

// explain gives an error's words and the remedy, for people.
func explain(err error) (words, hint string) {
	if p, ok := station.AsProblem(err); ok {
		return p.Message, p.Hint
	}
	words = err.Error()
	var dns *net.DNSError
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		hint = "check the certificate, key and authority files that the configuration names"
	case isCertificate(err):
		hint = "check that both ends' certificates are of one authority and in date, and that the clock is right; if the centre has shut this station out, or another computer has taken its place, ask it for a new code"
	case errors.As(err, &dns):
		hint = "check the parent's name in the configuration, and the name service"
	case errors.Is(err, syscall.ECONNREFUSED):
		hint = "the parent's machine answers but nothing listens there: check whether it runs, and the port"
	case errors.Is(err, transport.ErrLost):
		hint = "the line broke; it is dialled again by itself"
	default:
		hint = "check the line and the parent's address; it is dialled again by itself"
	}
	return words, hint
}

// isCertificate tells whether err is about a certificate, ours or theirs.
func isCertificate(err error) bool {
	var alert tls.AlertError
	var verify *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &verify) || errors.As(err, &unknown) || errors.As(err, &alert) {
		return true
	}
	// With TLS 1.3 the parent's refusal of our certificate comes after the
	// handshake, and paho hands on its words alone.
	s := err.Error()
	return strings.Contains(s, "tls: ") && strings.Contains(s, "certificate")
}
