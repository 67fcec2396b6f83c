package broker

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// Store keeps the retained messages while the program does not run. File is one.
type Store interface {
	// Open gives what was stored last; fs.ErrNotExist when there is nothing.
	Open() (io.ReadCloser, error)
	// Replace stores what write writes in place of it, wholly or not at all.
	Replace(write func(io.Writer) error) error
	// SetAside puts what was stored last out of the way, for who wants to know
	// what is wrong with it, and tells its new name.
	SetAside() (name string, err error)
}

// retained bounds the retained messages and brings them over a restart. They are
// there for subscribers: what comes from the store never passes Hooks.Publish.
type retained struct {
	cfg    Config
	log    *slog.Logger
	server *mqtt.Server // set before the first client comes

	mu    sync.Mutex
	sizes map[string]int // in bytes, of each topic that holds a message
	bytes int            // of all

	changed chan struct{} // holds one token when the store is out of date
	beyond  atomic.Uint64 // messages that were not retained
}

func newRetained(cfg Config, log *slog.Logger) *retained {
	return &retained{cfg: cfg, log: log, sizes: map[string]int{}, changed: make(chan struct{}, 1)}
}

// settle is called after each change of what mochi retains at a topic, and undoes
// it where it is too much. It is then that topic that holds nothing: what was
// there before is no longer true.
func (r *retained) settle(topic string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bytes -= r.sizes[topic]
	delete(r.sizes, topic)
	// What is there counts, not what was announced: another client may have been
	// faster.
	if pk, held := r.server.Topics.Retained.Get(topic); held {
		size := sizeOf(pk)
		if len(r.sizes) >= r.cfg.MaxRetained || r.bytes+size > r.cfg.MaxRetainedBytes {
			r.server.Topics.RetainMessage(packets.Packet{TopicName: topic})
			r.beyond.Add(1)
		} else {
			r.sizes[topic] = size
			r.bytes += size
		}
	}
	r.again()
}

// sizeOf is about what a retained message takes, in bytes.
func sizeOf(pk packets.Packet) int {
	const apart = 256 // what every message takes
	n := apart + len(pk.TopicName) + len(pk.Payload) + len(pk.Properties.CorrelationData) + len(pk.Properties.ContentType) + len(pk.Properties.ResponseTopic)
	for _, u := range pk.Properties.User {
		n += len(u.Key) + len(u.Val)
	}
	return n
}

// load gives mochi what was stored, before the first client comes. What cannot be
// read costs the retained messages, or some of them, and never the broker.
func (r *retained) load() {
	if r.cfg.Retained == nil {
		return
	}
	f, err := r.cfg.Retained.Open()
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		r.log.Warn("retained messages are not brought back: they cannot be opened", "error", err)
		return
	}
	now := time.Now().Unix()
	damage := errors.Join(readSnapshot(f, r.cfg.MaxRetainedBytes, func(pk packets.Packet) {
		if pk.Expiry > 0 && pk.Expiry < now {
			return
		}
		r.server.Topics.RetainMessage(pk)
		r.settle(pk.TopicName)
	}), f.Close())
	r.mu.Lock()
	count := len(r.sizes)
	r.mu.Unlock()
	if damage == nil {
		r.log.Info("retained messages brought back", "topics", count)
		select {
		case <-r.changed: // the store has it
		default:
		}
		return
	}
	aside, err := r.cfg.Retained.SetAside()
	r.log.Warn("the stored retained messages are damaged and were set aside; those before the damage are brought back", "topics", count, "aside", aside, "error", errors.Join(damage, err))
}

// save stores what is retained.
func (r *retained) save() error {
	all := r.server.Topics.Retained.GetAll()
	return r.cfg.Retained.Replace(func(w io.Writer) error {
		return writeSnapshot(w, func(yield func(packets.Packet) bool) {
			for topic, pk := range all {
				if !strings.HasPrefix(topic, mqtt.SysPrefix) && !yield(pk) {
					return
				}
			}
		})
	})
}

// How often the store is written while messages change: not more often than
// saveEvery, and so that it takes saveRate bytes a second at most.
const (
	saveEvery   = 5 * time.Second
	saveRate    = 64 << 10
	saveAgain   = 30 * time.Second // after a failure
	saveAgainAt = 10 * time.Minute // at most
)

// keep stores what changes, until ctx ends. Whoever has ended everything that
// changes something calls last then.
func (r *retained) keep(ctx context.Context) {
	if r.cfg.Retained == nil {
		return
	}
	failing := time.Duration(0)
	for {
		select {
		case <-r.changed:
		case <-ctx.Done():
			return
		}
		r.mu.Lock()
		pause := saveEvery + time.Duration(r.bytes/saveRate)*time.Second
		r.mu.Unlock()
		select {
		case <-time.After(max(pause, failing)):
		case <-ctx.Done():
			r.again()
			return
		}
		select {
		case <-r.changed: // it is in what is written now
		default:
		}
		switch err := r.save(); {
		case err != nil:
			if failing == 0 {
				r.log.Warn("retained messages cannot be stored: a restart would bring back older ones", "error", err)
			}
			failing = min(max(2*failing, saveAgain), saveAgainAt)
			r.again()
		case failing > 0:
			r.log.Info("retained messages are stored again")
			failing = 0
		}
	}
}

// again marks the store as out of date.
func (r *retained) again() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// last stores what has changed, when nothing changes any more.
func (r *retained) last() {
	if r.cfg.Retained == nil {
		return
	}
	select {
	case <-r.changed:
	default:
		return
	}
	if err := r.save(); err != nil {
		r.log.Warn("retained messages cannot be stored: the next start brings back older ones", "error", err)
	}
}
