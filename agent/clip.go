package agent

import (
	"context"
	"errors"
	"sync"
	"time"

	"stationd/agent/station"
	"stationd/agent/store"
)

// An alarm never waits for its clip: the clip is ordered in the alarm's own
// transaction, cut when its last second is recorded, and told as its own event.
// What is ordered and not yet cut stands in the store, so that a restart in
// between takes it up again.

const (
	// maxCutting bounds how many clips are cut at once. Further ones wait in
	// the store for their turn; none is given up.
	maxCutting = 16
	// clipRetry is how long a clip that could not be cut waits for its next try.
	clipRetry = 10 * time.Second
	// clipGiveUp is how long after its span a clip is tried for.
	clipGiveUp = 15 * time.Minute
)

// orderClip enters a clip that is to be cut around at.
func (a *Agent) orderClip(tx *store.Tx, alarm, camera string, at time.Time) (station.Clip, error) {
	c := station.Clip{
		ID: station.NewID(), Node: a.store.Node(), Camera: camera, Alarm: alarm, Status: station.ClipPending,
		From: at.Add(-a.cfg.ClipBefore), To: at.Add(a.cfg.ClipAfter),
	}
	if err := store.Put(tx, key(clipTable, c.ID), c); err != nil {
		return c, err
	}
	return c, store.Put(tx, key(cuttingTable, c.ID), c.To)
}

func (a *Agent) wakeClips() {
	select {
	case a.cut <- struct{}{}:
	default: // a wake-up is waiting already
	}
}

// runClips cuts what is ordered until ctx ends, and returns when every cutter
// has ended.
func (a *Agent) runClips(ctx context.Context) error {
	if a.clips == nil {
		<-ctx.Done()
		return nil
	}
	var (
		cutters sync.WaitGroup
		mu      sync.Mutex
		busy    = map[string]bool{}
	)
	defer cutters.Wait()
	retry := time.NewTicker(clipRetry)
	defer retry.Stop()
	for {
		ids, err := a.orderedClips()
		if err != nil {
			return err
		}
		for _, id := range ids {
			mu.Lock()
			start := !busy[id] && len(busy) < maxCutting
			if start {
				busy[id] = true
			}
			mu.Unlock()
			if !start {
				continue
			}
			cutters.Go(func() {
				if err := a.cutClip(ctx, id); err != nil && ctx.Err() == nil {
					a.log.Warn("clip not cut yet", "clip", id, "err", err)
				}
				mu.Lock()
				delete(busy, id)
				mu.Unlock()
			})
		}
		select {
		case <-ctx.Done():
			return nil
		case <-a.cut:
		case <-retry.C:
		}
	}
}

func (a *Agent) orderedClips() ([]string, error) {
	var ids []string
	err := a.store.View(func(tx *store.Tx) error {
		return store.Each(tx, cuttingTable, func(k store.Key, _ time.Time) error {
			ids = append(ids, string(k[len(cuttingTable):]))
			return nil
		})
	})
	return ids, err
}

func (a *Agent) cutClip(ctx context.Context, id string) error {
	c, err := a.Clip(id)
	if err != nil {
		return err
	}
	done, err := a.clips.Clip(ctx, c)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return ctx.Err()
	case a.now().Sub(c.To).Abs() > clipGiveUp: // in the future: the clock was set back
		done = c
		done.Status = station.ClipFailed
		if p, ok := station.AsProblem(err); ok {
			done.Cause = p.Message
		} else {
			done.Cause = "the record could not be read"
		}
		a.log.Error("clip given up", "clip", id, "camera", c.Camera, "err", err)
	default:
		return err
	}
	event := station.EventClipReady
	if done.Status == station.ClipFailed {
		event = station.EventClipFailed
	}
	err = a.store.Update(ctx, station.LaneNormal, func(tx *store.Tx) error {
		if err := store.Put(tx, key(clipTable, id), done); err != nil {
			return err
		}
		if err := tx.Delete(key(cuttingTable, id)); err != nil {
			return err
		}
		if done.Status == station.ClipReady {
			if err := store.Put(tx, key(uploadTable, id), done.To); err != nil {
				return err
			}
		}
		return appendEvent(tx, station.LaneNormal, event, "clip/"+id, "", a.now(), done)
	})
	if err == nil && done.Status == station.ClipReady {
		a.clipsChanged()
	}
	return err
}

// Clip is the record of one clip.
func (a *Agent) Clip(id string) (station.Clip, error) {
	var c station.Clip
	err := a.store.View(func(tx *store.Tx) (err error) {
		var ok bool
		if c, ok, err = store.Get[station.Clip](tx, key(clipTable, id)); err == nil && !ok {
			err = station.ErrNotFound.At("clip/" + id)
		}
		return err
	})
	return c, err
}

// PendingClips are the ready clips that the centre does not have yet: first
// those of the gravest alarms, then the oldest. At most mostPending are returned.
func (a *Agent) PendingClips(ctx context.Context) ([]station.Clip, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var grave, others []station.Clip
	err := a.store.View(func(tx *store.Tx) error {
		return store.Each(tx, uploadTable, func(k store.Key, _ time.Time) error {
			c, ok, err := store.Get[station.Clip](tx, clipTable+k[len(uploadTable):])
			if err != nil || !ok {
				return err
			}
			if s, err := sightOf(tx, c.Camera); err != nil || s.Withheld {
				return err
			}
			alarm, _, err := store.Get[station.Alarm](tx, key(alarmTable, c.Alarm))
			if err != nil {
				return err
			}
			if alarm.Severity == station.SeverityCritical {
				grave = append(grave, c)
			} else {
				others = append(others, c)
			}
			if len(grave)+len(others) >= mostPending {
				return store.ErrStop
			}
			return nil
		})
	})
	return append(grave, others...), err
}

// mostPending is more than can be stuck: those behind would never be tried.
const mostPending = 1000

// ClipLost notes that a clip which the centre does not have is no longer here
// either.
func (a *Agent) ClipLost(ctx context.Context, id string) error {
	return a.store.Update(ctx, station.LaneNormal, func(tx *store.Tx) error {
		if err := tx.Delete(key(uploadTable, id)); err != nil {
			return err
		}
		c, ok, err := store.Get[station.Clip](tx, key(clipTable, id))
		if err != nil || !ok || c.Status != station.ClipReady || !c.Uploaded.IsZero() {
			return err
		}
		c.Status, c.Cause = station.ClipFailed, "the film was lost before the centre had it"
		if err := store.Put(tx, key(clipTable, id), c); err != nil {
			return err
		}
		return appendEvent(tx, station.LaneNormal, station.EventClipFailed, "clip/"+id, "", a.now(), c)
	})
}

// ClipUploaded notes that the centre has the clip whole.
func (a *Agent) ClipUploaded(ctx context.Context, id string) error {
	now := a.now()
	return a.store.Update(ctx, station.LaneNormal, func(tx *store.Tx) error {
		c, ok, err := store.Get[station.Clip](tx, key(clipTable, id))
		if err != nil || !ok {
			return errors.Join(err, tx.Delete(key(uploadTable, id)))
		}
		c.Uploaded = now
		if err := store.Put(tx, key(clipTable, id), c); err != nil {
			return err
		}
		if err := tx.Delete(key(uploadTable, id)); err != nil {
			return err
		}
		return appendEvent(tx, station.LaneNormal, station.EventClipReady, "clip/"+id, "", now, c)
	})
}

// ClipsChanged is closed when a further clip waits to be uploaded.
func (a *Agent) ClipsChanged() <-chan struct{} {
	a.uploads.Lock()
	defer a.uploads.Unlock()
	return a.uploads.more
}

func (a *Agent) clipsChanged() {
	a.uploads.Lock()
	defer a.uploads.Unlock()
	close(a.uploads.more)
	a.uploads.more = make(chan struct{})
}
