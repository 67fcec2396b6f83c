package agent

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"stationd/agent/account"
	"stationd/agent/station"
	"stationd/agent/store"
)

// Broadcasts on the screens: of the station's own people or from above, with who has
// read them. A centre keeps those of its stations under their names.

const (
	maxBroadcasts     = 200
	maxBroadcastText  = 500
	maxBroadcastSeen  = 50
	longestBroadcast  = 30 * 24 * time.Hour
	usualBroadcast    = 24 * time.Hour
	broadcastsAtATime = 20
)

func preparePutBroadcast(a *Agent, cmd station.Command) (plan, error) {
	n, err := decodeBody[station.Broadcast](cmd)
	if err != nil {
		return plan{}, err
	}
	now := a.now()
	n.ID, n.Node, n.Seen, n.At, n.By = cmd.Subject, "", nil, now, cmd.Actor.Name
	if err := checkID("id", n.ID); err != nil {
		return plan{}, err
	}
	if n.Text = strings.TrimSpace(n.Text); n.Text == "" {
		return plan{}, invalid("text", "write what is to be read", "the notice is empty")
	}
	if err := checkText("text", n.Text, maxBroadcastText); err != nil {
		return plan{}, err
	}
	if n.Until.IsZero() {
		n.Until = now.Add(usualBroadcast)
	}
	if d := n.Until.Sub(now); d <= 0 || d > longestBroadcast {
		return plan{}, invalid("until", "use a time within the next 30 days", "the notice cannot stand until %s", n.Until.Format(time.DateTime))
	}
	return plan{subject: "broadcast/" + n.ID, lane: station.LaneNormal, apply: func(tx *store.Tx) (any, error) {
		if err := a.makeRoomForBroadcast(tx, now); err != nil {
			return nil, err
		}
		return n, putBroadcast(tx, n, cmd.Actor.Account, now)
	}}, nil
}

// makeRoomForBroadcast forgets notices that are over, and refuses one too many.
func (a *Agent) makeRoomForBroadcast(tx *store.Tx, now time.Time) error {
	kept, over := 0, []store.Key{}
	err := store.Each(tx, broadcastTable, func(k store.Key, n station.Broadcast) error {
		switch {
		case n.Node != "":
		case now.After(n.Until.Add(longestBroadcast)):
			over = append(over, k)
		default:
			kept++
		}
		return nil
	})
	if err == nil && kept >= maxBroadcasts {
		err = station.Errorf(http.StatusConflict, "broadcast.many", "wait until some are over", "there are %d notices already", kept)
	}
	for _, k := range over {
		if err == nil {
			err = tx.Delete(k)
		}
	}
	return err
}

func putBroadcast(tx *store.Tx, n station.Broadcast, actor string, now time.Time) error {
	if err := store.Put(tx, key(broadcastTable, n.ID), n); err != nil {
		return err
	}
	return appendEvent(tx, station.LaneNormal, station.EventBroadcast, "broadcast/"+n.ID, actor, now, n)
}

func prepareSeenBroadcast(a *Agent, cmd station.Command) (plan, error) {
	if cmd.Actor.Role == account.RoleDisplay {
		return plan{}, station.Errorf(http.StatusForbidden, "access.denied", "sign in with an account of your own", "nobody in particular sits before a display: it cannot say that somebody has read it")
	}
	now := a.now()
	return plan{subject: "broadcast/" + cmd.Subject, lane: station.LaneNormal, apply: func(tx *store.Tx) (any, error) {
		n, known, err := store.Get[station.Broadcast](tx, key(broadcastTable, cmd.Subject))
		switch {
		case err != nil:
			return nil, err
		case !known || n.Node != "":
			return nil, station.ErrNotFound.At("broadcast/" + cmd.Subject)
		case len(n.Seen) >= maxBroadcastSeen || slices.ContainsFunc(n.Seen, func(s station.BroadcastSeen) bool { return s.By == cmd.Actor.Account }):
			return n, nil
		}
		n.Seen = append(slices.Clone(n.Seen), station.BroadcastSeen{By: cmd.Actor.Account, Name: cmd.Actor.Name, At: now})
		return n, putBroadcast(tx, n, cmd.Actor.Account, now)
	}}, nil
}

// broadcast keeps what stands on a child's screens, with who has read it there.
func (c childTx) broadcast(n *station.Broadcast) (string, error) {
	if n.Node == "" {
		n.Node = c.node
	}
	id, err := c.name(n.Node, n.ID)
	if err != nil {
		return "", err
	}
	n.ID = id
	k := key(broadcastTable, id)
	if _, err := owned(c, k, func(n station.Broadcast) station.NodeID { return n.Node }, n.Node); err != nil {
		return "", err
	}
	return "broadcast/" + id, store.Put(c.tx, k, *n)
}

// Broadcasts lists those that stand, newest first: this node's own, or with below those
// of its stations, also such as are over.
func (a *Agent) Broadcasts(below bool) ([]station.Broadcast, error) {
	list, err := all[station.Broadcast](a, broadcastTable)
	now := a.now()
	list = slices.DeleteFunc(list, func(n station.Broadcast) bool {
		return (n.Node != "") != below || !below && now.After(n.Until)
	})
	slices.SortFunc(list, func(x, y station.Broadcast) int { return y.At.Compare(x.At) })
	return list, err
}

type broadcastList struct {
	Broadcasts []station.Broadcast `json:"broadcasts"`
}

func (a *Agent) broadcastRoutes() []station.Route {
	const path = "/api/v1/broadcasts"
	return []station.Route{
		{Pattern: "GET " + path, Permission: station.PermWatch, Summary: "The notices that stand on this node's screens; with below those of its stations, and who has read them", Reply: broadcastList{}, Params: []station.Param{
			{Name: "below", In: "query", Type: "boolean", Summary: "those of the stations"},
		}, Handler: station.Handler(func(w http.ResponseWriter, r *http.Request) error {
			below := r.URL.Query().Get("below") != ""
			v, err := a.Broadcasts(below)
			if err != nil {
				return err
			}
			if !below {
				v = v[:min(len(v), broadcastsAtATime)]
			}
			return station.WriteJSON(w, http.StatusOK, broadcastList{v})
		})},
		{Pattern: "PUT " + path + "/{id}", Permission: station.PermAnswer, Resource: "broadcast/{id}", Summary: "Put a notice on this node's screens", Body: station.Broadcast{}, Reply: station.Broadcast{}, Params: commandParams, Handler: a.put(station.CommandPutBroadcast, "id")},
		{Pattern: "POST " + path + "/{id}/seen", Permission: station.PermAnswer, Resource: "broadcast/{id}", Summary: "Say that one has read it", Reply: station.Broadcast{}, Params: commandParams, Handler: a.put(station.CommandSeenBroadcast, "")},
	}
}
