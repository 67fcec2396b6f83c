package devices

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"stationd/agent/station"
)

// due is something that a timer has to report.
type due struct {
	sensor *sensor
	kind   station.AlarmKind
	active bool
}

// What the timers allow themselves.
const (
	heartbeat     = 5 * time.Second // Progress moves at least this often
	timerRetry    = 5 * time.Second // after a report that failed
	timersAtOnce  = 16              // so that their commits can be grouped
	busySensorLag = 250 * time.Millisecond
)

// keepTime reports sensors that are silent for too long, and the end of events.
func (s *Set) keepTime(ctx context.Context) {
	for {
		s.progress.Add(1)
		s.tellBrokers(ctx)
		wait := s.ring(ctx)
		t := time.NewTimer(min(wait, heartbeat))
		select {
		case <-t.C:
		case <-s.kick:
			t.Stop()
		case <-ctx.Done():
			t.Stop()
			return
		}
	}
}

// ring reports all that is due and returns when to look again.
func (s *Set) ring(ctx context.Context) time.Duration {
	now := s.now()
	all, next := s.collect(now)
	if len(all) == 0 {
		return max(next.Sub(now), 0)
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, timersAtOnce)
	for _, d := range all {
		slots <- struct{}{}
		wg.Go(func() {
			s.reportDue(ctx, d)
			<-slots
		})
	}
	wg.Wait()
	return busySensorLag
}

// collect lists what is due, and the next deadline.
func (s *Set) collect(now time.Time) (all []due, next time.Time) {
	next = now.Add(time.Hour)
	s.mu.Lock()
	defer s.mu.Unlock()
	consider := func(sn *sensor, kind station.AlarmKind, active bool, at time.Time) {
		if sn.memory.retryAt.After(at) {
			at = sn.memory.retryAt
		}
		if at.After(now) {
			if at.Before(next) {
				next = at
			}
			return
		}
		all = append(all, due{sn, kind, active})
	}
	look := func(sn *sensor) {
		for kind, at := range sn.memory.presses {
			consider(sn, kind, false, at)
		}
		if at, ok := s.silentAt(sn); ok {
			consider(sn, station.KindOffline, true, at)
		}
	}
	for _, sn := range s.registry.Load().sensors {
		look(sn)
	}
	for _, sn := range s.strangers {
		look(sn)
	}
	return all, next
}

// silentAt is when sn becomes offline unless it is heard. It does not while
// nothing could be heard of it, and not until it has had the time to be heard
// since then. Time during which the program was not running counts: or else
// restarts at night would hide a detector that has been dead for a week.
func (s *Set) silentAt(sn *sensor) (time.Time, bool) {
	mem := sn.memory
	leaves := !mem.leaving.IsZero()
	if !sn.Adopted || mem.offline == active || sn.SilentAfter < 0 && !leaves {
		return time.Time{}, false
	}
	up, ok := s.upSince(sn.Source.Broker)
	if !ok {
		return time.Time{}, false
	}
	bridged, since := s.bridgeUp(sn, s.now())
	if !bridged {
		return time.Time{}, false
	}
	if since.After(up) {
		up = since
	}
	if leaves {
		if back := up.Add(s.cfg.ComeBack); back.After(mem.leaving) {
			return back, true
		}
		return mem.leaving, true
	}
	silence := s.limit(sn)
	at := mem.heard.Add(silence)
	if earliest := up.Add(min(s.cfg.Grace, silence)); at.Before(earliest) {
		at = earliest
	}
	return s.afterBridge(sn, at, silence), true
}

// afterBridge puts a deadline off, by a tenth of the silence at most, to just
// behind that of a bridge which is as silent: whether the sensor is gone or its
// bridge is known only then.
func (s *Set) afterBridge(sn *sensor, at time.Time, silence time.Duration) time.Time {
	latest := at.Add(silence / 10)
	for _, p := range s.parents(sn) {
		if p.Bridge == sn.ID || len(s.parents(p)) > 0 {
			continue // who is whose bridge goes round; or a bridge behind a bridge
		}
		gone, watched := s.silentAt(p)
		if watched && gone.Add(behindBridge).After(at) && !gone.Add(behindBridge).After(latest) {
			at = gone.Add(behindBridge)
		}
	}
	return at
}

const behindBridge = time.Second

// upSince tells since when a broker can be heard; with s.mu held.
func (s *Set) upSince(broker string) (time.Time, bool) {
	if broker == station.EmbeddedBroker {
		return s.listenedAt, !s.listenedAt.IsZero()
	}
	r := s.links[broker]
	if r == nil {
		// A broker that is not set up, or no more: nothing will ever be heard of
		// its sensors, and nobody else says so.
		_, coming := s.registry.Load().targets[broker]
		return time.Time{}, !coming
	}
	st := r.link.Status()
	return st.Since, st.Connected
}

// reportDue reports one thing that is due, unless the sensor was heard in the
// meantime. A sensor that is just being heard is left for the next round.
func (s *Set) reportDue(ctx context.Context, d due) {
	mem := d.sensor.memory
	if !mem.turn.TryLock() {
		return
	}
	defer mem.turn.Unlock()
	now := s.now()
	if !s.stillDue(d, now) {
		return
	}
	rep := station.Report{Sensor: d.sensor.ID, Received: now, Signals: []station.Signal{{Kind: d.kind, Active: d.active}}}
	if d.sensor.stranger {
		proposed := d.sensor.Sensor
		rep.Unknown = &proposed
	}
	err := s.deliver(ctx, rep)
	if err != nil && ctx.Err() == nil {
		level := s.log.Warn
		if errors.Is(err, station.ErrNoSpace) {
			level = s.log.Info // storage has its own lamp
		}
		level("timer report refused", "sensor", d.sensor.ID, "kind", string(d.kind), "error", err)
	}
	if err == nil && d.kind != station.KindOffline {
		mem.follow(d.sensor.rules)
		for i := range d.sensor.rules.Len() {
			if d.sensor.rules.At(i).Kind == d.kind {
				mem.verdicts[i] = inactive
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil:
		mem.retryAt = now.Add(timerRetry)
		mem.unsure = mem.unsure || d.kind == station.KindOffline && !errors.Is(err, station.ErrNoSpace)
	case d.kind == station.KindOffline:
		cause := bySilence
		if !mem.leaving.IsZero() {
			cause = byBridge
		}
		mem.goes(active, cause, now)
		mem.leaving = time.Time{}
	default:
		delete(mem.presses, d.kind)
	}
}

func (s *Set) stillDue(d due, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.kind == station.KindOffline {
		at, ok := s.silentAt(d.sensor)
		return ok && !at.After(now)
	}
	at, ok := d.sensor.memory.presses[d.kind]
	return ok && !at.After(now)
}

// brokerPatience is how long a broker may be away before somebody is told: its
// machine may only be starting again.
const brokerPatience = 2 * time.Minute

// tellBrokers reports, as the station's own, that a broker is away: its sensors
// are not called silent then, and the lamp is seen by nobody where nobody is.
func (s *Set) tellBrokers(ctx context.Context) {
	now := s.now()
	away, sure := s.brokersAway(now)
	told := inactive
	switch {
	case len(away) > 0:
		told = active
	case !sure:
		return
	}
	if told == s.told {
		return
	}
	rep := station.Report{Received: now, Signals: []station.Signal{{Kind: station.KindOffline, Active: told == active}}}
	if told == active {
		rep.Values = map[string]station.Value{"broker": strings.Join(away, ", ")}
	}
	if err := s.deliver(ctx, rep); err == nil {
		s.told = told
	} else if ctx.Err() == nil {
		s.log.Warn("absence of brokers not reported", "brokers", away, "error", err)
	}
}

// brokersAway lists the brokers of registered sensors that have been away for
// long. It is not sure of none while one may still come.
func (s *Set) brokersAway(now time.Time) (away []string, sure bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	reg := s.registry.Load()
	used := map[string]bool{}
	for _, sn := range reg.sensors {
		used[sn.Source.Broker] = used[sn.Source.Broker] || sn.Adopted
	}
	sure = true
	for id := range reg.targets {
		if !used[id] {
			continue
		}
		r := s.links[id]
		if r == nil {
			sure = false
			continue
		}
		switch st := r.link.Status(); {
		case st.Connected:
		case now.Sub(st.Since) > s.patience:
			away = append(away, id)
		default:
			sure = false
		}
	}
	slices.Sort(away)
	return away, sure
}
