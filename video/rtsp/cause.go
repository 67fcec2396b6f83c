package rtsp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"

	"stationd/agent/station"
)

// failure is why there is no picture, in words for the person who has to do
// something about it.
type failure struct {
	status station.CameraStatus
	cause  string
	hint   string
	err    error // internal, without credentials
}

func (f *failure) Error() string {
	if f.err == nil {
		return f.cause
	}
	return f.cause + ": " + f.err.Error()
}

func (f *failure) Unwrap() error { return f.err }

func fail(status station.CameraStatus, cause, hint string) *failure {
	return &failure{status: status, cause: cause, hint: hint}
}

// What the source itself finds.
var (
	errRedirect = errors.New("redirected to another host")
	errLoop     = errors.New("redirected too often")
)

// diagnose turns what a connection ended with into a failure.
func (s *Source) diagnose(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	f = s.classify(err)
	f.err = errors.New(s.redact(err.Error()))
	return f
}

func (s *Source) classify(err error) *failure {
	var code liberrors.ErrClientBadStatusCode
	if errors.As(err, &code) {
		return s.classifyStatus(code.Code)
	}
	var auth liberrors.ErrClientAuthSetup
	if errors.As(err, &auth) {
		return fail(station.CameraUnauthorized, "the camera asks for a way of logging in that is not known",
			"set the camera's RTSP authentication to digest")
	}
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &certificate) {
		return untrusted(certificate)
	}
	var plain tls.RecordHeaderError
	if errors.As(err, &plain) {
		return fail(station.CameraUnsupported, "the camera does not speak TLS at this address",
			"write rtsp:// in the address, or the port of its encrypted service (usually 322)")
	}
	if s.badTransport(err) {
		return s.noTransport()
	}
	var sdp liberrors.ErrClientSDPInvalid
	if errors.As(err, &sdp) {
		return fail(station.CameraUnsupported, "the camera's description of its video cannot be read",
			"try another stream of the camera, or update its firmware")
	}

	const wiring = "check the camera's power, its network cable and the address"
	var dns *net.DNSError
	var timeout net.Error
	var requestTimeout liberrors.ErrClientRequestTimedOut
	var mediaTimeout liberrors.ErrClientTCPTimeout
	var udpTimeout liberrors.ErrClientUDPTimeout
	switch {
	case errors.Is(err, errRedirect), errors.Is(err, errLoop):
		return fail(station.CameraUnsupported, "the camera sends us to another address",
			"enter the address of the device that really sends the video")
	case errors.As(err, &dns):
		return fail(station.CameraOffline, "the camera's host name is unknown",
			"enter the camera's IP address, or check the name server")
	case errors.Is(err, syscall.ECONNREFUSED):
		return fail(station.CameraOffline, "nothing listens at the camera's address",
			"check the port (usually 554) and that RTSP is switched on in the camera")
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return fail(station.CameraOffline, "there is no way to the camera", wiring)
	case errors.As(err, &mediaTimeout), errors.As(err, &udpTimeout):
		return fail(station.CameraOffline, "the camera has stopped sending", wiring)
	case errors.As(err, &requestTimeout), errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded),
		errors.As(err, &timeout) && timeout.Timeout():
		return fail(station.CameraOffline, "the camera does not answer", wiring)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, net.ErrClosed):
		return fail(station.CameraOffline, "the camera has closed the connection",
			"it may be starting again; if this goes on, check it in its own web page")
	}
	return fail(station.CameraOffline, "the connection to the camera has failed",
		"the log has the details")
}

// badTransport tells that the camera wants its packets to go another way.
func (s *Source) badTransport(err error) bool {
	var header liberrors.ErrClientTransportHeaderInvalid
	var udp liberrors.ErrClientServerRequestedUDP
	var tcp liberrors.ErrClientServerRequestedTCP
	var ports liberrors.ErrClientServerPortsNotProvided
	var delivery liberrors.ErrClientTransportHeaderInvalidDelivery
	var group liberrors.ErrClientTransportHeaderNoDestination
	var channels liberrors.ErrClientTransportHeaderInterleavedIDsInUse
	return errors.As(err, &header) || errors.As(err, &udp) || errors.As(err, &tcp) ||
		errors.As(err, &ports) || errors.As(err, &delivery) || errors.As(err, &group) || errors.As(err, &channels)
}

func (s *Source) noTransport() *failure {
	switch s.cfg.Transport {
	case station.TransportUDP:
		return fail(station.CameraUnsupported, "the camera does not send its video over UDP", "set the transport to TCP or automatic")
	case station.TransportMulticast:
		return fail(station.CameraUnsupported, "the camera does not send its video by multicast",
			"switch multicast on in the camera's settings, or set the transport to TCP")
	}
	return fail(station.CameraUnsupported, "the camera does not send its video over TCP",
		"allow RTP over RTSP (TCP) in the camera's settings")
}

func (s *Source) classifyStatus(code base.StatusCode) *failure {
	var f *failure
	switch code {
	case base.StatusUnauthorized:
		f = fail(station.CameraUnauthorized, "the camera refuses the user name or password",
			"enter them again; too many attempts lock the camera's account for a while")
		if s.cfg.Username == "" {
			f = fail(station.CameraUnauthorized, "the camera asks for a user name and password", "enter them")
		}
	case base.StatusForbidden:
		f = fail(station.CameraUnauthorized, "the camera's account may not see this stream",
			"give the account the right to watch, in the camera's settings")
	case base.StatusNotEnoughBandwidth, base.StatusServiceUnavailable:
		f = fail(station.CameraNoSlot, "the camera has no free session",
			"end other programs that watch this camera, or raise its number of sessions")
	case base.StatusNotFound, base.StatusGone, base.StatusBadRequest:
		f = fail(station.CameraOffline, "the camera does not know this stream",
			"check the path of the address; the camera's manual lists it")
	case base.StatusUnsupportedTransport:
		f = s.noTransport()
	default:
		f = fail(station.CameraOffline, "the camera has refused", "the log has the details")
	}
	f.cause += fmt.Sprintf(" (RTSP %d)", code)
	return f
}

// redact takes the credentials out of a foreign error's text.
func (s *Source) redact(text string) string {
	for _, secret := range s.secrets {
		text = strings.ReplaceAll(text, secret, station.SecretMask)
	}
	return text
}
