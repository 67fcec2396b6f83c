package protocol

import "stationd/agent/station"

// The problems of the wire. Their codes are part of the protocol.
var (
	// ErrMalformed is for what is not our language at all.
	ErrMalformed = &station.Problem{Code: "uplink.malformed", Status: 400, Message: "the message cannot be read", Hint: "update the end that sent it, or look for a stranger on the topic"}
	// ErrTooLarge is for what exceeds the limits of this package.
	ErrTooLarge = &station.Problem{Code: "uplink.too-large", Status: 413, Message: "the message is larger than the protocol allows", Hint: "send smaller batches"}
	// ErrVersion is for a protocol version that this program does not speak.
	ErrVersion = &station.Problem{Code: "uplink.version", Status: 505, Message: "the two ends speak no common version of the protocol", Hint: "update the older end; this one speaks version 1"}
	// ErrNoSession is the parent's answer to a station that it does not know
	// (any more): say hello again.
	ErrNoSession = &station.Problem{Code: "uplink.no-session", Status: 409, Message: "this session is not known here", Hint: "say hello again"}
	// ErrExpired is for a signal or command that came too late to be obeyed.
	ErrExpired = &station.Problem{Code: "uplink.expired", Status: 410, Message: "this came too late", Hint: "ask again; check the clocks of both ends when it happens often"}
)
