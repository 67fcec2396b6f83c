package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"stationd/agent/station"
	"stationd/agent/store"
)

// The messages of a response: noted in the transaction of their step, sent from
// there, tried again ever more slowly, given up after maxTries. Between sending
// and noting that it was sent lies a moment in which a kill sends it twice; its
// key is the same both times.

const (
	// maxTries and the pauses between them make some ten minutes.
	maxTries  = 8
	tryPause  = 5 * time.Second
	mostPause = 5 * time.Minute
	// maxSending bounds how many channels are spoken to at once. One that hangs
	// delays itself alone.
	maxSending = 16
	// noteAgain is how long a channel rests when what it did could not be noted.
	noteAgain = 30 * time.Second
)

// tellJob is a message that has not gone out.
type tellJob struct {
	Alarm   string `json:"alarm"`
	Telling string `json:"telling"`
	Contact string `json:"contact,omitempty"`
	Channel string `json:"channel"`
	Address string `json:"address,omitempty"`
	Off     bool   `json:"off,omitempty"`
	// Made is when it became due, Since when NextAt was set.
	Made   time.Time `json:"made"`
	Since  time.Time `json:"since"`
	NextAt time.Time `json:"nextAt"`
	Tries  int       `json:"tries,omitempty"`
}

// tell notes one message. What cannot be sent at all, for its channel is gone, is
// noted as failed when it is its turn.
func (s step) tell(t station.Telling, address string) error {
	ch, _, err := store.Get[station.Channel](s.tx, key(channelTable, t.Channel))
	if err != nil {
		return err
	}
	t.ID, t.Kind, t.At, t.State, t.StateAt = station.NewID(), ch.Kind, s.now, "waiting", s.now
	// Where there is no row left it is sent all the same, once.
	if len(s.resp.Tellings) < mostTellings+mostWays {
		s.resp.Tellings = append(s.resp.Tellings, t)
	}
	return store.Put(s.tx, key(tellTable, t.ID), tellJob{
		Alarm: s.alarm.ID, Telling: t.ID, Contact: t.Contact, Channel: t.Channel, Address: address, Off: t.Off,
		Made: s.now, Since: s.now, NextAt: s.now,
	})
}

// tellAlways tells the channels that are told at once, whoever is on duty.
func (s step) tellAlways() error {
	list, err := channels(s.tx)
	if err != nil {
		return err
	}
	for _, ch := range list {
		if ch.Disabled || !slices.Contains(ch.Always, s.alarm.Severity) {
			continue
		}
		if ends(ch) {
			if err := store.Put(s.tx, key(sirenTable, ch.ID, s.alarm.ID), s.now); err != nil {
				return err
			}
		}
		if err := s.tell(station.Telling{Name: ch.Name, Channel: ch.ID}, ""); err != nil {
			return err
		}
	}
	return nil
}

// ends tells whether a channel is also told when it is over.
func ends(ch station.Channel) bool {
	return ch.Kind == station.ChannelMQTT || ch.Kind == station.ChannelWebhook
}

// tellEnd tells the channels that began with the alarm that it is over. A siren
// falls silent with the last of its alarms.
func (s step) tellEnd() error {
	list, err := channels(s.tx)
	if err != nil {
		return err
	}
	for _, ch := range list {
		k := key(sirenTable, ch.ID, s.alarm.ID)
		if _, on, err := store.Get[time.Time](s.tx, k); err != nil || !on {
			if err != nil {
				return err
			}
			continue
		}
		if err := s.tx.Delete(k); err != nil {
			return err
		}
		if on, err := sirenOn(s.tx, ch); err != nil {
			return err
		} else if on {
			continue
		}
		if err := s.tell(station.Telling{Name: ch.Name, Channel: ch.ID, Off: true}, ""); err != nil {
			return err
		}
	}
	return nil
}

// sirenOn tells whether a channel is a siren that has to sound.
func sirenOn(tx *store.Tx, ch station.Channel) (on bool, err error) {
	if ch.Kind != station.ChannelMQTT {
		return false, nil
	}
	err = store.Each(tx, key(sirenTable, ch.ID)+"/", func(store.Key, time.Time) error {
		on = true
		return store.ErrStop
	})
	return on, err
}

// tellResponse journals a response. Where the parent has been told and has not
// confirmed it, the event is the one that it must confirm.
func (a *Agent) tellResponse(tx *store.Tx, resp station.Response, actor string, at time.Time) error {
	data, err := json.Marshal(resp)
	if err != nil {
		return fmt.Errorf("encode the response: %w", err)
	}
	ev, err := tx.Append(station.Event{
		Type: station.EventResponse, Subject: "alarm/" + resp.Alarm, Lane: station.LaneUrgent, Time: at, Actor: actor, Data: data,
	})
	if err != nil {
		return err
	}
	waits := slices.ContainsFunc(resp.Tellings, func(t station.Telling) bool {
		return t.Kind == station.TellingParent && t.State == "waiting"
	})
	k := key(handedTable, resp.Alarm)
	if _, noted, err := store.Get[uint64](tx, k); err != nil || noted || !waits {
		return err
	}
	return store.Put(tx, k, ev.Seq)
}

// parentConfirmed notes which alarms the parent has been handed for certain: its
// cursor of the urgent lane has passed the event, and is moved afterwards.
func (a *Agent) parentConfirmed(ctx context.Context, upTo uint64, at time.Time) error {
	var ids []string
	err := a.store.View(func(tx *store.Tx) error {
		return store.Each(tx, handedTable, func(k store.Key, seq uint64) error {
			if seq <= upTo {
				ids = append(ids, string(k[len(handedTable):]))
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	return a.inParts(ctx, stepsAtOnce, ids, func(tx *store.Tx, id string) error { return a.parentHasIt(tx, store.Key(id), at) })
}

// parentHasIt notes it of one alarm.
func (a *Agent) parentHasIt(tx *store.Tx, id store.Key, at time.Time) error {
	if err := tx.Delete(handedTable + id); err != nil {
		return err
	}
	resp, ok, err := store.Get[station.Response](tx, responseTable+id)
	if err != nil || !ok {
		return err
	}
	for i := range resp.Tellings {
		if t := &resp.Tellings[i]; t.Kind == station.TellingParent && t.State == "waiting" {
			t.State, t.StateAt = "delivered", at
		}
	}
	if _, waits, err := store.Get[respondClock](tx, clockTable+id); err != nil {
		return err
	} else if waits && resp.Closed { // nobody here is needed any more
		resp.Next, resp.NextAt = "", time.Time{}
		if err := store.Put(tx, clockTable+id, respondClock{Opening: true}); err != nil {
			return err
		}
	}
	if err := store.Put(tx, responseTable+id, resp); err != nil {
		return err
	}
	return a.tellResponse(tx, resp, "", at)
}

// bundleFrom is how many messages to one address are sent as one: a storm must not
// ring a telephone a hundred times, and gateways count.
const (
	bundleFrom  = 4
	bundleNames = 5
)

// bundle puts together what goes to one address, in the order of the first of
// each.
func bundle(jobs []tellJob) (out [][]tellJob) {
	to := func(j tellJob) string { return fmt.Sprint(j.Address, j.Off) }
	count := map[string]int{}
	for _, j := range jobs {
		count[to(j)]++
	}
	at := map[string]int{}
	for _, j := range jobs {
		i, begun := at[to(j)]
		if !begun || count[to(j)] < bundleFrom {
			at[to(j)] = len(out)
			out = append(out, []tellJob{j})
			continue
		}
		out[i] = append(out[i], j)
	}
	return out
}

// send makes one try to send messages to one address and notes what became of
// it. People get one message for all of them, systems one for each.
func (a *Agent) send(ctx context.Context, jobs []tellJob) error {
	jobs, err := a.stillWanted(jobs)
	if err != nil || len(jobs) == 0 {
		return err
	}
	ch, msg, err := a.messageOf(jobs)
	if err != nil {
		return err
	}
	if len(jobs) > 1 && ends(ch.Channel) {
		for _, job := range jobs {
			if err := a.send(ctx, []tellJob{job}); err != nil {
				return err
			}
		}
		return nil
	}
	var d station.Delivery
	sounds, err := a.sirenOn(ch.Channel)
	switch {
	case err != nil:
		return err
	case msg.Off && sounds:
		d.State = "stopped" // another alarm needs it; its end switches it off
	case ch.ID == "" || ch.Disabled && !msg.Off:
		d.Final = true
		err = station.Errorf(404, "channel.gone", "set the channel up again, or give the contact another one", "the channel %q has been removed or switched off", jobs[0].Channel)
	case msg.Alarm.ID == "":
		d.Final, err = true, station.ErrNotFound.At("alarm/"+jobs[0].Alarm)
	default:
		d, err = a.deliver(ctx, ch, msg)
	}
	if ctx.Err() != nil {
		return ctx.Err() // whether it went out is not known: it goes out again
	}
	if err != nil {
		a.log.Warn("message not sent", "channel", jobs[0].Channel, "alarm", jobs[0].Alarm, "try", jobs[0].Tries+1, "final", d.Final, "err", err)
	}
	byID := map[string]tellJob{}
	ids := make([]string, len(jobs))
	for i, job := range jobs {
		byID[job.Telling], ids[i] = job, job.Telling
	}
	failure := a.inParts(ctx, 20, ids, func(tx *store.Tx, id string) error { return a.noteSent(tx, byID[id], d, err) })
	return errors.Join(failure, a.store.Update(ctx, station.LaneUrgent, func(tx *store.Tx) error { return a.noteTrouble(tx, jobs[0], d, err) }))
}

// stillWanted are the jobs that were not called back while those before them were
// sent.
func (a *Agent) stillWanted(jobs []tellJob) (out []tellJob, err error) {
	err = a.store.View(func(tx *store.Tx) error {
		for _, job := range jobs {
			if _, wanted, err := store.Get[tellJob](tx, key(tellTable, job.Telling)); err != nil {
				return err
			} else if wanted {
				out = append(out, job)
			}
		}
		return nil
	})
	return out, err
}

func (a *Agent) sirenOn(ch station.Channel) (on bool, err error) {
	err = a.store.View(func(tx *store.Tx) (err error) {
		on, err = sirenOn(tx, ch)
		return err
	})
	return on, err
}

// messageOf is what jobs have to say, the gravest alarm first, and on which
// channel. The channel has no ID where there is none any more.
func (a *Agent) messageOf(jobs []tellJob) (ch station.ChannelLink, msg station.Message, err error) {
	first := jobs[0]
	var alarms []station.Alarm
	err = a.store.View(func(tx *store.Tx) (err error) {
		if ch.Channel, _, err = store.Get[station.Channel](tx, key(channelTable, first.Channel)); err != nil {
			return err
		}
		if ch.Secret, _, err = tx.Secret(channelSecret(first.Channel)); err != nil {
			a.log.Warn("channel's secret not opened", "channel", first.Channel, "err", err)
			ch.Secret = ""
		}
		for _, job := range jobs {
			al, _, err := store.Get[station.Alarm](tx, key(alarmTable, job.Alarm))
			if err != nil {
				return err
			}
			alarms = append(alarms, al)
		}
		return nil
	})
	if err != nil {
		return ch, msg, err
	}
	slices.SortStableFunc(alarms, func(x, y station.Alarm) int { return loudness(y.Severity) - loudness(x.Severity) })
	msg = station.Message{Key: first.Telling, To: first.Address, Station: a.cfg.Name, Alarm: alarms[0], Off: first.Off, At: first.Made}
	msg.OtherCount = len(alarms) - 1
	msg.Others = alarms[1:min(len(alarms), 1+bundleNames)]
	if first.Contact != "" && !first.Off {
		msg.Link = a.answerLink(msg.Alarm.ID, first.Contact, first.Made)
	}
	return ch, msg, nil
}

// troubleTries is how often a message must have failed before its channel counts
// as troubled.
const troubleTries = 3

// noteTrouble keeps whether a channel gets through.
func (a *Agent) noteTrouble(tx *store.Tx, job tellJob, d station.Delivery, failure error) error {
	k := key(troubleTable, job.Channel)
	was, troubled, err := store.Get[station.Trouble](tx, k)
	switch {
	case err != nil:
		return err
	case failure == nil && troubled:
		return tx.Delete(k)
	case failure == nil || !d.Final && job.Tries+1 < troubleTries:
		return nil
	case !troubled:
		was.Since = a.now()
	}
	was.Problem = problemOf(failure)
	return store.Put(tx, k, was)
}

// noteSent notes a try: sent, to be tried again, or given up.
func (a *Agent) noteSent(tx *store.Tx, job tellJob, d station.Delivery, failure error) error {
	now := a.now()
	resp, ok, err := store.Get[station.Response](tx, key(responseTable, job.Alarm))
	if err != nil {
		return err
	}
	i := slices.IndexFunc(resp.Tellings, func(t station.Telling) bool { return t.ID == job.Telling })
	if !ok || i < 0 {
		return tx.Delete(key(tellTable, job.Telling))
	}
	t := &resp.Tellings[i]
	t.Tries, t.NextAt, t.Problem = job.Tries+1, time.Time{}, nil
	_, wanted, err := store.Get[tellJob](tx, key(tellTable, job.Telling))
	if err != nil {
		return err
	}
	failed := false
	switch {
	case failure == nil:
		if t.State == "waiting" || t.State == "stopped" {
			t.State = d.State
		}
		t.StateAt = now
	default:
		t.Problem = problemOf(failure)
		if !wanted {
			break // it was answered meanwhile
		}
		if failed = d.Final || job.Tries+1 >= maxTries; failed {
			t.State, t.StateAt = "failed", now
			break
		}
		job.Tries++
		job.Since, job.NextAt = now, now.Add(max(backOff(job.Tries), d.RetryAfter))
		t.NextAt = job.NextAt
		if err := store.Put(tx, key(tellTable, job.Telling), job); err != nil {
			return err
		}
	}
	if failure == nil || failed {
		if err := tx.Delete(key(tellTable, job.Telling)); err != nil {
			return err
		}
	}
	if failed {
		if err := a.skipUnreached(tx, resp, t.Contact); err != nil {
			return err
		}
	}
	if err := store.Put(tx, key(responseTable, job.Alarm), resp); err != nil {
		return err
	}
	return a.tellResponse(tx, resp, "", now)
}

// skipUnreached lets nobody wait for a contact whom no message can reach.
func (a *Agent) skipUnreached(tx *store.Tx, resp station.Response, contact string) error {
	if contact == "" || slices.ContainsFunc(resp.Tellings, func(t station.Telling) bool {
		return t.Contact == contact && t.State != "failed"
	}) {
		return nil
	}
	last := ""
	for _, t := range resp.Tellings {
		if t.Contact != "" {
			last = t.Contact
		}
	}
	k := key(clockTable, resp.Alarm)
	clock, waits, err := store.Get[respondClock](tx, k)
	if err != nil || !waits || last != contact || clock.Due == 0 {
		return err
	}
	now, err := a.moment(tx)
	if err != nil {
		return err
	}
	clock.Due = now.Tick
	return store.Put(tx, k, clock)
}

// backOff is the pause before a further try, with chance in it so that what
// failed together does not come back together.
func backOff(tries int) time.Duration {
	pause := min(tryPause<<min(tries-1, 10), mostPause)
	return pause/2 + rand.N(pause)
}

func problemOf(err error) *station.Problem {
	if p, ok := station.AsProblem(err); ok {
		clean := *p
		return clean.Because(nil)
	}
	return station.Errorf(500, "internal", "look into the log", "something failed inside")
}
