package onviftest

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// events are the states of the device and who waits to hear of them.
type events struct {
	states  map[string]Event // the properties, by topic and source
	pulls   map[string]*pull
	made    int
	renewed int
	hung    bool
}

type pull struct {
	queue []string
	fresh chan struct{}
}

// Event is something that the device detects.
type Event struct {
	Topic        string // "tns1:VideoSource/MotionAlarm"
	Source, Of   string // an item of its source: its name and value
	Item, Value  string // of its data
	Moment       bool   // not a property: nothing says when it is over
	At           time.Time
	SecondSource string // another item, whose name is Rule
}

// Emit tells of an event.
func (d *Device) Emit(e Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := &d.events
	if e.At.IsZero() {
		e.At = time.Now().Add(d.quirks.ClockOffset)
	}
	operation := "Changed"
	if e.Moment {
		operation = ""
	} else {
		if s.states == nil {
			s.states = map[string]Event{}
		}
		s.states[e.Topic+"|"+e.Of] = e
	}
	for _, p := range s.pulls {
		p.push(e.xml(operation))
	}
}

func (p *pull) push(message string) {
	p.queue = append(p.queue, message)
	select {
	case p.fresh <- struct{}{}:
	default:
	}
}

// Listeners is how many subscriptions there are; Subscribed how many there were.
func (d *Device) Listeners() (now, ever int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.events.pulls), d.events.made
}

// Forget drops every subscription, as a restart does.
func (d *Device) Forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range d.events.pulls {
		close(p.fresh)
	}
	d.events.pulls = nil
}

// Hang ends the waiting of all who wait for events, for good.
func (d *Device) Hang() {
	d.mu.Lock()
	d.events.hung = true
	d.mu.Unlock()
	d.Forget()
}

func (e Event) xml(operation string) string {
	var attr, source, data string
	if operation != "" {
		attr = ` PropertyOperation="` + operation + `"`
	}
	if e.Source != "" {
		source = fmt.Sprintf(`<tt:SimpleItem Name="%s" Value="%s"/>`, escape(e.Source), escape(e.Of))
	}
	if e.SecondSource != "" {
		source += fmt.Sprintf(`<tt:SimpleItem Name="Rule" Value="%s"/>`, escape(e.SecondSource))
	}
	if e.Item != "" {
		data = fmt.Sprintf(`<tt:SimpleItem Name="%s" Value="%s"/>`, escape(e.Item), escape(e.Value))
	}
	return `<wsnt:NotificationMessage><wsnt:Topic Dialect="http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet">` + escape(e.Topic) +
		`</wsnt:Topic><wsnt:Message><tt:Message UtcTime="` + e.At.UTC().Format("2006-01-02T15:04:05.000Z") + `"` + attr + `><tt:Source>` + source +
		`</tt:Source><tt:Data>` + data + `</tt:Data></tt:Message></wsnt:Message></wsnt:NotificationMessage>`
}

// initial are the properties as they are.
func (s *events) initial(p *pull) {
	for _, key := range slices.Sorted(maps.Keys(s.states)) {
		p.push(s.states[key].xml("Initialized"))
	}
}

func (d *Device) syncEvents(r *http.Request) (reply, fault string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.events.pulls[r.URL.Query().Get("sub")]
	if p == nil {
		return "", "ResourceUnknown"
	}
	d.events.initial(p)
	return `<tev:SetSynchronizationPointResponse/>`, ""
}

func (d *Device) answerEvents(r *http.Request, op node, q Quirks) (reply, fault string) {
	id := r.URL.Query().Get("sub")
	if op.XMLName.Local == "CreatePullPointSubscription" {
		d.mu.Lock()
		defer d.mu.Unlock()
		s := &d.events
		if s.hung {
			return "", "ResourceUnknown"
		}
		if s.pulls == nil {
			s.pulls = map[string]*pull{}
		}
		if len(s.pulls) >= 10 {
			return "", "MaxPullPoints"
		}
		s.made++
		id = strconv.Itoa(s.made)
		s.pulls[id] = &pull{fresh: make(chan struct{}, 1)}
		return `<tev:CreatePullPointSubscriptionResponse><tev:SubscriptionReference><wsa5:Address>` + d.here(r, q, "/onvif/events?sub="+id) +
			`</wsa5:Address></tev:SubscriptionReference><wsnt:CurrentTime>2026-01-01T00:00:00Z</wsnt:CurrentTime></tev:CreatePullPointSubscriptionResponse>`, ""
	}
	d.mu.Lock()
	p := d.events.pulls[id]
	d.mu.Unlock()
	if p == nil {
		return "", "ResourceUnknown"
	}
	switch op.XMLName.Local {
	case "Renew":
		d.mu.Lock()
		d.events.renewed++
		d.mu.Unlock()
		return `<wsnt:RenewResponse/>`, ""
	case "Unsubscribe":
		d.mu.Lock()
		delete(d.events.pulls, id)
		d.mu.Unlock()
		return `<wsnt:UnsubscribeResponse/>`, ""
	}
	wait, err := time.ParseDuration(strings.ToLower(strings.TrimPrefix(strings.TrimSpace(op.find("Timeout").Text), "PT")))
	if err != nil {
		return "", "InvalidArgVal"
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		d.mu.Lock()
		queue := p.queue
		p.queue = nil
		d.mu.Unlock()
		if len(queue) > 0 {
			return `<tev:PullMessagesResponse>` + strings.Join(queue, "") + `</tev:PullMessagesResponse>`, ""
		}
		select {
		case _, open := <-p.fresh:
			if !open {
				return "", "ResourceUnknown"
			}
		case <-timer.C:
			return `<tev:PullMessagesResponse/>`, ""
		case <-r.Context().Done():
			return "", "ResourceUnknown"
		}
	}
}
