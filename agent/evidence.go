package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"stationd/agent/station"
	"stationd/agent/store"
)

// EvidenceKeeper holds film as evidence; video/record implements it.
type EvidenceKeeper interface {
	// HoldEvidence keeps a span. It is refused, with a problem, where there is no
	// room; the same ID again is the same hold.
	HoldEvidence(ctx context.Context, h station.Hold) error
	// ReleaseEvidence ends a hold; station.ErrNotFound where there is none.
	ReleaseEvidence(id string) error
	// Evidence lists the IDs of what is held.
	Evidence() []string
	// EvidenceBytes is what one of them takes, or is expected to.
	EvidenceBytes(id string) int64
	// Gone lists the clips whose film made room for newer ones, until GoneTold.
	Gone() []string
	GoneTold(id string) error
}

type holdList struct {
	Holds []HoldView `json:"holds"`
}

// HoldView is a hold, and what it takes now.
type HoldView struct {
	station.Hold
	Size int64 `json:"size,omitempty"`
}

func (a *Agent) evidenceRoutes() []station.Route {
	if a.evidence == nil {
		return nil
	}
	return []station.Route{
		{Pattern: "GET /api/v1/evidence", Permission: station.PermVideo, Summary: "List what is or was held as evidence, the newest first", Params: []station.Param{{Name: "camera", In: "query", Type: "string", Summary: "of this camera alone"}}, Reply: holdList{}, Handler: station.Handler(a.getHolds)},
		{Pattern: "PUT /api/v1/evidence/{id}", Permission: station.PermAnswer, Resource: "evidence/{id}", Summary: "Hold a span of a camera's record as evidence, with a reason", Body: station.HoldOrder{}, Reply: station.Hold{}, Params: commandParams, Handler: a.put(station.CommandHoldEvidence, "id")},
		{Pattern: "POST /api/v1/evidence/{id}/release", Permission: station.PermAccounts, Resource: "evidence/{id}", Summary: "Release evidence, with a reason; its record stays", Body: station.ReleaseOrder{}, Reply: station.Hold{}, Params: commandParams, Handler: a.put(station.CommandReleaseEvidence, "id")},
	}
}

func (a *Agent) getHolds(w http.ResponseWriter, r *http.Request) error {
	holds, err := a.Holds(r.URL.Query().Get("camera"))
	if err != nil {
		return err
	}
	err = a.store.View(func(tx *store.Tx) (err error) {
		holds, err = onlySeen(tx, station.ActorFrom(r.Context()), holds, func(h station.Hold) string { return h.Camera })
		return err
	})
	if err != nil {
		return err
	}
	out := holdList{Holds: make([]HoldView, len(holds))}
	for i, h := range holds {
		out.Holds[i] = HoldView{Hold: h}
		if h.Released.IsZero() {
			out.Holds[i].Size = a.evidence.EvidenceBytes(h.ID)
		}
	}
	return station.WriteJSON(w, http.StatusOK, out)
}

// Holds lists what is or was held, the newest first; an empty camera is all.
func (a *Agent) Holds(camera string) ([]station.Hold, error) {
	holds := []station.Hold{}
	err := a.store.View(func(tx *store.Tx) error {
		return store.Each(tx, holdTable, func(_ store.Key, h station.Hold) error {
			if camera == "" || h.Camera == camera {
				holds = append(holds, h)
			}
			return nil
		})
	})
	slices.SortFunc(holds, func(x, y station.Hold) int { return y.At.Compare(x.At) })
	return holds, err
}

// mostReason bounds a reason, in characters.
const mostReason = 500

func checkReason(reason string) error {
	if n := utf8.RuneCountInString(strings.TrimSpace(reason)); n == 0 || n > mostReason {
		return station.Errorf(http.StatusBadRequest, "evidence.reason", "say in a few words why", "evidence is held and released for a reason").At("reason")
	}
	return nil
}

// prepareHoldEvidence has the film held before the record of it is written: what a
// record says is there must be there. A hold whose record was not written in the
// end is released at the next start; see settleEvidence.
func prepareHoldEvidence(a *Agent, cmd station.Command) (plan, error) {
	var body station.HoldOrder
	if err := json.Unmarshal(cmd.Body, &body); err != nil {
		return plan{}, station.Errorf(http.StatusBadRequest, "command.body", "give a hold as the body", "the body cannot be read")
	}
	if err := checkReason(body.Reason); err != nil {
		return plan{}, err
	}
	if a.evidence == nil {
		return plan{}, station.ErrNotFound.At("evidence/" + cmd.Subject)
	}
	now := a.now()
	h := station.Hold{
		ID: body.ID, Node: a.store.Node(), Camera: body.Camera, From: body.From, To: body.To, Reason: strings.TrimSpace(body.Reason),
		Alarm: body.Alarm, Case: body.Case, Account: cmd.Actor.Account, Name: cmd.Actor.Name, At: now,
	}
	err := a.store.View(func(tx *store.Tx) error {
		if _, ok, err := store.Get[station.Camera](tx, key(cameraTable, h.Camera)); err != nil || !ok {
			return errors.Join(err, station.Errorf(http.StatusNotFound, "camera.unknown", "name a camera of this station", "there is no camera %q", h.Camera).At("camera"))
		}
		if ok, err := sees(tx, cmd.Actor, h.Camera); err != nil || !ok {
			return errors.Join(err, station.ErrUnseen.At("camera/"+h.Camera))
		}
		if have, ok, err := store.Get[station.Hold](tx, key(holdTable, h.ID)); err != nil {
			return err
		} else if ok && (!have.Released.IsZero() || have.Camera != h.Camera || !have.From.Equal(h.From) || !have.To.Equal(h.To)) {
			return station.Errorf(http.StatusConflict, "evidence.other", "draw a new ID for each hold", "this ID was used for other evidence").At("id")
		}
		return nil
	})
	if err != nil {
		return plan{}, err
	}
	if h.ID != cmd.Subject {
		return plan{subject: "evidence/" + h.ID}, nil // the door refuses it
	}
	if err := a.evidence.HoldEvidence(context.Background(), h); err != nil {
		return plan{}, err
	}
	return plan{subject: "evidence/" + h.ID, detail: h.Reason, lane: station.LaneNormal, apply: func(tx *store.Tx) (any, error) {
		if err := store.Put(tx, key(holdTable, h.ID), h); err != nil {
			return nil, err
		}
		return h, appendEvent(tx, station.LaneNormal, station.EventEvidenceHeld, "evidence/"+h.ID, cmd.Actor.Account, now, h)
	}}, nil
}

// prepareReleaseEvidence notes who released it and why, and then lets the film go.
func prepareReleaseEvidence(a *Agent, cmd station.Command) (plan, error) {
	var body station.ReleaseOrder
	if err := json.Unmarshal(cmd.Body, &body); err != nil {
		return plan{}, station.Errorf(http.StatusBadRequest, "command.body", "give a reason in the body", "the body cannot be read")
	}
	if err := checkReason(body.Reason); err != nil {
		return plan{}, err
	}
	if a.evidence == nil {
		return plan{}, station.ErrNotFound.At("evidence/" + cmd.Subject)
	}
	now := a.now()
	return plan{subject: "evidence/" + body.ID, detail: strings.TrimSpace(body.Reason), lane: station.LaneNormal, apply: func(tx *store.Tx) (any, error) {
		h, ok, err := store.Get[station.Hold](tx, key(holdTable, cmd.Subject))
		switch {
		case err != nil:
			return nil, err
		case !ok:
			return nil, station.ErrNotFound.At("evidence/" + cmd.Subject)
		case !h.Released.IsZero():
			return nil, station.Errorf(http.StatusConflict, "evidence.released", "nothing is left to do", "it was released already, by %s", h.ReleasedBy)
		}
		h.Released, h.ReleasedBy, h.ReleaseReason = now, cmd.Actor.Name, strings.TrimSpace(body.Reason)
		if err := store.Put(tx, key(holdTable, h.ID), h); err != nil {
			return nil, err
		}
		return h, appendEvent(tx, station.LaneNormal, station.EventEvidenceReleased, "evidence/"+h.ID, cmd.Actor.Account, now, h)
	}, after: func() error {
		if err := a.evidence.ReleaseEvidence(cmd.Subject); err != nil && !errors.Is(err, station.ErrNotFound) {
			return fmt.Errorf("release evidence %s: %w", cmd.Subject, err)
		}
		return nil
	}}, nil
}

// settleEvidence makes what is held agree with the records, after a crash between
// the two.
func (a *Agent) settleEvidence(context.Context) error {
	if a.evidence == nil {
		return nil
	}
	holds, err := a.Holds("")
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, h := range holds {
		wanted[h.ID] = h.Released.IsZero()
	}
	for _, id := range a.evidence.Evidence() {
		if !wanted[id] {
			a.log.Warn("evidence without a record is released", "evidence", id)
			if err := a.evidence.ReleaseEvidence(id); err != nil && !errors.Is(err, station.ErrNotFound) {
				a.log.Error("releasing it failed", "evidence", id, "err", err)
			}
		}
	}
	return nil
}

// goneEvery is how often it is looked whether films have made room.
const goneEvery = 10 * time.Second

// runGone notes the clips whose film made room for newer ones.
func (a *Agent) runGone(ctx context.Context) error {
	if a.evidence == nil {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(goneEvery)
	defer tick.Stop()
	for {
		for _, id := range a.evidence.Gone() {
			err := a.clipGone(ctx, id)
			if err == nil {
				err = a.evidence.GoneTold(id)
			}
			if err != nil && ctx.Err() == nil {
				a.log.Warn("that a film is gone could not be noted yet", "clip", id, "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (a *Agent) clipGone(ctx context.Context, id string) error {
	now := a.now()
	return a.store.Update(ctx, station.LaneNormal, func(tx *store.Tx) error {
		c, ok, err := store.Get[station.Clip](tx, key(clipTable, id))
		if err != nil || !ok || c.Status != station.ClipReady || !c.Gone.IsZero() {
			return err
		}
		c.Gone = now
		event := station.EventClipReady
		if c.Uploaded.IsZero() {
			c.Status, c.Cause = station.ClipFailed, "the film made room for newer ones before the centre had it"
			event = station.EventClipFailed
		}
		if err := tx.Delete(key(uploadTable, id)); err != nil {
			return err
		}
		if err := store.Put(tx, key(clipTable, id), c); err != nil {
			return err
		}
		return appendEvent(tx, station.LaneNormal, event, "clip/"+id, "", now, c)
	})
}
