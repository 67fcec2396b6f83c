package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"stationd/agent/account"
	"stationd/agent/station"
)

// The event stream is one more reader of the journal: Server-Sent Events whose
// id is the journal's sequence, so that a browser that reconnects with
// Last-Event-ID misses nothing.

const (
	eventBatch    = 500
	statusEvery   = 5 * time.Second
	lookEvery     = time.Second // at the session and the lamps
	writeDeadline = 10 * time.Second
)

// eventPermissions says who sees which event. A type that is not here needs
// the right to read the audit.
var eventPermissions = map[string]station.Permission{
	station.EventAlarmRaised:      station.PermWatch,
	station.EventAlarmRepeated:    station.PermWatch,
	station.EventAlarmAnswered:    station.PermWatch,
	station.EventAlarmReturned:    station.PermWatch,
	station.EventAlarmCleared:     station.PermWatch,
	station.EventAlarmChanged:     station.PermWatch,
	station.EventAlarmReceived:    station.PermWatch,
	station.EventResponse:         station.PermAnswer, // it names people
	station.EventClaim:            station.PermWatch,
	station.EventInstruction:      station.PermAnswer,
	station.EventBroadcast:        station.PermWatch,
	station.EventAsked:            station.PermWatch,
	station.EventFlood:            station.PermWatch,
	station.EventModeChanged:      station.PermWatch,
	station.EventSetupChanged:     station.PermWatch,
	station.EventShiftNote:        station.PermAnswer, // it may name people
	station.EventPatrol:           station.PermVideo,
	station.EventClipReady:        station.PermWatch,
	station.EventClipFailed:       station.PermWatch,
	station.EventClipRemoved:      station.PermWatch,
	station.EventEvidenceHeld:     station.PermVideo,
	station.EventEvidenceReleased: station.PermVideo,
	station.EventReading:          station.PermWatch,
	station.EventSensorChanged:    station.PermWatch,
	station.EventSensorRemoved:    station.PermWatch,
	station.EventCameraChanged:    station.PermWatch,
	station.EventCameraRemoved:    station.PermWatch,
	station.EventCameraState:      station.PermWatch,
	station.EventNodeState:        station.PermWatch,
	station.EventReadingsDropped:  station.PermWatch,
	station.EventStoreRestored:    station.PermWatch,
	station.EventAccountChanged:   station.PermAudit,
	station.EventLoginSucceeded:   station.PermAudit,
	station.EventLoginFailed:      station.PermAudit,
}

// PermissionOf is what one needs to see events of a type.
func PermissionOf(eventType string) station.Permission {
	if p, ok := eventPermissions[eventType]; ok {
		return p
	}
	return station.PermAudit
}

func (s *Server) getEvents(w http.ResponseWriter, r *http.Request) error {
	at := s.deps.Journal.Head()
	if text := r.Header.Get("Last-Event-ID"); text != "" {
		seq, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return station.Errorf(http.StatusBadRequest, "events.id", "send the id of the last event", "Last-Event-ID %q is no sequence number", text)
		}
		at = min(seq, at)
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	st := &eventWriter{control: http.NewResponseController(w), w: w}
	_ = st.control.SetReadDeadline(time.Time{}) // the stream outlives the request's deadline
	s.metrics.streams.Inc()
	defer s.metrics.streams.Dec()

	actor := station.ActorFrom(r.Context())
	status := statusFeed{server: s}
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	stop := s.stopping()
	st.buf.WriteString("retry: 2000\n\n")
	if status.send(st) != nil {
		return nil // the client has gone
	}
	for {
		more := s.deps.Journal.Changed(at)
		events, err := s.deps.Journal.Read(at, eventBatch)
		if err != nil {
			s.log.Error("journal not read for a stream", "after", at, "err", err)
			return nil // the answer has begun; the browser comes again
		}
		newest := newestReadings(events)
		for i, ev := range events {
			at = ev.Seq
			if last, reading := newest[ev.Subject]; reading && ev.Type == station.EventReading && last != i {
				continue
			}
			if account.Authorize(actor, PermissionOf(ev.Type), "") != nil {
				continue
			}
			ev, shown, err := s.deps.Accounts.EventFor(actor, ev)
			if err != nil {
				s.log.Error("event not judged for a stream", "seq", ev.Seq, "err", err)
				return nil // the answer has begun; the browser comes again
			}
			if shown {
				st.event(ev)
			}
		}
		if st.flush() != nil {
			return nil // the client has gone
		}
		if len(events) == eventBatch {
			continue
		}
		select {
		case <-r.Context().Done():
			return nil
		case <-stop:
			return nil
		case <-more:
		case <-look.C:
			// An open stream is use of the session; a session that ended, or an
			// account that was closed, ends the stream.
			if actor, err = s.actor(r); err != nil || account.Authorize(actor, station.PermWatch, "") != nil {
				return nil // the browser comes again and is told
			}
			if status.send(st) != nil {
				return nil // the client has gone
			}
		}
	}
}

// newestReadings maps each sensor to the place of its last reading among events:
// a screen that lags needs that one only.
func newestReadings(events []station.Event) map[string]int {
	newest := map[string]int{}
	for i, ev := range events {
		if ev.Type == station.EventReading {
			newest[ev.Subject] = i
		}
	}
	return newest
}

// statusFeed sends the status when its lamps change, and every few seconds.
type statusFeed struct {
	server *Server
	lamps  []byte
	sent   time.Time
}

func (f *statusFeed) send(st *eventWriter) error {
	status := f.server.deps.Status()
	lamps, err := json.Marshal(status.Lamps)
	if err != nil {
		return err
	}
	if bytes.Equal(lamps, f.lamps) && time.Since(f.sent) < statusEvery {
		return nil
	}
	body, err := json.Marshal(status)
	if err != nil {
		return err
	}
	f.lamps, f.sent = lamps, time.Now()
	st.block("", "status", body)
	return st.flush()
}

// eventWriter writes the text/event-stream format; its first error sticks.
type eventWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
	buf     bytes.Buffer
	err     error
}

func (e *eventWriter) event(ev station.Event) {
	body, err := json.Marshal(ev)
	if err != nil {
		return // an event that was stored as JSON is JSON
	}
	e.block(strconv.FormatUint(ev.Seq, 10), ev.Type, body)
}

func (e *eventWriter) block(id, event string, data []byte) {
	if id != "" {
		fmt.Fprintf(&e.buf, "id: %s\n", id)
	}
	fmt.Fprintf(&e.buf, "event: %s\ndata: ", event)
	e.buf.Write(data)
	e.buf.WriteString("\n\n")
}

func (e *eventWriter) flush() error {
	if e.err != nil || e.buf.Len() == 0 {
		return e.err
	}
	_ = e.control.SetWriteDeadline(time.Now().Add(writeDeadline)) // not every transport has deadlines
	if _, e.err = e.w.Write(e.buf.Bytes()); e.err == nil {
		e.err = e.control.Flush()
	}
	e.buf.Reset()
	return e.err
}
