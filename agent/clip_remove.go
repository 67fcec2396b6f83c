package agent

import (
	"errors"
	"fmt"
	"net/http"

	"stationd/agent/station"
	"stationd/agent/store"
)

// prepareRemoveClip gives a clip's room back. Nothing removes clips by itself;
// whoever removes one is named in the audit, and the record of the clip stays.
func prepareRemoveClip(a *Agent, cmd station.Command) (plan, error) {
	if a.clips == nil {
		return plan{}, station.ErrNotFound.At("clip/" + cmd.Subject)
	}
	now := a.now()
	return plan{subject: "clip/" + cmd.Subject, lane: station.LaneNormal, apply: func(tx *store.Tx) (any, error) {
		c, ok, err := store.Get[station.Clip](tx, key(clipTable, cmd.Subject))
		if err != nil {
			return nil, err
		}
		switch {
		case !ok:
			return nil, station.ErrNotFound.At("clip/" + cmd.Subject)
		case c.Status == station.ClipPending:
			return nil, station.Errorf(http.StatusConflict, "clip.pending", "wait until it is ready", "the clip is still being made")
		}
		c.Status, c.Cause = station.ClipRemoved, "removed by "+cmd.Actor.Name
		if err := store.Put(tx, key(clipTable, c.ID), c); err != nil {
			return nil, err
		}
		if err := tx.Delete(key(uploadTable, c.ID)); err != nil {
			return nil, err
		}
		return c, appendEvent(tx, station.LaneNormal, station.EventClipRemoved, "clip/"+c.ID, cmd.Actor.Account, now, c)
	}, after: func() error {
		if err := a.clips.RemoveClip(cmd.Subject); err != nil && !errors.Is(err, station.ErrNotFound) {
			return fmt.Errorf("remove the film of clip %s: %w", cmd.Subject, err)
		}
		return nil
	}}, nil
}
