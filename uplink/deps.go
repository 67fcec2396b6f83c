package uplink

import (
	"context"
	"io"
	"log/slog"
	"time"

	"stationd/agent/station"
	"stationd/uplink/budget"
	"stationd/uplink/transport"
)

// Cursor is how far a target has acknowledged a lane: the journal's Seq of the
// newest acknowledged event and its hop number, in the epoch in which it was
// acknowledged. The zero Cursor stands before the first event.
type Cursor struct {
	Target   string
	Lane     station.Lane
	Epoch    station.Epoch
	Seq, Hop uint64
}

// Journal is the station's journal, read by lane.
type Journal interface {
	Node() station.NodeID
	Epoch() station.Epoch
	// Head is the sequence number of the newest event.
	Head() uint64
	// Read gives up to limit events of the lanes behind after, in order.
	Read(after uint64, limit int, lanes ...station.Lane) ([]station.Event, error)
	// Changed is closed once Head is beyond after.
	Changed(after uint64) <-chan struct{}
	Cursor(target string, lane station.Lane) (Cursor, error)
	// Advance stores a cursor durably. It may go back: the target was restored
	// from a backup and needs again what it had acknowledged.
	Advance(ctx context.Context, c Cursor) error
	// Backlog counts the events behind the target's cursor, up to most, and
	// tells the time of the oldest.
	Backlog(target string, lane station.Lane, most int) (n int, oldest time.Time, err error)
}

// ClipReader is an opened clip.
type ClipReader interface {
	io.ReadSeekCloser
	Size() int64
}

// Clips are the station's clips that the parent does not have yet.
type Clips interface {
	// PendingClips lists them in the order in which they are to go: by the
	// severity of their alarms, then by age. Each has Size and SHA256.
	PendingClips(ctx context.Context) ([]station.Clip, error)
	// OpenClip fails with station.ErrNotFound when the film is not there.
	OpenClip(id string) (ClipReader, error)
	// ClipUploaded tells that the parent has it, whole and durably.
	ClipUploaded(ctx context.Context, id string) error
	// ClipLost tells that OpenClip has not found it for days.
	ClipLost(ctx context.Context, id string) error
	// ClipsChanged is closed when the list has changed since the call.
	ClipsChanged() <-chan struct{}
}

// Live gives live pictures.
type Live interface {
	// DialOut opens a media leg of camera to the parent, which wants it for role.
	// exchange carries the offer there and the answer back. It blocks until the
	// leg ends or ctx does.
	DialOut(ctx context.Context, camera string, role station.StreamRole, exchange func(ctx context.Context, offer string) (answer string, err error)) error
}

// Commands carries commands out.
type Commands interface {
	// Handle is idempotent: the same ID gives the same receipt.
	Handle(ctx context.Context, c station.Command) station.Receipt
}

// Deps is what the uplink works with.
type Deps struct {
	// Version is this program's, for the parent to show.
	Version string
	Journal Journal
	// Clips, Live and Commands may be nil: there are none.
	Clips    Clips
	Live     Live
	Commands Commands
	// Budget is the line, which others use too; nil means one of our own, as
	// the Config says.
	Budget *budget.Budget
	// Health is what is told to a parent that asks for it; nil tells nothing.
	Health func() station.NodeHealth
	// Dialer dials the parent; nil means MQTT as the Config says.
	Dialer transport.Dialer
	// Second dials on the second line; nil means MQTT as the Config says.
	Second transport.Dialer
	Log    *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}
