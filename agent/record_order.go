package agent

import (
	"net/http"
	"time"

	"stationd/agent/account"
	"stationd/agent/station"
	"stationd/agent/store"
)

// A piece of a camera's record is asked for, and comes as a clip: cut as an alarm's
// is, told by its event and brought to the centre like any other.

// longestRecordOrder bounds the piece; what is longer is an export at the station.
const longestRecordOrder = 10 * time.Minute

func prepareRecordClip(a *Agent, cmd station.Command) (plan, error) {
	o, err := decodeBody[station.RecordOrder](cmd)
	if err != nil {
		return plan{}, err
	}
	now := a.now()
	switch span := o.To.Sub(o.From); {
	case a.clips == nil:
		return plan{}, station.Errorf(http.StatusConflict, "clip.none", "", "this node makes no clips")
	case span < time.Second || span > longestRecordOrder:
		return plan{}, invalid("to", "use 1 second to 10 minutes", "the piece of the record cannot be used")
	case o.From.After(now) || o.To.After(now.Add(longestRecordOrder)):
		return plan{}, invalid("from", "use a time that is past, or has just begun", "the record does not reach into the future")
	}
	detail := o.From.Format(time.DateTime) + " – " + o.To.Format(time.TimeOnly)
	return plan{
		subject: "camera/" + cmd.Subject, detail: detail, lane: station.LaneNormal,
		apply: func(tx *store.Tx) (any, error) {
			cam, known, err := store.Get[station.Camera](tx, key(cameraTable, cmd.Subject))
			switch {
			case err != nil:
				return nil, err
			case !known || cam.Node != "":
				return nil, station.ErrNotFound.At("camera/" + cmd.Subject)
			case cmd.Actor.Role == account.RoleNode && account.SightOf(cam).Withheld:
				return nil, station.ErrUnseen.At("camera/" + cmd.Subject)
			}
			c := station.Clip{ID: station.NewID(), Node: a.store.Node(), Camera: cmd.Subject, Status: station.ClipPending, From: o.From, To: o.To}
			if err := store.Put(tx, key(clipTable, c.ID), c); err != nil {
				return nil, err
			}
			return c, store.Put(tx, key(cuttingTable, c.ID), c.To)
		},
		after: func() error { a.wakeClips(); return nil },
	}, nil
}
