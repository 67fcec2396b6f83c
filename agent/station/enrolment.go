package station

import "time"

// Enrolment is what a centre knows of one station's way in: the code that it may
// come with, and the certificates that it has.
type Enrolment struct {
	Node NodeID `json:"node"`
	// Name is how the operator calls it.
	Name string        `json:"name,omitempty"`
	Code EnrolmentCode `json:"code,omitzero"`
	// Certificates are those that were signed here, the oldest first; long gone ones
	// are forgotten.
	Certificates []NodeCertificate `json:"certificates,omitempty"`
	// EnrolledOnly tells that no certificate but these is good any more. Before its
	// first enrolment a station may have one that was issued by hand.
	EnrolledOnly bool `json:"enrolledOnly,omitempty"`
	// ClosedAt is since when the station is shut out; a new code opens again when its
	// certificate is first used.
	ClosedAt  time.Time `json:"closedAt,omitzero"`
	ClosedBy  string    `json:"closedBy,omitempty"`
	ClosedWhy string    `json:"closedWhy,omitempty"`
}

// CodeState is what has become of an enrolment code.
type CodeState string

// The states of a code. One that waits and whose time is over is expired.
const (
	CodeWaiting   CodeState = "waiting"
	CodeUsed      CodeState = "used"
	CodeWithdrawn CodeState = "withdrawn"
	CodeExpired   CodeState = "expired"
)

// EnrolmentCode is all that is told of a code that was made.
type EnrolmentCode struct {
	State   CodeState `json:"state"`
	By      string    `json:"by"`
	ByName  string    `json:"byName,omitempty"`
	MadeAt  time.Time `json:"madeAt"`
	Expires time.Time `json:"expires"`
	// UsedAt and UsedFrom are when it was used and from which address.
	UsedAt   time.Time `json:"usedAt,omitzero"`
	UsedFrom string    `json:"usedFrom,omitempty"`
}

// NodeCertificate is one certificate of a station.
type NodeCertificate struct {
	Serial  string    `json:"serial"`
	Issued  time.Time `json:"issued"`
	Expires time.Time `json:"expires"`
	// Renewal tells that it was asked for with an earlier one.
	Renewal bool `json:"renewal,omitempty"`
	// UsedAt is when it was first used.
	UsedAt    time.Time `json:"usedAt,omitzero"`
	RevokedAt time.Time `json:"revokedAt,omitzero"`
	// RevokedWhy is "replaced" or "revoked".
	RevokedWhy string `json:"revokedWhy,omitempty"`
}

// The types of command about who may come in below.
const (
	CommandMakeEnrolment     = "enrolment.make"     // Subject node; body EnrolmentOrder; result EnrolmentTicket
	CommandWithdrawEnrolment = "enrolment.withdraw" // Subject node
	CommandRevokeEnrolment   = "enrolment.revoke"   // Subject node; body RevocationOrder
)

// EnrolmentOrder asks for a code.
type EnrolmentOrder struct {
	Name string `json:"name,omitempty"`
	// Hours is how long the code can be used: 1 to 168; 0 is a day.
	Hours int `json:"hours,omitempty"`
}

// EnrolmentTicket is a code, shown this once.
type EnrolmentTicket struct {
	Node NodeID `json:"node"`
	// Code is empty when the order is repeated: it is shown once.
	Code string `json:"code,omitempty"`
	// Addresses are where the station finds this centre, host:port.
	Addresses []string  `json:"addresses,omitempty"`
	Expires   time.Time `json:"expires"`
}

// RevocationOrder shuts a station out.
type RevocationOrder struct {
	Why string `json:"why"`
}
