package agent

import (
	"encoding/hex"
	"net/url"
	"strings"

	"stationd/agent/station"
)

// How a camera's pictures come: addresses, transport, certificate.

// checkStreams checks them, and writes the addresses without credentials. What
// was in the address of the main stream is returned.
func checkStreams(c *station.Camera) (user string, password station.Secret, err error) {
	if c.URL, user, password, err = cameraAddress("url", c.URL); err != nil {
		return "", "", err
	}
	secure := strings.HasPrefix(c.URL, "rtsps:")
	if c.Sub != "" {
		var subUser string
		var subPassword station.Secret
		if c.Sub, subUser, subPassword, err = cameraAddress("sub", c.Sub); err != nil {
			return "", "", err
		}
		// The account of the camera is used for both, so both are one machine's.
		if !sameHost(c.URL, c.Sub) {
			return "", "", invalid("sub", "write the address of the same camera's other stream, with the same port", "the smaller stream is at another address than the main one")
		}
		if subUser != "" && subUser != user || subPassword != "" && subPassword != password {
			return "", "", invalid("sub", "leave user name and password out of this address", "the smaller stream has credentials of its own")
		}
		if c.Sub == c.URL {
			c.Sub = ""
		}
	}
	switch c.Transport {
	case "", station.TransportTCP, station.TransportAuto:
	case station.TransportUDP, station.TransportMulticast:
		if secure {
			return "", "", invalid("transport", "use tcp with rtsps", "what is encrypted comes over TCP")
		}
	default:
		return "", "", invalid("transport", "write tcp, udp, multicast or auto", "the transport %q is not known", c.Transport)
	}
	if c.Fingerprint != "" {
		plain := strings.ToLower(strings.NewReplacer(":", "", " ", "").Replace(c.Fingerprint))
		if b, err := hex.DecodeString(plain); err != nil || len(b) != 32 {
			return "", "", invalid("fingerprint", "write the certificate's SHA-256: 64 hexadecimal digits", "this is no fingerprint")
		}
		if !secure {
			return "", "", invalid("fingerprint", "write rtsps:// in the address, or leave the fingerprint out", "a camera without encryption shows no certificate")
		}
		c.Fingerprint = plain
	}
	if c.RecordSub && c.Sub == "" {
		return "", "", invalid("recordSub", "give the address of the smaller stream, or record the main one", "there is no smaller stream to record")
	}
	return user, password, nil
}

// cameraAddress takes the credentials out of a camera's address.
func cameraAddress(place, raw string) (clean, user string, password station.Secret, err error) {
	if clean, user, password, err = splitCredentials(raw); err != nil {
		return "", "", "", invalid(place, "write rtsp://address/path", "the address cannot be read")
	}
	if u, err := url.Parse(clean); err != nil || u.Scheme != "rtsp" && u.Scheme != "rtsps" || u.Hostname() == "" {
		return "", "", "", invalid(place, "write rtsp://address/path, or rtsps:// for an encrypted one", "this is no RTSP address")
	}
	return clean, user, password, nil
}
