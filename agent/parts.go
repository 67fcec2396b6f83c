package agent

import (
	"context"
	"errors"
	"slices"

	"stationd/agent/station"
	"stationd/agent/store"
)

// inParts does fn for each item, most of them in one transaction, or fewer where
// that is more than a transaction holds. An item that fails keeps none of the
// others from being done; the errors are joined. fn may be called again for an
// item whose transaction was not kept.
func (a *Agent) inParts(ctx context.Context, most int, items []string, fn func(tx *store.Tx, item string) error) error {
	var failures []error
	for part := range slices.Chunk(items, most) {
		err := a.store.Update(ctx, station.LaneUrgent, func(tx *store.Tx) error {
			for _, item := range part {
				if err := fn(tx, item); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil && len(part) > 1 && ctx.Err() == nil {
			err = a.inParts(ctx, (len(part)+1)/2, part, fn)
		}
		failures = append(failures, err)
	}
	return errors.Join(failures...)
}
