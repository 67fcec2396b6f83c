package onvif

import (
	"context"
	"encoding/xml"
	"fmt"
	"net/url"
	"strings"
	"time"

	"stationd/agent/station"
)

// A pull point is where a device lays down what it detects until it is fetched.
// These messages are written here and not taken from the library, whose types for
// them have other namespaces than devices read.

const (
	// lease is how long the device keeps a pull point that is not renewed.
	lease = time.Minute
	// pullFor is how long a device may hold the answer back until it has news.
	pullFor = 10 * time.Second
	// pullMost is how many messages are asked for at once; more than that in an
	// answer is left unread.
	pullMost = 100
)

type (
	createPullPoint struct {
		XMLName  string `xml:"tev:CreatePullPointSubscription"`
		Lifetime string `xml:"tev:InitialTerminationTime"`
	}
	pullMessages struct {
		XMLName string `xml:"tev:PullMessages"`
		Timeout string `xml:"tev:Timeout"`
		Limit   int    `xml:"tev:MessageLimit"`
	}
	syncEvents struct {
		XMLName string `xml:"tev:SetSynchronizationPoint"`
	}
	renew struct {
		XMLName  string `xml:"wsnt:Renew"`
		Lifetime string `xml:"wsnt:TerminationTime"`
	}
	unsubscribe struct {
		XMLName string `xml:"wsnt:Unsubscribe"`
	}
)

// pullPoint is a subscription.
type pullPoint struct {
	c       *Client
	at      *url.URL
	headers string // the device's own parameters, which go back with each request
	ends    time.Time
}

// subscribe makes a pull point.
func (c *Client) subscribe(ctx context.Context) (*pullPoint, error) {
	at, ok := c.service(nsEvents)
	if !ok {
		return nil, errUnsupported
	}
	var reply struct {
		Reference struct {
			Address    string `xml:"Address"`
			Parameters struct {
				List []struct {
					XMLName xml.Name
					Text    string `xml:",chardata"`
				} `xml:",any"`
			} `xml:"ReferenceParameters"`
		} `xml:"SubscriptionReference"`
	}
	header := addressing(at, "http://www.onvif.org/ver10/events/wsdl/EventPortType/CreatePullPointSubscriptionRequest")
	if err := c.ask(ctx, at, header, createPullPoint{Lifetime: duration(lease)}, &reply, c.cfg.Timeout); err != nil {
		return nil, err
	}
	p := &pullPoint{c: c, at: at, ends: time.Now().Add(lease)}
	if u, ok := c.reachable(reply.Reference.Address); ok {
		p.at = u
	}
	var b strings.Builder
	list := reply.Reference.Parameters.List
	for _, par := range list[:min(len(list), 8)] {
		if name := par.XMLName.Local; len(par.Text) < 1000 {
			fmt.Fprintf(&b, `<p:%s xmlns:p="%s" wsa:IsReferenceParameter="true">%s</p:%s>`, name, escape(par.XMLName.Space), escape(strings.TrimSpace(par.Text)), name)
		}
	}
	p.headers = b.String()
	return p, nil
}

func duration(d time.Duration) string { return fmt.Sprintf("PT%dS", int(d.Seconds())) }

// addressing are the headers of WS-Addressing, without which many devices do not
// listen.
func addressing(to *url.URL, action string) string {
	return `<wsa:Action s:mustUnderstand="1">` + action + `</wsa:Action><wsa:MessageID>urn:uuid:` + station.NewID() +
		`</wsa:MessageID><wsa:ReplyTo><wsa:Address>http://www.w3.org/2005/08/addressing/anonymous</wsa:Address></wsa:ReplyTo><wsa:To s:mustUnderstand="1">` + escape(to.String()) + `</wsa:To>`
}

func (p *pullPoint) ask(ctx context.Context, action string, body, reply any, within time.Duration) error {
	return p.c.ask(ctx, p.at, addressing(p.at, action)+p.headers, body, reply, within)
}

// pull waits for news, and renews the subscription in time.
func (p *pullPoint) pull(ctx context.Context) ([]notification, error) {
	if time.Until(p.ends) < lease/2 {
		err := p.ask(ctx, "http://docs.oasis-open.org/wsn/bw-2/SubscriptionManager/RenewRequest", renew{Lifetime: duration(lease)}, nil, p.c.cfg.Timeout)
		if prob, ok := station.AsProblem(err); err != nil && (!ok || prob.Code != errUnsupported.Code) {
			return nil, err
		}
		p.ends = time.Now().Add(lease) // where it cannot be renewed a pull does that
	}
	var reply struct {
		List []notification `xml:"NotificationMessage"`
	}
	err := p.ask(ctx, "http://www.onvif.org/ver10/events/wsdl/PullPointSubscription/PullMessagesRequest",
		pullMessages{Timeout: duration(pullFor), Limit: pullMost}, &reply, pullFor+p.c.cfg.Timeout)
	return reply.List[:min(len(reply.List), 4*pullMost)], err
}

// sync asks for the states that there are, once more.
func (p *pullPoint) sync(ctx context.Context) error {
	return p.ask(ctx, "http://www.onvif.org/ver10/events/wsdl/PullPointSubscription/SetSynchronizationPointRequest", syncEvents{}, nil, p.c.cfg.Timeout)
}

// close lets the device forget it: devices have few.
func (p *pullPoint) close(ctx context.Context) error {
	return p.ask(ctx, "http://docs.oasis-open.org/wsn/bw-2/SubscriptionManager/UnsubscribeRequest", unsubscribe{}, nil, p.c.cfg.Timeout)
}

// notification is one message of a pull point.
type notification struct {
	Topic   string
	Message struct {
		At        string `xml:"UtcTime,attr"`
		Operation string `xml:"PropertyOperation,attr"`
		Source    items  `xml:"Source"`
		Key       items  `xml:"Key"`
		Data      items  `xml:"Data"`
	} `xml:"Message>Message"`
}

type items struct {
	List []struct {
		Name  string `xml:"Name,attr"`
		Value string `xml:"Value,attr"`
	} `xml:"SimpleItem"`
}

// value finds an item by one of its names.
func (i items) value(names ...string) (string, bool) {
	for _, name := range names {
		for _, item := range i.List {
			if strings.EqualFold(item.Name, name) {
				return strings.TrimSpace(item.Value), true
			}
		}
	}
	return "", false
}
