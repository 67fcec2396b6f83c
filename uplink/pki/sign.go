package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	"stationd/agent/station"
)

// Request is a key that was made where it stays, and what its owner asks to have
// signed. Both are PEM.
type Request struct{ Key, Request []byte }

// NewRequest makes a key and a request. Who it is for is the authority's to say.
func NewRequest() (Request, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Request{}, fmt.Errorf("make a key: %w", err)
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return Request{}, err
	}
	return RequestFor(keyPEM)
}

// RequestFor is a request for a key that is there already.
func RequestFor(keyPEM []byte) (Request, error) {
	key, err := parseKey(keyPEM)
	if err != nil {
		return Request{}, err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "stationd"}}, key)
	if err != nil {
		return Request{}, fmt.Errorf("make a certificate request: %w", err)
	}
	return Request{Key: keyPEM, Request: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})}, nil
}

// Signed is a node's certificate without its key.
type Signed struct {
	Certificate []byte // PEM
	Serial      string
	Expires     time.Time
}

// RequestKey is the print of the key that a request is for. A request that its key
// has not signed, or whose key is of another kind than ours, is refused.
func RequestKey(request []byte) (known string, err error) {
	_, known, err = parseRequest(request)
	return known, err
}

func parseRequest(request []byte) (*ecdsa.PublicKey, string, error) {
	bad := func(err error) error {
		return station.Errorf(400, "enrol.request", "update the station's program", "the certificate request cannot be used").Because(err)
	}
	block, _ := pem.Decode(request)
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return nil, "", bad(errors.New("no PEM request in it"))
	}
	r, err := x509.ParseCertificateRequest(block.Bytes)
	if err == nil {
		err = r.CheckSignature()
	}
	if err != nil {
		return nil, "", bad(err)
	}
	pub, ok := r.PublicKey.(*ecdsa.PublicKey)
	if !ok || pub.Curve != elliptic.P256() {
		return nil, "", bad(fmt.Errorf("a key of type %T, want ECDSA P-256", r.PublicKey))
	}
	id, err := keyID(pub)
	return pub, hex.EncodeToString(id), err
}

// SignNode signs a node's request. Of the request only the key counts.
func (a *Authority) SignNode(request []byte, node station.NodeID) (Signed, error) {
	if err := node.Validate(); err != nil {
		return Signed{}, fmt.Errorf("sign a certificate: %w", err)
	}
	pub, _, err := parseRequest(request)
	if err != nil {
		return Signed{}, err
	}
	tmpl := &x509.Certificate{
		Subject: pkix.Name{CommonName: string(node)}, URIs: []*url.URL{nodeURI(node)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := a.sign(tmpl, pub)
	if err != nil {
		return Signed{}, err
	}
	return Signed{Certificate: encodeCertificate(der), Serial: Serial(tmpl), Expires: tmpl.NotAfter}, nil
}

// Serial is how a certificate is named in lists.
func Serial(c *x509.Certificate) string { return c.SerialNumber.Text(16) }

// Certificate is the authority's own, PEM.
func (a *Authority) Certificate() []byte { return encodeCertificate(a.cert.Raw) }

// PublicKey is what the authority is known by, whatever its certificate's dates.
func (a *Authority) PublicKey() []byte { return a.cert.RawSubjectPublicKeyInfo }

// AuthorityKey reads an authority's certificate and gives what it is known by.
func AuthorityKey(certPEM []byte) ([]byte, error) {
	c, err := parseCertificate(certPEM)
	switch {
	case err != nil:
		return nil, err
	case !c.IsCA:
		return nil, errors.New("the certificate is no authority's")
	}
	return c.RawSubjectPublicKeyInfo, nil
}

// Identity is a certificate and its key in one file, which is replaced as a whole:
// at no moment is there a certificate with another's key.
func Identity(certPEM, keyPEM []byte) []byte { return append(append([]byte{}, certPEM...), keyPEM...) }

// WriteFile replaces a file as a whole or not at all.
func WriteFile(name string, data []byte, mode os.FileMode) error { return writeFile(name, data, mode) }

// Leaf reads the certificate of a node's file.
func Leaf(file string) (*x509.Certificate, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return parseCertificate(b)
}

// Check tells whether a certificate that was signed for a key is of that key, of
// the authority, and names the node.
func Check(certPEM, keyPEM, authorityPEM []byte, node station.NodeID) (*x509.Certificate, error) {
	cert, err1 := parseCertificate(certPEM)
	key, err2 := parseKey(keyPEM)
	ca, err3 := parseCertificate(authorityPEM)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	if pub, ok := cert.PublicKey.(*ecdsa.PublicKey); !ok || !pub.Equal(&key.PublicKey) {
		return nil, errors.New("the certificate is of another key")
	}
	if err := cert.CheckSignatureFrom(ca); err != nil {
		return nil, err
	}
	if id, err := NodeOf(cert); err != nil || id != node {
		return nil, errors.Join(err, fmt.Errorf("the certificate is not %s's", node))
	}
	return cert, nil
}

// Renewable tells when a leaf is to be renewed: in its last third.
func Renewable(c *x509.Certificate) time.Time {
	return c.NotAfter.Add(-c.NotAfter.Sub(c.NotBefore) / 3)
}
