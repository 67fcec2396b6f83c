package agent

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"stationd/agent/account"
	"stationd/agent/station"
	"stationd/agent/store"
)

// Alarms that reach a centre from elsewhere go down to the station that they belong
// to. What was answered to the source is stored; it goes down until the station's
// receipt comes, one after the other for each station, so that an end never overtakes
// its beginning. At the station it is a sensor of its own that alarms.

const (
	// CentreFamily is the payload family of sensors that stand for devices of which
	// the centre alone hears.
	CentreFamily = "centre"
	// maxRouting bounds what waits for stations. Beyond it a source is told to wait:
	// nothing that was taken is thrown away.
	maxRouting = 20_000
	// keepRouted is how long a routed alarm, and the name its source gave it, is
	// remembered.
	keepRouted = 30 * 24 * time.Hour
	maxSources = 100
)

// keptSource is a source with the digest of its token.
type keptSource struct {
	station.AlarmSource
	Digest string `json:"digest"`
}

// routeCount is how many wait, and how many ever came.
type routeCount struct {
	Waiting int    `json:"waiting"`
	Seq     uint64 `json:"seq"`
}

func routingKey(x station.Routed) store.Key {
	return key(routingTable, string(x.Alarm.Station), fmt.Sprintf("%016x", x.Seq))
}

func routedKey(node station.NodeID, id string) store.Key { return key(routedTable, string(node), id) }

func preparePutSource(a *Agent, cmd station.Command) (plan, error) {
	s, err := decodeBody[station.AlarmSource](cmd)
	if err != nil {
		return plan{}, err
	}
	s.ID, s.Name = cmd.Subject, strings.TrimSpace(s.Name)
	if err := checkID("id", s.ID); err != nil {
		return plan{}, err
	}
	if s.Name == "" {
		return plan{}, invalid("name", "say who reports", "the source has no name")
	}
	if err := checkText("name", s.Name, 120); err != nil {
		return plan{}, err
	}
	for i, n := range s.Stations {
		if n.Validate() != nil {
			return plan{}, invalid(fmt.Sprintf("stations[%d]", i), "use the IDs of stations", "%q is no station", n)
		}
	}
	token, digest := account.NewToken()
	s.By, s.At, s.LastAt = cmd.Actor.Account, a.now(), time.Time{}
	return plan{subject: "alarm-source/" + s.ID, lane: station.LaneNormal, kept: s, apply: func(tx *store.Tx) (any, error) {
		n := 0
		var old string
		err := store.Each(tx, sourceTable, func(_ store.Key, k keptSource) error {
			n++
			if k.ID == s.ID {
				old = k.Digest
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if old == "" && n >= maxSources {
			return nil, station.Errorf(http.StatusConflict, "source.many", "remove one that reports no more", "there are %d sources already", n)
		}
		if old != "" {
			if err := tx.Delete(key(sourceTokenTable, old)); err != nil {
				return nil, err
			}
		}
		if err := store.Put(tx, key(sourceTokenTable, digest), s.ID); err != nil {
			return nil, err
		}
		if err := store.Put(tx, key(sourceTable, s.ID), keptSource{s, digest}); err != nil {
			return nil, err
		}
		return station.AlarmSourceKey{AlarmSource: s, Token: token}, appendEvent(tx, station.LaneNormal, station.EventSetupChanged, "alarm-source/"+s.ID, cmd.Actor.Account, a.now(), s)
	}}, nil
}

func prepareRemoveSource(a *Agent, cmd station.Command) (plan, error) {
	return plan{subject: "alarm-source/" + cmd.Subject, lane: station.LaneNormal, apply: func(tx *store.Tx) (any, error) {
		s, known, err := store.Get[keptSource](tx, key(sourceTable, cmd.Subject))
		if err != nil {
			return nil, err
		}
		if !known {
			return nil, station.ErrNotFound.At("alarm-source/" + cmd.Subject)
		}
		if err := tx.Delete(key(sourceTokenTable, s.Digest)); err != nil {
			return nil, err
		}
		if err := tx.Delete(key(sourceTable, s.ID)); err != nil {
			return nil, err
		}
		return nil, appendEvent(tx, station.LaneNormal, station.EventSetupChanged, "alarm-source/"+s.ID, cmd.Actor.Account, a.now(), s.AlarmSource)
	}}, nil
}

var errSource = station.Problem{Code: "source.token", Status: http.StatusUnauthorized, Message: "this token is not known", Hint: "send Authorization: Bearer and the token that the centre showed for this source"}

// SourceOf is who has that token.
func (a *Agent) SourceOf(token string) (s station.AlarmSource, err error) {
	err = a.store.View(func(tx *store.Tx) error {
		id, known, err := store.Get[string](tx, key(sourceTokenTable, account.Digest(token)))
		if err != nil {
			return err
		}
		if !known || token == "" {
			return &errSource
		}
		k, _, err := store.Get[keptSource](tx, key(sourceTable, id))
		s = k.AlarmSource
		return err
	})
	return s, err
}

// RouteAlarms takes alarms of a source in, all or none, and returns when they are
// durable. One that came before, by the source's own name for it, is known.
func (a *Agent) RouteAlarms(ctx context.Context, s station.AlarmSource, events []station.Routed) ([]station.Routed, error) {
	for i := range events {
		if err := a.checkRouted(&events[i]); err != nil {
			return nil, station.Under(fmt.Sprintf("[%d]", i), err)
		}
	}
	taken := make([]station.Routed, len(events))
	var change reportChange
	err := a.store.Update(ctx, station.LaneUrgent, func(tx *store.Tx) error {
		change = reportChange{}
		now := a.now()
		count, _, err := store.Get[routeCount](tx, routeCountKey)
		if err != nil {
			return err
		}
		for i, x := range events {
			x.Source, x.At, x.StateAt, x.State = s.ID, now, now, station.RouteWaiting
			known := key(routedNameTable, s.ID, x.Event)
			where, again, err := store.Get[station.Routed](tx, known)
			if err != nil {
				return err
			}
			if again {
				taken[i] = where
				continue
			}
			if err := a.mayRoute(tx, s, x.Alarm.Station); err != nil {
				return station.Under(fmt.Sprintf("[%d]", i), err)
			}
			count.Seq++
			x.ID, x.Seq = station.NewID(), count.Seq
			if x.Alarm.Station == a.store.Node() {
				o := station.RouteOrder{Source: s.ID, Name: s.Name, Alarm: x.Alarm}
				if err := a.commitRouted(tx, o, now, &change); err != nil {
					return err
				}
				x.State = station.RouteDone
			} else {
				if count.Waiting++; count.Waiting > maxRouting {
					return station.Errorf(http.StatusServiceUnavailable, "route.full", "try again in a minute; look which stations are away", "%d alarms wait for their stations", maxRouting)
				}
				if err := store.Put(tx, routingKey(x), x.ID); err != nil {
					return err
				}
			}
			if err := store.Put(tx, routedKey(x.Alarm.Station, x.ID), x); err != nil {
				return err
			}
			if err := store.Put(tx, known, x); err != nil {
				return err
			}
			taken[i] = x
		}
		if err := store.Put(tx, routeCountKey, count); err != nil {
			return err
		}
		k, ok, err := store.Get[keptSource](tx, key(sourceTable, s.ID))
		if err != nil || !ok {
			return err
		}
		k.LastAt = now
		return store.Put(tx, key(sourceTable, s.ID), k)
	})
	if err != nil {
		return nil, err
	}
	a.afterReport(change)
	return taken, a.wakeAsked()
}

// mayRoute tells whether the source may report for a station that is known here.
func (a *Agent) mayRoute(tx *store.Tx, s station.AlarmSource, node station.NodeID) error {
	if len(s.Stations) > 0 && !slices.Contains(s.Stations, node) {
		return station.Errorf(http.StatusForbidden, "route.station", "have the station added to the source at the centre", "this source may not report for %s", node).At("station")
	}
	if node == a.store.Node() {
		return nil
	}
	_, _, known, err := way(tx, node)
	if err != nil {
		return err
	}
	if !known {
		if _, known, err = store.Get[station.Enrolment](tx, key(enrolmentTable, string(node))); err != nil {
			return err
		}
	}
	if !known || a.orderBelow == nil {
		return station.Errorf(http.StatusUnprocessableEntity, "route.unknown", "use the ID of a station below this centre", "there is no station %q", node).At("station")
	}
	return nil
}

// checkRouted reports every fault of what a source says.
func (a *Agent) checkRouted(x *station.Routed) error {
	al := &x.Alarm
	al.Device, al.Sensor, al.Name, al.Place = strings.TrimSpace(al.Device), strings.TrimSpace(al.Sensor), strings.TrimSpace(al.Name), strings.TrimSpace(al.Place)
	switch {
	case x.Event == "" || len(x.Event) > 200:
		return invalid("id", "give each report an id of its own, and the same again when it is repeated", "the report has no usable id")
	case al.Station.Validate() != nil:
		return invalid("station", "name the station that it belongs to", "%q is no station", al.Station)
	case al.Device == "" && al.Sensor == "" || len(al.Device) > 120 || len(al.Sensor) > 120:
		return invalid("device", "name the device, at most 120 bytes, or a sensor of the station", "nothing says which device alarms")
	case al.Kind == "" || len(al.Kind) > 40 || strings.ContainsFunc(string(al.Kind), func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' }):
		return invalid("kind", "use smoke, gas, water, sos … or a word of a-z, 0-9, '-' and '_'", "%q is no kind of alarm", al.Kind)
	case len(al.Values) > 50:
		return invalid("values", "send at most 50", "there are %d values", len(al.Values))
	}
	for name, v := range al.Values {
		switch v := v.(type) {
		case bool, float64:
		case string:
			if len(v) > 200 {
				return invalid("values."+name, "send at most 200 bytes", "the value is too long")
			}
		default:
			return invalid("values."+name, "send numbers, texts, true or false", "the value is of another kind")
		}
		if name == "" || len(name) > 60 {
			return invalid("values", "name each value in at most 60 bytes", "a value has no usable name")
		}
	}
	if err := checkText("name", al.Name, 120); err != nil {
		return err
	}
	return checkText("place", al.Place, 200)
}

// commitRouted makes what a source says the report of a sensor here.
func (a *Agent) commitRouted(tx *store.Tx, o station.RouteOrder, now time.Time, change *reportChange) error {
	al := o.Alarm
	active := al.Active == nil || *al.Active
	r := station.Report{
		Sensor: al.Sensor, Values: al.Values, Received: now, DeviceTime: al.Time, Live: true,
		Signals: []station.Signal{{Kind: al.Kind, Active: active, Field: string(al.Kind), Value: active, Rule: o.Source}},
	}
	if al.Sensor == "" {
		r.Sensor = "from-" + o.Source + "-" + slug(al.Device)
		name := al.Name
		if name == "" {
			name = al.Device
		}
		class := string(al.Kind)
		if !slices.Contains(station.Classes(), class) {
			class = station.ClassOther
		}
		r.Unknown = &station.Sensor{
			Name: name, Place: al.Place, Class: class, Adopted: true, SilentAfter: -1, Maker: o.Name,
			Source: station.SensorSource{Broker: "centre", Family: CentreFamily, Topic: o.Source, Device: al.Device},
		}
	} else if _, err := ownSensor(tx, al.Sensor); err != nil {
		return err
	}
	return a.commitReport(tx, r, change)
}

// slug makes a name that can stand in an ID; one that loses something by it gets its
// digest, so that no two devices become one.
func slug(name string) string {
	kept := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '_':
			return r
		}
		return -1
	}, name)
	if kept == name && len(kept) <= 40 {
		return kept
	}
	return kept[:min(len(kept), 24)] + "-" + account.Digest(name)[:12]
}

func prepareRouteAlarm(a *Agent, cmd station.Command) (plan, error) {
	o, err := decodeBody[station.RouteOrder](cmd)
	if err != nil {
		return plan{}, err
	}
	if err := checkID("source", o.Source); err != nil {
		return plan{}, err
	}
	x := station.Routed{Event: "x", Alarm: o.Alarm}
	if err := a.checkRouted(&x); err != nil {
		return plan{}, err
	}
	o.Alarm = x.Alarm
	change := &reportChange{}
	after := func() error { a.afterReport(*change); return nil }
	return plan{subject: "alarm-route/" + cmd.Subject, detail: o.Source + ": " + string(o.Alarm.Kind) + " " + o.Alarm.Device + o.Alarm.Sensor, lane: station.LaneUrgent, after: after, apply: func(tx *store.Tx) (any, error) {
		*change = reportChange{}
		return nil, a.commitRouted(tx, o, a.now(), change)
	}}, nil
}

// wantedRoutes are the oldest alarm of each station that waits for it.
func (a *Agent) wantedRoutes(wanted map[store.Key]wish) error {
	if a.orderBelow == nil {
		return nil
	}
	return a.store.View(func(tx *store.Tx) error {
		nodes, err := routeNodes(tx)
		if err != nil {
			return err
		}
		for _, node := range nodes {
			if _, online, _, err := way(tx, node); err != nil {
				return err
			} else if !online {
				continue
			}
			err := store.Each(tx, key(routingTable, string(node))+"/", func(_ store.Key, id string) error {
				x, known, err := store.Get[station.Routed](tx, routedKey(node, id))
				if err != nil || !known {
					return err
				}
				wanted[routingTable+store.Key(node)] = wish{command: x.ID, send: func(ctx context.Context) { a.sendRouted(ctx, x) }}
				return store.ErrStop
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// routeNodes are the stations for which something waits: the first key of each is
// looked up, and the rest of it passed over.
func routeNodes(tx *store.Tx) (list []station.NodeID, err error) {
	for after := store.Key(""); ; {
		next := store.Key("")
		err := store.EachAfter(tx, routingTable, after, func(k store.Key, _ string) error {
			next = k
			return store.ErrStop
		})
		if err != nil || next == "" {
			return list, err
		}
		node, _, _ := strings.Cut(strings.TrimPrefix(string(next), string(routingTable)), "/")
		list = append(list, station.NodeID(node))
		after = key(routingTable, node) + "/\xff"
	}
}

func (a *Agent) sendRouted(ctx context.Context, x station.Routed) {
	s, err := a.source(x.Source)
	o := station.RouteOrder{Source: x.Source, Name: s.Name, Alarm: x.Alarm}
	cmd := station.Command{ID: x.ID, Type: station.CommandRouteAlarm, Subject: x.ID, Issued: x.At, Actor: station.Actor{Account: "source:" + x.Source, Name: s.Name, Role: account.RoleNode}}
	if err == nil {
		cmd.Body, err = marshalResult(o)
	}
	var receipt station.Receipt
	if err == nil {
		receipt, err = a.orderBelow(ctx, x.Alarm.Station, cmd)
	}
	if err == nil {
		if p := receipt.Problem; p != nil && p.Status >= 500 && p.Status != http.StatusNotImplemented {
			err = p
		} else {
			err = a.settleRouted(ctx, x, p)
		}
	}
	if err != nil && ctx.Err() == nil {
		a.log.Warn("a station has not taken an alarm from elsewhere", "node", x.Alarm.Station, "source", x.Source, "err", err)
		sleep(ctx, askAgain)
	}
	_ = a.wakeAsked() // the next one of the station
}

func (a *Agent) source(id string) (s station.AlarmSource, err error) {
	err = a.store.View(func(tx *store.Tx) error {
		k, _, err := store.Get[keptSource](tx, key(sourceTable, id))
		s = k.AlarmSource
		return err
	})
	return s, err
}

// settleRouted notes the station's receipt.
func (a *Agent) settleRouted(ctx context.Context, x station.Routed, problem *station.Problem) error {
	return a.store.Update(ctx, station.LaneUrgent, func(tx *store.Tx) error {
		waits := routingKey(x)
		if _, waiting, err := store.Get[string](tx, waits); err != nil || !waiting {
			return err
		}
		if err := tx.Delete(waits); err != nil {
			return err
		}
		count, _, err := store.Get[routeCount](tx, routeCountKey)
		if err != nil {
			return err
		}
		count.Waiting = max(count.Waiting-1, 0)
		if err := store.Put(tx, routeCountKey, count); err != nil {
			return err
		}
		now := a.now()
		x.State, x.StateAt, x.Problem = station.RouteDone, now, problem
		row := station.Audit{At: now, Actor: station.Actor{Account: "source:" + x.Source}, Action: station.CommandRouteAlarm, Subject: "alarm-route/" + x.ID, Result: "ok", Detail: string(x.Alarm.Station) + " has it"}
		if problem != nil {
			x.State, row.Result, row.Detail = station.RouteRefused, problem.Code, string(x.Alarm.Station)+": "+problem.Message
		}
		if err := store.Put(tx, routedKey(x.Alarm.Station, x.ID), x); err != nil {
			return err
		}
		if err := store.Put(tx, key(routedNameTable, x.Source, x.Event), x); err != nil {
			return err
		}
		return appendAudit(tx, row)
	})
}

// forgetRouted forgets what was settled long ago.
func (a *Agent) forgetRouted(ctx context.Context) error {
	var gone []store.Key
	err := a.store.View(func(tx *store.Tx) error {
		return store.Each(tx, routedTable, func(k store.Key, x station.Routed) error {
			if x.State != station.RouteWaiting && a.now().Sub(x.StateAt) > keepRouted {
				gone = append(gone, k, key(routedNameTable, x.Source, x.Event))
			}
			if len(gone) >= forgetAtOnce {
				return store.ErrStop
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
