package protocol

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"stationd/agent/station"
)

// Enrolment speaks HTTPS with the parent's own port, three resources:
//
//	GET  AuthorityPath    who vouches for the parent?    → 200, PEM
//	POST EnrolmentPath    Enrolment: here is my code     → 201, Enrolled
//	POST CertificatePath  Renewal, over mutual TLS       → 201, Enrolled
//
// The first is asked before anything is trusted: what comes is held against the
// print in the code, and only then the code travels. Errors are problem documents.
const (
	AuthorityPath   = "/uplink/v1/authority"
	EnrolmentPath   = "/uplink/v1/enrolment"
	CertificatePath = "/uplink/v1/certificate"
	// EnrolmentPort is tried where a centre's address names no port.
	EnrolmentPort = 8884
	// MaxEnrolmentBytes bounds every message of an enrolment.
	MaxEnrolmentBytes = 32 << 10
)

// Enrolment redeems a code.
type Enrolment struct {
	// Code is the code's secret part alone, as Secret says it.
	Code string `json:"code"`
	// Node is who the station is already; empty for one that takes any name.
	Node station.NodeID `json:"node,omitempty"`
	// Request is a PEM certificate request; its key never leaves the station.
	Request  string `json:"request"`
	Software string `json:"software,omitempty"`
}

// Renewal asks for the next certificate with the one that is still good.
type Renewal struct {
	Request string `json:"request"`
}

// Enrolled is the answer to both.
type Enrolled struct {
	Node        station.NodeID `json:"node"`
	Parent      station.NodeID `json:"parent"`
	ParentName  string         `json:"parentName,omitempty"`
	Certificate string         `json:"certificate"`
	Authority   string         `json:"authority"`
	// EventPort is where the parent takes MQTT, on the host that was dialled.
	EventPort int       `json:"eventPort"`
	Expires   time.Time `json:"expires"`
	// Time is the parent's clock.
	Time time.Time `json:"time"`
}

// ClaimCode is what an operator carries from a centre to a station: a secret that
// works once, and the print of the centre's authority, so that the code reaches
// nobody else.
type ClaimCode struct {
	secret [9]byte
	print  [10]byte
}

// claimLetters are Crockford's: without I, L, O and U.
var claimLetters = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

// NewClaimCode draws a code for the authority with that public key.
func NewClaimCode(publicKey []byte) ClaimCode {
	var c ClaimCode
	_, _ = rand.Read(c.secret[:]) // crypto/rand.Read never fails since Go 1.24
	c.print = printOf(publicKey)
	return c
}

func printOf(publicKey []byte) (p [10]byte) {
	sum := sha256.Sum256(publicKey)
	copy(p[:], sum[:])
	return p
}

// Secret is the part that the parent knows by its digest.
func (c ClaimCode) Secret() string { return hex.EncodeToString(c.secret[:]) }

// IsOf tells whether the code was made by the authority with that public key.
func (c ClaimCode) IsOf(publicKey []byte) bool { return c.print == printOf(publicKey) }

// String is the code in eight groups of four. Its last letters tell a slip of the
// pen from a code that is not known.
func (c ClaimCode) String() string {
	raw := append(append([]byte{}, c.secret[:]...), c.print[:]...)
	sum := sha256.Sum256(raw)
	s := claimLetters.EncodeToString(append(raw, sum[0]))
	var groups []string
	for ; len(s) > 0; s = s[4:] {
		groups = append(groups, s[:4])
	}
	return strings.Join(groups, "-")
}

// ParseClaim takes apart what was typed: a code, or a centre's address, a slash
// and the code. The address is host:port, or empty.
func ParseClaim(typed string) (address string, c ClaimCode, err error) {
	address, text, found := strings.Cut(strings.TrimSpace(typed), "/")
	if !found {
		address, text = "", address
	}
	if address != "" {
		if address, err = EnrolmentAddress(address); err != nil {
			return "", c, err
		}
	}
	letters := strings.Map(func(r rune) rune {
		switch r {
		case '-', ' ', '\t', '\n', '\r':
			return -1
		case 'o', 'O':
			return '0'
		case 'i', 'I', 'l', 'L':
			return '1'
		}
		return r
	}, text)
	raw, err := claimLetters.DecodeString(strings.ToUpper(letters))
	if err != nil || len(raw) != len(c.secret)+len(c.print)+1 {
		return "", c, station.Errorf(400, "enrol.code-form", "copy the whole code: eight groups of four letters and digits", "this is no enrolment code")
	}
	if sum := sha256.Sum256(raw[:len(raw)-1]); sum[0] != raw[len(raw)-1] {
		return "", c, station.Errorf(400, "enrol.code-slip", "compare it with the code at the centre, letter by letter", "the code has a typing mistake")
	}
	copy(c.secret[:], raw)
	copy(c.print[:], raw[len(c.secret):])
	return address, c, nil
}

// EnrolmentAddress is host:port of what was typed as a centre's address.
func EnrolmentAddress(typed string) (string, error) {
	typed = strings.TrimPrefix(strings.TrimSpace(typed), "https://")
	host, port, err := net.SplitHostPort(typed)
	if err != nil {
		host, port = strings.Trim(typed, "[]"), strconv.Itoa(EnrolmentPort)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || host == "" || len(host) > 253 || strings.ContainsAny(host, " /?#@%") {
		return "", station.Errorf(400, "enrol.address", "write the centre's name or address, with :port if it is not "+strconv.Itoa(EnrolmentPort), "%.80q is no address of a centre", typed)
	}
	return net.JoinHostPort(host, port), nil
}

// CheckEnrolled reports what is missing of an answer.
func CheckEnrolled(e Enrolled) error {
	if err := e.Node.Validate(); err != nil {
		return malformed(err)
	}
	if e.Certificate == "" || e.Authority == "" || e.EventPort < 1 || e.EventPort > 65535 {
		return malformed(fmt.Errorf("the certificate, the authority or the port is missing"))
	}
	return nil
}
