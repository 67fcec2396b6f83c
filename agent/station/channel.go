package station

import "time"

// The kinds of channel, and of telling beside them.
const (
	ChannelRobot   = "wecom-robot" // 企业微信 / 政务微信 group robot
	ChannelApp     = "wecom-app"   // … application message to a person
	ChannelSMS     = "sms"         // a text message through an HTTP gateway
	ChannelMail    = "mail"
	ChannelWebhook = "webhook"
	ChannelMQTT    = "mqtt" // a siren or strobe

	// TellingParent is no channel that can be set up: the parent centre.
	TellingParent = "parent"
)

// Channel is one way out of the station. Its secret lies apart, sealed.
type Channel struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Kind string `json:"kind"`
	// URL is where it goes: the base address of WeCom or of a private 政务微信,
	// the gateway, the webhook, smtp://host:587 or smtps://host:465. Empty for
	// MQTT.
	URL string `json:"url,omitempty"`
	// HasSecret tells that a secret is kept (robot key, application secret,
	// password, HMAC key); it is never shown.
	HasSecret bool `json:"hasSecret,omitempty"`
	// Authority is the PEM certificate of the authority that signed the other
	// end's; empty means those that the system trusts.
	Authority string `json:"authority,omitempty"`
	// Always are the severities of which it is told at once, whoever is on duty:
	// a siren, a group, a system. Empty tells it only as the way to a contact.
	Always   []Severity `json:"always,omitempty"`
	Disabled bool       `json:"disabled,omitempty"`

	// Username is the mail account, or the corporation's ID for wecom-app.
	Username string `json:"username,omitempty"`
	// From is the sender's mail address.
	From string `json:"from,omitempty"`
	// Agent is the application's number for wecom-app.
	Agent int `json:"agent,omitempty"`
	// Request is how a gateway for text messages is asked.
	Request *Request `json:"request,omitempty"`
	// Siren is what is published for MQTT.
	Siren *Siren `json:"siren,omitempty"`

	// Trouble is why messages do not get through at present; nil when they do.
	// It is told, and never set by who sets up the channel.
	Trouble *Trouble `json:"trouble,omitempty"`
}

// Trouble is a fault that stands.
type Trouble struct {
	Since   time.Time `json:"since"`
	Problem *Problem  `json:"problem"`
}

// Request is an HTTP request with places to fill: {to}, {text}, {link}, {key},
// {secret}, {time}. Each is escaped as the body's type asks.
type Request struct {
	Method string `json:"method,omitempty"` // POST (also when empty) or GET
	// Type is "form" or "json".
	Type string `json:"type"`
	// Fields of a form, or of the query with GET.
	Fields map[string]string `json:"fields,omitempty"`
	// Body is the JSON text with places inside its strings.
	Body string `json:"body,omitempty"`
	// Headers are sent with it.
	Headers map[string]string `json:"headers,omitempty"`
	// Field is the path in the JSON answer that decides, Value what it must be:
	// "code" and "0". Without Field any 2xx is a success.
	Field string `json:"field,omitempty"`
	Value string `json:"value,omitempty"`
}

// Siren is what is published to a siren or strobe.
type Siren struct {
	Broker string `json:"broker"` // its ID; "embedded" is the built-in one
	Topic  string `json:"topic"`
	On     string `json:"on"`  // payload at the alarm
	Off    string `json:"off"` // payload when it was answered or is over
	Retain bool   `json:"retain,omitempty"`
}

// ChannelLink is a channel with its secret.
type ChannelLink struct {
	Channel
	Secret Secret
}

// ChannelOrder is the body of channel.put; a secret equal to SecretMask keeps
// the one that is kept.
type ChannelOrder struct {
	Channel
	Secret Secret `json:"secret,omitempty"`
}

// ChannelTest is the body of channel.test: to whom, where the channel asks for
// an address.
type ChannelTest struct {
	To string `json:"to,omitempty"`
}

// ChannelTestResult is what became of a test message.
type ChannelTestResult struct {
	State   string   `json:"state"` // "sent", "delivered" or "failed"
	Problem *Problem `json:"problem,omitempty"`
}

// Message is what one channel is to say.
type Message struct {
	// Key is the same for every try of one message.
	Key string
	// To is the address on the channel; empty for channels that have none.
	To string
	// Station is who says it: the node's name.
	Station string
	// Alarm is what it is about.
	Alarm Alarm
	// Link answers 收到 when it is opened and confirmed; empty for none.
	Link string
	// Others are further alarms that go to the same address at the same moment,
	// of which people are told in one message; the first of them, and how many
	// there are.
	Others     []Alarm
	OtherCount int
	// Test marks a message that only tries the channel out.
	Test bool
	// Off ends what an earlier message began: the siren.
	Off bool
	At  time.Time
}

// Delivery is what became of a try to send.
type Delivery struct {
	// State is "sent" (taken by the next one on the way) or "delivered".
	State string
	// Final tells, of an error, that trying again is of no use.
	Final bool
	// RetryAfter is how long the other side asked to be left alone; zero when
	// it did not say.
	RetryAfter time.Duration
}

// CallOrder is the body of alarm.call: a telephone call that somebody made.
type CallOrder struct {
	To      string `json:"to"` // whom, as shown
	Reached bool   `json:"reached"`
	Note    string `json:"note,omitempty"`
}

// The commands about who is told.
const (
	CommandPutContact    = "contact.put"    // body Contact
	CommandRemoveContact = "contact.remove" // Subject contact
	CommandPutChannel    = "channel.put"    // body ChannelOrder
	CommandRemoveChannel = "channel.remove" // Subject channel
	CommandTestChannel   = "channel.test"   // Subject channel; body ChannelTest
	CommandPutDuty       = "duty.put"       // body Duty
	CommandLogCall       = "alarm.call"     // Subject alarm; body CallOrder
	CommandTestSound     = "sound.test"
)
