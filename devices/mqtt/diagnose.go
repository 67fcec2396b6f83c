package mqtt

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"stationd/agent/station"
)

// refusedTopic is a subscription that the broker did not grant.
type refusedTopic struct{ topic string }

func (e *refusedTopic) Error() string {
	return fmt.Sprintf("subscribe: the broker refuses topic %q", e.topic)
}

// diagnose turns what went wrong into a sentence and a remedy.
func diagnose(err error, t Target) *station.Problem {
	problem := func(code, hint, format string, args ...any) *station.Problem {
		return station.Errorf(503, code, hint, format, args...).Because(err)
	}
	address := Shown(t.URL)
	var (
		topic     *refusedTopic
		dns       *net.DNSError
		authority x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
		record    tls.RecordHeaderError
	)
	if p, ok := station.AsProblem(err); ok {
		return p
	}
	switch {
	case errors.Is(err, packets.ErrorRefusedBadUsernameOrPassword), errors.Is(err, packets.ErrorRefusedNotAuthorised):
		return problem("broker.login", "correct the name and the password of the broker", "the broker %s refuses the login of %q", address, t.Username)
	case errors.Is(err, packets.ErrorRefusedIDRejected):
		return problem("broker.client-id", "allow this client id at the broker", "the broker %s refuses the client id %q", address, t.ClientID)
	case errors.As(err, &topic):
		return problem("broker.topic", "correct the topic, or grant it to this account at the broker", "the broker %s refuses the topic %q", address, topic.topic)
	case errors.As(err, &authority):
		return problem("broker.certificate", "give the authority's certificate as link.ca_file", "the certificate of %s is from an authority that is not known here", address)
	case errors.As(err, &host), errors.As(err, &invalid):
		return problem("broker.certificate", "correct the host in the URL, the broker's certificate or this machine's clock", "the certificate of %s is not valid", address)
	case errors.As(err, &record):
		return problem("broker.tls", "write mqtt:// for a broker without TLS", "there is no TLS at %s", address)
	case errors.As(err, &dns):
		return problem("broker.host", "correct the host in the URL, or this machine's DNS", "the host of %s is not found", address)
	case errors.Is(err, syscall.ECONNREFUSED):
		return problem("broker.refused", "start the broker, or correct the port in the URL", "nothing listens at %s", address)
	case errors.Is(err, errLost):
		return problem("broker.lost", "see whether the broker and the network to it are up", "the connection to %s was lost", address)
	}
	return problem("broker.unreachable", "see whether the broker and the network to it are up", "the broker %s does not answer", address)
}
