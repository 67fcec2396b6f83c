package rtsp

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"net"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"

	"stationd/agent/station"
)

const (
	// udpPatience is how long an automatic source waits for the first packet
	// over UDP.
	udpPatience = 3 * time.Second
	// udpBuffer is what the system is asked for; a key picture of a 4K camera
	// comes in one burst. It gives what it may.
	udpBuffer = 2 << 20
	// forgetTCP is how long an automatic source keeps to TCP.
	forgetTCP = 24 * time.Hour
)

// errNoUDP tells that nothing came that way.
var errNoUDP = errors.New("nothing comes over UDP")

// transport is how the next session brings its packets.
func (s *Source) transport() gortsplib.Transport {
	switch {
	case s.url.Scheme == "rtsps":
		return gortsplib.TransportTCP
	case s.cfg.Transport == station.TransportUDP:
		return gortsplib.TransportUDP
	case s.cfg.Transport == station.TransportMulticast:
		return gortsplib.TransportUDPMulticast
	case s.cfg.Transport == station.TransportAuto && (s.overTCP.IsZero() || time.Since(s.overTCP) > forgetTCP):
		return gortsplib.TransportUDP
	}
	return gortsplib.TransportTCP
}

// fallBack decides, after an automatic source's attempt over UDP, whether the
// next one is to use TCP at once.
func (s *Source) fallBack(se *session, err error) bool {
	if s.cfg.Transport != station.TransportAuto || se.transport != gortsplib.TransportUDP || se.picture.Load() != 0 {
		return false
	}
	var code liberrors.ErrClientBadStatusCode
	var asked liberrors.ErrClientServerRequestedTCP
	var ports liberrors.ErrClientServerPortsNotProvided
	var silent liberrors.ErrClientUDPTimeout
	switch {
	case errors.As(err, &code) && code.Code == base.StatusUnsupportedTransport, errors.As(err, &asked), errors.As(err, &ports):
		s.why = "the camera refuses UDP"
	case errors.Is(err, errNoUDP), errors.As(err, &silent):
		s.why = "nothing of the camera comes over UDP"
	default:
		return false
	}
	s.overTCP = time.Now()
	s.log.Info("camera is watched over TCP", "why", s.why)
	return true
}

var transportNames = map[gortsplib.Transport]station.Transport{
	gortsplib.TransportTCP:          station.TransportTCP,
	gortsplib.TransportUDP:          station.TransportUDP,
	gortsplib.TransportUDPMulticast: station.TransportMulticast,
}

// listenPacket opens a socket with as large a buffer as the system gives.
func listenPacket(network, address string) (net.PacketConn, error) {
	c, err := net.ListenPacket(network, address)
	if u, ok := c.(*net.UDPConn); ok {
		_ = u.SetReadBuffer(udpBuffer) // a smaller one loses more, and that is counted
	}
	return c, err
}

// tlsConfig holds the camera to its certificate.
func (s *Source) tlsConfig() *tls.Config {
	cfg := &tls.Config{ServerName: s.url.Hostname()}
	if s.cfg.Fingerprint == "" {
		return cfg
	}
	// Cameras sign their own certificates, for no name: that one is pinned.
	cfg.InsecureSkipVerify = true
	cfg.VerifyConnection = func(state tls.ConnectionState) error {
		if got := fingerprint(state.PeerCertificates[0].Raw); got != s.cfg.Fingerprint {
			return fail(station.CameraUntrusted, "the camera shows another certificate than the one that is known",
				"if it was renewed, enter its new fingerprint: "+got)
		}
		return nil
	}
	return cfg
}

func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// untrusted tells what to do about a certificate that nobody vouches for.
func untrusted(err *tls.CertificateVerificationError) *failure {
	hint := "install a certificate of your authority in the camera"
	if len(err.UnverifiedCertificates) > 0 {
		hint = "compare the fingerprint at the camera, then enter it: " + fingerprint(err.UnverifiedCertificates[0].Raw)
	}
	return fail(station.CameraUntrusted, "nobody vouches for the camera's certificate", hint)
}
