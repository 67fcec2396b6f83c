package notify

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/mail"
	"net/url"
	"slices"
	"strings"

	"stationd/agent/station"
)

// Check tells what is wrong with a channel's settings, at which place and what
// to do about it. It asks nobody outside.
func Check(c station.Channel) error {
	bad := func(place, hint, format string, args ...any) error {
		return station.Errorf(http.StatusBadRequest, "channel.invalid", hint, format, args...).At(place)
	}
	if c.Authority != "" {
		if _, err := tlsConfig(station.ChannelLink{Channel: c}); err != nil {
			return bad("authority", "paste the certificate, from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----", "the authority's certificate cannot be read")
		}
	}
	address := func(schemes ...string) error {
		u, err := url.Parse(c.URL)
		if err != nil || u.Hostname() == "" || !slices.Contains(schemes, u.Scheme) || u.User != nil {
			return bad("url", "write "+strings.Join(schemes, ":// or ")+"://address, without user name and password", "this is no address for the channel")
		}
		return nil
	}
	switch c.Kind {
	case station.ChannelRobot:
		return address("https", "http")
	case station.ChannelApp:
		switch {
		case c.Username == "":
			return bad("username", "give the corporation's ID (CorpID)", "the channel does not say whose application it is")
		case c.Agent <= 0:
			return bad("agent", "give the application's number (AgentId)", "the channel names no application")
		}
		return address("https", "http")
	case station.ChannelSMS:
		if err := checkRequest(c.Request, bad); err != nil {
			return err
		}
		return address("https", "http")
	case station.ChannelMail:
		if _, err := mail.ParseAddress(c.From); err != nil {
			return bad("from", "write an address, for example station@example.org", "%q is no mail address", c.From)
		}
		return address("smtps", "smtp")
	case station.ChannelWebhook:
		return address("https", "http")
	case station.ChannelMQTT:
		return checkSiren(c.Siren, bad)
	}
	return bad("kind", "use "+strings.Join(Kinds(), ", "), "there is no kind of channel %q", c.Kind)
}

// Kinds lists the kinds of channel.
func Kinds() []string {
	return []string{station.ChannelRobot, station.ChannelApp, station.ChannelSMS, station.ChannelMail, station.ChannelWebhook, station.ChannelMQTT}
}

type fault func(place, hint, format string, args ...any) error

func checkRequest(q *station.Request, bad fault) error {
	if q == nil {
		return bad("request", "say what the gateway is sent", "the channel does not say how its gateway is asked")
	}
	if q.Method != "" && q.Method != http.MethodPost && q.Method != http.MethodGet {
		return bad("request.method", "use POST or GET", "%q cannot be used", q.Method)
	}
	all := q.Body
	switch q.Type {
	case "form":
		for _, name := range slices.Sorted(maps.Keys(q.Fields)) {
			all += q.Fields[name]
		}
		if len(q.Fields) == 0 {
			return bad("request.fields", "name the gateway's fields, for example mobile: {to}", "the form is empty")
		}
	case "json":
		if !json.Valid([]byte(q.Body)) {
			return bad("request.body", "write JSON, with the places inside its strings", "the body is no JSON")
		}
		if q.Method == http.MethodGet {
			return bad("request.method", "use POST", "a GET has no JSON body")
		}
	default:
		return bad("request.type", "use form or json", "there is no type of request %q", q.Type)
	}
	for _, place := range []string{"{to}", "{text}"} {
		if !strings.Contains(all, place) {
			return bad("request", fmt.Sprintf("put %s where the gateway wants it", place), "the request does not use %s", place)
		}
	}
	for name, text := range q.Headers {
		if name == "" || strings.ContainsAny(name+text, "\r\n") {
			return bad("request.headers", "use names and texts of one line", "the header %q cannot be used", name)
		}
	}
	if q.Field == "" && q.Value != "" {
		return bad("request.field", "name the field of the answer, for example code", "a value is wanted of no field")
	}
	return nil
}

func checkSiren(s *station.Siren, bad fault) error {
	switch {
	case s == nil:
		return bad("siren", "give broker, topic and payloads", "the channel does not say what is published")
	case s.Broker == "":
		return bad("siren.broker", "name the broker; the built-in one is "+station.EmbeddedBroker, "the siren has no broker")
	case s.Topic == "" || strings.ContainsAny(s.Topic, "+#\x00"):
		return bad("siren.topic", "give one topic, without + and #", "%q cannot be published to", s.Topic)
	case s.On == "" || s.Off == "":
		return bad("siren.on", "give what switches it on, and what switches it off", "a payload is missing")
	}
	return nil
}
