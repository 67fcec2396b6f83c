package agent

import (
	"context"
	"net/http"
	"sync"
	"time"

	"stationd/agent/station"
	"stationd/agent/store"
)

// This file sends what a centre wishes of its stations (asked.go, push.go, routed.go), one
// after the other for each thing and kind, to stations that are there.

const (
	// askEvery is how often it is looked for wishes, and for stations that came.
	askEvery = time.Second
	// askAgain is how long a station that failed inside is left in peace.
	askAgain = 5 * time.Second
	// mostAsking bounds how many are sent at a time. The others wait, in the store.
	// mostPatient of them may be of those that are in no hurry.
	mostAsking  = 64
	mostPatient = 16
)

// wish is something that a station is asked for.
type wish struct {
	command string // the ID under which it is known there
	patient bool   // nobody waits for it
	// send makes one try and notes the receipt.
	send func(context.Context)
}

// wakeAsked has the wishes looked at now.
func (a *Agent) wakeAsked() error {
	select {
	case a.ask <- struct{}{}:
	default:
	}
	return nil
}

// flight is a wish that is being sent.
type flight struct {
	wish
	cancel context.CancelFunc
	ended  chan struct{}
}

func (f flight) over() bool {
	select {
	case <-f.ended:
		return true
	default:
		return false
	}
}

// runAsked sends wishes until ctx ends. It returns when every sender has ended.
func (a *Agent) runAsked(ctx context.Context) error {
	var senders sync.WaitGroup
	defer senders.Wait()
	flights := map[store.Key]flight{}
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		wanted, err := a.wantedAsks(ctx)
		if err == nil {
			err = a.wantedPushes(wanted)
		}
		if err == nil {
			err = a.wantedRoutes(wanted)
		}
		if err == nil {
			err = a.wantedInstructions(ctx, wanted)
		}
		if err != nil && ctx.Err() == nil {
			a.log.Error("what is asked of stations is not known", "err", err)
		}
		for k, f := range flights {
			if x, ok := wanted[k]; !ok || x.command != f.command {
				f.cancel()
			}
			if f.over() {
				f.cancel()
				delete(flights, k)
			}
		}
		patient := 0
		for _, f := range flights {
			if f.patient {
				patient++
			}
		}
		for k, x := range wanted {
			// What another one replaces has to be down first: the station must not
			// get the two in the wrong order.
			if _, busy := flights[k]; busy || len(flights) >= mostAsking || x.patient && patient >= mostPatient {
				continue
			}
			if x.patient {
				patient++
			}
			one, cancel := context.WithCancel(ctx)
			f := flight{wish: x, cancel: cancel, ended: make(chan struct{})}
			flights[k] = f
			senders.Go(func() {
				defer close(f.ended)
				f.send(one)
			})
		}
		select {
		case <-ctx.Done():
			for _, f := range flights {
				f.cancel()
			}
			return nil
		case <-a.ask:
		case <-tick.C:
		}
	}
}

// wantedAsks are the wishes that can be sent now. Those whose time is over are
// given up.
func (a *Agent) wantedAsks(ctx context.Context) (map[store.Key]wish, error) {
	wanted := map[store.Key]wish{}
	var late []station.Asked
	now := a.now()
	err := a.store.View(func(tx *store.Tx) error {
		return store.Each(tx, askingTable, func(k store.Key, _ string) error {
			x, known, err := store.Get[station.Asked](tx, askedTable+k[len(askingTable):])
			if err != nil || !known || x.State != station.AskedWaiting {
				return err
			}
			if !x.Until.After(now) {
				late = append(late, x)
				return nil
			}
			_, online, _, err := way(tx, x.Node)
			if online && a.orderBelow != nil {
				wanted[k] = wish{command: x.Command, send: func(ctx context.Context) { a.sendAsked(ctx, x) }}
			}
			return err
		})
	})
	if err != nil {
		return wanted, err
	}
	for _, x := range late {
		if err := a.settleAsked(ctx, x, station.AskedExpired, nil); err != nil {
			return wanted, err
		}
	}
	return wanted, nil
}

// sendAsked sends one wish and notes the receipt. A station that failed inside, for
// a full disk perhaps, is asked again.
func (a *Agent) sendAsked(ctx context.Context, x station.Asked) {
	cmd, err := a.orderOf(x)
	if err != nil {
		a.log.Error("a station is not asked", "node", x.Node, "alarm", x.Alarm, "err", err)
		sleep(ctx, askAgain)
		return
	}
	receipt, err := a.orderBelow(ctx, x.Node, cmd)
	if err == nil {
		switch p := receipt.Problem; {
		case p == nil:
			err = a.settleAsked(ctx, x, station.AskedDone, nil)
		case p.Status == http.StatusGone:
			err = a.settleAsked(ctx, x, station.AskedExpired, nil)
		case p.Status >= 500 && p.Status != http.StatusNotImplemented:
			err = p
		default:
			err = a.settleAsked(ctx, x, station.AskedRefused, p)
		}
	}
	if err != nil && ctx.Err() == nil {
		a.log.Warn("a station has not confirmed what was asked", "node", x.Node, "alarm", x.Alarm, "what", x.What, "err", err)
		sleep(ctx, askAgain)
	}
}
