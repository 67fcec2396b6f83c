package onvif

import (
	"bytes"
	"net/netip"

	"stationd/devices/payload"
)

// What the fuzz targets reach into.

// ReadProfiles reads an answer's profiles.
func ReadProfiles(answer []byte) ([]Profile, error) {
	var reply struct {
		Profiles []answeredProfile
	}
	err := open(bytes.NewReader(answer), &reply)
	var out []Profile
	for _, a := range reply.Profiles {
		out = append(out, a.profile())
	}
	return out, err
}

// ReadEvents reads an answer's notifications.
func ReadEvents(answer []byte) ([]payload.Reading, error) {
	var reply struct {
		List []notification `xml:"NotificationMessage"`
	}
	err := open(bytes.NewReader(answer), &reply)
	var out []payload.Reading
	for _, n := range reply.List {
		n.origin()
		if _, r, ok := n.read(); ok {
			out = append(out, r)
		}
	}
	return out, err
}

// ReadMatches reads a datagram.
func ReadMatches(datagram []byte) []Found {
	return readMatches(datagram, netip.MustParseAddr("192.0.2.9"))
}

// ReadParams reads what stands in a challenge.
func ReadParams(text string) map[string]string { return readParams(text) }
