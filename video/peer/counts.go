package peer

import "time"

// Counts is what a session did so far.
type Counts struct {
	// Packets and Bytes of payload, sent for the first time or received.
	Packets, Bytes uint64
	// Repaired packets, and their bytes: sent again, or received after asking.
	Repaired, RepairedBytes uint64
	// Refused are repetitions that were asked for and that the bounds forbade.
	Refused uint64
	// Skipped are pictures that were left out because the peer was slow.
	Skipped uint64
	// Restarts is how often the pictures since the last key picture were sent
	// anew, or asked for.
	Restarts uint64
	// RoundTrip is smoothed; zero when it is not known.
	RoundTrip time.Duration
	// Units and Damaged units that a receiving session put together, Asked
	// packets that it asked for again, and Lost ones that it gave up.
	Units, Damaged, Asked, Lost uint64
}
