package agent

import (
	"context"
	"errors"
	"time"

	"stationd/agent/account"
	"stationd/agent/alarm"
	"stationd/agent/station"
	"stationd/agent/store"
	"stationd/agent/store/disk"
)

// The agent's own care: low space is an alarm, the journal is trimmed, a store
// that had to be repaired is told of.

const (
	spaceEvery = 2 * time.Second
	trimEvery  = time.Minute
	// keepRefusedEvery is how often the count of readings that were given up is
	// stored: a kill costs what was counted since.
	keepRefusedEvery = time.Second
	backupEvery      = 24 * time.Hour
	// backupFirst is soon after the start, so that a station which is often
	// restarted has one too.
	backupFirst = 10 * time.Minute
)

// reportOpening raises an alarm when the store had to be repaired or restored:
// somebody must know that something may be missing. The epoch that was last
// looked at is kept, so that a restored store is told of even when the program
// ended before it could.
func (a *Agent) reportOpening(ctx context.Context) error {
	rep := a.store.Opened()
	return a.store.Update(ctx, station.LaneUrgent, func(tx *store.Tx) error {
		seen, known, err := store.Get[station.Epoch](tx, openedKey)
		if err != nil {
			return err
		}
		if seen != a.store.Epoch() {
			if err := store.Put(tx, openedKey, a.store.Epoch()); err != nil {
				return err
			}
		}
		restored := rep.Restored != "" || known && seen != a.store.Epoch()
		if rep.Quarantined == "" && !restored {
			return nil
		}
		text := "the store was damaged and set aside; the station began afresh"
		if restored {
			text = "the store was damaged and set aside; the last backup was restored"
		}
		hint := "keep the damaged store, core.quarantine-* in the data directory, until someone has looked"
		if rep.Quarantined != "" {
			hint = "the damaged store lies in " + rep.Quarantined + "; keep it until someone has looked"
		}
		now := a.now()
		notice := station.Notice{Code: "store.restored", Message: text, Hint: hint}
		if err := appendEvent(tx, station.LaneNormal, station.EventStoreRestored, "node/"+string(a.store.Node()), "", now, notice); err != nil {
			return err
		}
		return a.ownAlarm(tx, station.KindStore, "", now, map[string]station.Value{"restored": restored})
	})
}

// introduce journals the node's name and version when they have changed, so
// that the parent calls it by its name.
func (a *Agent) introduce(ctx context.Context) error {
	return a.store.Update(ctx, station.LaneUrgent, func(tx *store.Tx) error {
		self := station.Node{ID: a.store.Node(), Name: a.cfg.Name, Version: a.cfg.Version}
		before, _, err := store.Get[station.Node](tx, selfKey)
		if before.Closed(a.now()) {
			self.ClosedAt, self.ClosedUntil, self.ClosedBy = before.ClosedAt, before.ClosedUntil, before.ClosedBy
		}
		if err != nil || before == self {
			return err
		}
		if err := store.Put(tx, selfKey, self); err != nil {
			return err
		}
		return appendEvent(tx, station.LaneNormal, station.EventNodeState, "node/"+string(self.ID), "", a.now(), self)
	})
}

// ownAlarm raises the node's own alarm of a kind, unless it is live.
func (a *Agent) ownAlarm(tx *store.Tx, kind station.AlarmKind, place string, at time.Time, values map[string]station.Value) error {
	now, err := a.moment(tx)
	if err != nil {
		return err
	}
	now.Wall = at
	c, _, err := a.condition(tx, station.Sensor{}, kind)
	if err != nil || c.Alarm != nil {
		return err
	}
	c.Gone(now) // one that was told of and ended without anybody's saying so
	out := c.Signal(now, station.Signal{Kind: kind, Active: true}, alarm.Marks{Values: values}, a.ownLimits())
	if out.Alarm != nil {
		out.Alarm.Name, out.Alarm.Place, out.Alarm.Why = a.cfg.Name, place, nil
	}
	return a.follow(tx, now, c, out, "", &reportChange{})
}

// ownLimits are those of the node's own alarms: each stands for something that is
// looked at with a measure of its own, and none of it is chatter.
func (a *Agent) ownLimits() alarm.Limits {
	lim := a.cfg.Alarms
	lim.Chatter = 0
	return lim
}

// endOwnAlarm ends it.
func (a *Agent) endOwnAlarm(tx *store.Tx, kind station.AlarmKind, at time.Time) error {
	now, err := a.moment(tx)
	if err != nil {
		return err
	}
	now.Wall = at
	c, quiet, err := a.condition(tx, station.Sensor{}, kind)
	if err != nil || quiet {
		return err
	}
	return a.follow(tx, now, c, c.Signal(now, station.Signal{Kind: kind}, alarm.Marks{}, a.ownLimits()), "", &reportChange{})
}

// runSpace watches the free space: below the first watermark the disk alarm is
// raised, and ended when there is room again.
func (a *Agent) runSpace(ctx context.Context) error {
	tick := time.NewTicker(spaceEvery)
	defer tick.Stop()
	for exhausted := false; ; {
		st := a.store.Space()
		err := a.store.Update(ctx, station.LaneUrgent, func(tx *store.Tx) error {
			_, live, err := store.Get[string](tx, liveKey("", station.KindDisk))
			if err != nil {
				return err
			}
			switch low := st.Level != disk.LevelOK; {
			case low && !live:
				return a.ownAlarm(tx, station.KindDisk, "", a.now(), map[string]station.Value{"free": float64(st.Free), "total": float64(st.Total)})
			case !low && live:
				return a.endOwnAlarm(tx, station.KindDisk, a.now())
			}
			return nil
		})
		switch {
		case err == nil, ctx.Err() != nil:
			exhausted = false
		case errors.Is(err, station.ErrNoSpace):
			if !exhausted { // once, not on a full disk every two seconds
				a.log.Error("no room even for the disk alarm", "free", st.Free)
			}
			exhausted = true
		default:
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// runTrim trims the journal, tells what the bulk lane gave up, and forgets old
// receipts, sessions and invitations.
func (a *Agent) runTrim(ctx context.Context) error {
	tick, keep := time.NewTicker(trimEvery), time.NewTicker(keepRefusedEvery)
	defer tick.Stop()
	defer keep.Stop()
	kept, err := a.recallRefused()
	if err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			a.keepRefused(context.WithoutCancel(ctx), kept)
			return nil
		case <-keep.C:
			kept = a.keepRefused(ctx, kept)
			continue
		case <-tick.C:
		}
		_, err := a.store.Trim(ctx, noteTrimmed)
		if err != nil && ctx.Err() == nil {
			a.log.Warn("journal not trimmed", "err", err)
		}
		a.tellDropped(ctx)
		a.tellTrimmed(ctx)
		if err := a.forget(ctx); err != nil && ctx.Err() == nil {
			a.log.Warn("old receipts not forgotten", "err", err)
		}
	}
}

// recallRefused takes over what an earlier life has counted and could not tell.
func (a *Agent) recallRefused() (d station.Dropped, err error) {
	err = a.store.View(func(tx *store.Tx) error {
		d, _, err = store.Get[station.Dropped](tx, refusedKey)
		return err
	})
	a.refused.give(d)
	return d, err
}

// keepRefused stores what is counted when it is not what is kept, and returns what
// is kept then. The count is told when the disk has room for that.
func (a *Agent) keepRefused(ctx context.Context, kept station.Dropped) station.Dropped {
	d := a.refused.look()
	if d.Count == 0 || d.Count == kept.Count && d.To.Equal(kept.To) {
		return kept
	}
	err := a.store.Update(ctx, station.LaneUrgent, func(tx *store.Tx) error { return store.Put(tx, refusedKey, d) })
	if err != nil {
		return kept // storage has its own alarm
	}
	return d
}

// tellDropped journals how many readings were refused. What cannot be journalled
// now, for the disk is still full, is told later.
func (a *Agent) tellDropped(ctx context.Context) {
	d := a.refused.take()
	if d.Count == 0 {
		return
	}
	d.Reason = "storage was full"
	err := a.store.Update(ctx, station.LaneNormal, func(tx *store.Tx) error {
		if err := tx.Delete(refusedKey); err != nil {
			return err
		}
		return a.appendDropped(tx, d)
	})
	if err != nil {
		a.refused.give(d)
	}
	if ctx.Err() == nil {
		a.log.Warn("readings dropped", "count", d.Count, "reason", d.Reason, "err", err)
	}
}

func (a *Agent) appendDropped(tx *store.Tx, d station.Dropped) error {
	return appendEvent(tx, station.LaneNormal, station.EventReadingsDropped, "node/"+string(a.store.Node()), "", a.now(), d)
}

// noteTrimmed counts what the journal gives up, in the transaction that deletes
// it: whatever becomes of us then, the loss is known.
func noteTrimmed(tx *store.Tx, d station.Dropped) error {
	before, _, err := store.Get[station.Dropped](tx, trimmedKey)
	if err != nil {
		return err
	}
	return store.Put(tx, trimmedKey, before.Plus(d))
}

// tellTrimmed journals what was given up and not told yet.
func (a *Agent) tellTrimmed(ctx context.Context) {
	var d station.Dropped
	err := a.store.View(func(tx *store.Tx) (err error) {
		d, _, err = store.Get[station.Dropped](tx, trimmedKey)
		return err
	})
	if err == nil && d.Count == 0 {
		return
	}
	if err == nil {
		err = a.store.Update(ctx, station.LaneNormal, func(tx *store.Tx) (err error) {
			if d, _, err = store.Get[station.Dropped](tx, trimmedKey); err != nil || d.Count == 0 {
				return err
			}
			if err := tx.Delete(trimmedKey); err != nil {
				return err
			}
			return a.appendDropped(tx, d)
		})
	}
	if ctx.Err() == nil {
		a.log.Warn("the journal gave readings up that a target has not got", "count", d.Count, "reason", d.Reason, "targets", d.Targets, "err", err)
	}
}

// runBackup keeps a backup to fall back on when the database is damaged, and looks
// whether the audit still holds together.
func (a *Agent) runBackup(ctx context.Context) error {
	next := time.NewTimer(backupFirst)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-next.C:
		}
		if err := a.VerifyAudit(); err != nil && ctx.Err() == nil {
			a.log.Error("audit is not what was written", "err", err)
		}
		if err := a.store.Backup(ctx); err != nil && ctx.Err() == nil {
			a.log.Warn("no backup made", "err", err)
		}
		next.Reset(backupEvery)
	}
}

// forgetAtOnce bounds one round of forgetting, so that no transaction is long.
const forgetAtOnce = 500

func (a *Agent) forget(ctx context.Context) error {
	now := a.now()
	var gone []store.Key
	note := func(k store.Key) error {
		if gone = append(gone, k); len(gone) >= forgetAtOnce {
			return store.ErrStop
		}
		return nil
	}
	err := a.store.View(func(tx *store.Tx) error {
		err := store.Each(tx, receiptTable, func(k store.Key, r keptReceipt) error {
			if now.Sub(r.At) > a.cfg.KeepReceipts {
				return note(k)
			}
			return nil
		})
		if err != nil {
			return err
		}
		err = store.Each(tx, sessionTable, func(k store.Key, s account.Session) error {
			if !s.Valid(now) {
				return note(k)
			}
			return nil
		})
		if err != nil {
			return err
		}
		return store.Each(tx, inviteTable, func(k store.Key, i account.Invitation) error {
			if now.After(i.Expires) {
				return note(k)
			}
			return nil
		})
	})
	if err != nil || len(gone) == 0 {
		return err
	}
	return a.store.Update(ctx, station.LaneNormal, func(tx *store.Tx) error {
		for _, k := range gone {
			if err := tx.Delete(k); err != nil {
				return err
			}
		}
		return nil
	})
}
