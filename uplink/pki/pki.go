// Package pki is a small certificate authority in a directory, and the TLS
// settings of both ends of an uplink. It issues two kinds of certificate: a
// node's, which is good for dialling alone and names the node twice (common
// name, and the URI urn:cityops:node:ID), and a server's, which is good for
// being dialled alone. A station's certificate can therefore never pose as a
// centre. Keys are ECDSA P-256, written with mode 0600 by temporary file, fsync
// and rename; a key is never overwritten by half of another.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"stationd/agent/station"
)

// How long certificates live. A leaf is renewed in its last third; the start is
// set back, because a station's clock may be wrong by a day until it is set.
const (
	AuthorityLife = 20 * 365 * 24 * time.Hour
	LeafLife      = 2 * 365 * 24 * time.Hour
	setBack       = 24 * time.Hour
)

// The files of an authority's directory.
const (
	AuthorityFile    = "ca.crt"
	authorityKeyFile = "ca.key"
)

// Authority issues certificates.
type Authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	now  func() time.Time
}

// Pair is a certificate with its key, both PEM.
type Pair struct{ Certificate, Key []byte }

// Files is where a pair lies, with the authority that vouches for the other end.
type Files struct{ Certificate, Key, Authority string }

// Open opens the authority of dir, and makes one where there is none.
func Open(dir string) (*Authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	a := &Authority{dir: dir, now: time.Now}
	keyPEM, err := os.ReadFile(filepath.Join(dir, authorityKeyFile))
	if errors.Is(err, fs.ErrNotExist) {
		// The certificate is written last: without it there is no authority
		// that anybody could trust, and a key alone is simply used.
		if _, err := os.Stat(filepath.Join(dir, AuthorityFile)); err == nil {
			return nil, fmt.Errorf("certificate authority %s: %s is there without its key", dir, AuthorityFile)
		}
		return a, a.create()
	}
	if err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	if a.key, err = parseKey(keyPEM); err != nil {
		return nil, fmt.Errorf("certificate authority %s: %w", authorityKeyFile, err)
	}
	certPEM, err := os.ReadFile(a.AuthorityFile())
	if errors.Is(err, fs.ErrNotExist) {
		return a, a.selfSign()
	}
	if err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	if a.cert, err = parseCertificate(certPEM); err != nil {
		return nil, fmt.Errorf("certificate authority %s: %w", AuthorityFile, err)
	}
	if pub, ok := a.cert.PublicKey.(*ecdsa.PublicKey); !ok || !pub.Equal(&a.key.PublicKey) {
		return nil, fmt.Errorf("certificate authority %s: key and certificate are not of one pair", dir)
	}
	return a, nil
}

func (a *Authority) create() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make the authority's key: %w", err)
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(a.dir, authorityKeyFile), keyPEM, 0o600); err != nil {
		return err
	}
	a.key = key
	return a.selfSign()
}

func (a *Authority) selfSign() error {
	now := a.now()
	id, err := keyID(&a.key.PublicKey)
	if err != nil {
		return err
	}
	tmpl := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "stationd authority"},
		NotBefore: now.Add(-setBack), NotAfter: now.Add(AuthorityLife),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, SubjectKeyId: id,
		BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &a.key.PublicKey, a.key)
	if err != nil {
		return fmt.Errorf("sign the authority: %w", err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		return fmt.Errorf("sign the authority: %w", err)
	}
	return writeFile(a.AuthorityFile(), encodeCertificate(der), 0o644)
}

// AuthorityFile is the path of the authority's certificate.
func (a *Authority) AuthorityFile() string { return filepath.Join(a.dir, AuthorityFile) }

// IssueNode makes a key and a certificate with which node can dial.
func (a *Authority) IssueNode(node station.NodeID) (Pair, error) {
	if err := node.Validate(); err != nil {
		return Pair{}, fmt.Errorf("issue a certificate: %w", err)
	}
	return a.issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: string(node)}, URIs: []*url.URL{nodeURI(node)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
}

// IssueServer makes a key and a certificate for being dialled under hosts, which
// are names or addresses.
func (a *Authority) IssueServer(hosts []string) (Pair, error) {
	if len(hosts) == 0 {
		return Pair{}, errors.New("issue a certificate: a server needs a host name or address")
	}
	tmpl := &x509.Certificate{
		Subject: pkix.Name{CommonName: hosts[0]}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			tmpl.IPAddresses = append(tmpl.IPAddresses, ip)
		} else {
			tmpl.DNSNames = append(tmpl.DNSNames, h)
		}
	}
	return a.issue(tmpl)
}

// sign signs a leaf, and fills in what all leaves have.
func (a *Authority) sign(tmpl *x509.Certificate, pub *ecdsa.PublicKey) ([]byte, error) {
	now := a.now()
	tmpl.SerialNumber = serial()
	tmpl.NotBefore, tmpl.NotAfter = now.Add(-setBack), now.Add(LeafLife)
	tmpl.KeyUsage, tmpl.BasicConstraintsValid = x509.KeyUsageDigitalSignature, true
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, pub, a.key)
	if err != nil {
		return nil, fmt.Errorf("sign a certificate: %w", err)
	}
	return der, nil
}

func (a *Authority) issue(tmpl *x509.Certificate) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("make a key: %w", err)
	}
	der, err := a.sign(tmpl, &key.PublicKey)
	if err != nil {
		return Pair{}, err
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return Pair{}, err
	}
	return Pair{Certificate: encodeCertificate(der), Key: keyPEM}, nil
}

// EnsureNode keeps a node's pair in dir: it is made when it is missing, not of
// this authority, or in the last third of its life; else it is left alone.
func (a *Authority) EnsureNode(dir string, node station.NodeID) (Files, error) {
	return a.ensure(dir, "node", func(c *x509.Certificate) bool {
		id, err := NodeOf(c)
		return err == nil && id == node
	}, func() (Pair, error) { return a.IssueNode(node) })
}

// EnsureServer keeps a server's pair in dir, as EnsureNode does a node's.
func (a *Authority) EnsureServer(dir string, hosts []string) (Files, error) {
	return a.ensure(dir, "server", func(c *x509.Certificate) bool {
		return !slices.ContainsFunc(hosts, func(h string) bool { return c.VerifyHostname(h) != nil })
	}, func() (Pair, error) { return a.IssueServer(hosts) })
}

func (a *Authority) ensure(dir, name string, fits func(*x509.Certificate) bool, issue func() (Pair, error)) (Files, error) {
	f := Files{Certificate: filepath.Join(dir, name+".crt"), Key: filepath.Join(dir, name+".key"), Authority: filepath.Join(dir, "parent-"+AuthorityFile)}
	if a.good(f, fits) {
		return f, nil
	}
	pair, err := issue()
	if err != nil {
		return Files{}, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Files{}, fmt.Errorf("keep a certificate: %w", err)
	}
	// The certificate last: until it is there, good finds the pair unfit.
	err = errors.Join(
		writeFile(f.Authority, encodeCertificate(a.cert.Raw), 0o644),
		writeFile(f.Key, pair.Key, 0o600),
		writeFile(f.Certificate, pair.Certificate, 0o644),
	)
	return f, err
}

func (a *Authority) good(f Files, fits func(*x509.Certificate) bool) bool {
	certPEM, err1 := os.ReadFile(f.Certificate)
	keyPEM, err2 := os.ReadFile(f.Key)
	caPEM, err3 := os.ReadFile(f.Authority)
	if errors.Join(err1, err2, err3) != nil {
		return false
	}
	cert, err1 := parseCertificate(certPEM)
	key, err2 := parseKey(keyPEM)
	ca, err3 := parseCertificate(caPEM)
	if errors.Join(err1, err2, err3) != nil || !ca.Equal(a.cert) || cert.CheckSignatureFrom(a.cert) != nil {
		return false
	}
	pub, ok := cert.PublicKey.(*ecdsa.PublicKey)
	return ok && pub.Equal(&key.PublicKey) && a.now().Before(cert.NotAfter.Add(-LeafLife/3)) && fits(cert)
}

func nodeURI(node station.NodeID) *url.URL {
	return &url.URL{Scheme: "urn", Opaque: "cityops:node:" + string(node)}
}

// NodeOf is the node that a verified certificate belongs to. Both of its names
// must agree.
func NodeOf(c *x509.Certificate) (station.NodeID, error) {
	node := station.NodeID(c.Subject.CommonName)
	if err := node.Validate(); err != nil {
		return "", fmt.Errorf("certificate: %w", err)
	}
	if len(c.URIs) != 1 || c.URIs[0].String() != nodeURI(node).String() {
		return "", fmt.Errorf("certificate: %q is no node's", c.Subject.CommonName)
	}
	return node, nil
}

func keyID(pub *ecdsa.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, fmt.Errorf("encode a public key: %w", err)
	}
	sum := sha256.Sum256(der)
	return sum[:20], nil
}

func serial() *big.Int {
	var b [16]byte
	_, _ = rand.Read(b[:]) // crypto/rand.Read never fails since Go 1.24
	b[0] &= 0x7f
	return new(big.Int).SetBytes(b[:])
}

func encodeCertificate(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode a key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func parseCertificate(b []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(b)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("no PEM certificate in it")
	}
	return x509.ParseCertificate(block.Bytes)
}

func parseKey(b []byte) (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode(b)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, errors.New("no PEM private key in it")
	}
	k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	key, ok := k.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("a key of type %T, want ECDSA", k)
	}
	return key, nil
}
