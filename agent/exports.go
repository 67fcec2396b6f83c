package agent

import (
	"context"
	"net/http"
	"strings"
	"time"

	"stationd/agent/account"
	"stationd/agent/station"
	"stationd/agent/store"
)

// Exports: files that people have made of the record. Here is who ordered what, and
// what became of it; the files are playback's.

const (
	// mostExports is how many files are waited for or kept at once.
	mostExports = 50
	// keepExports is how many records of exports are kept, files or none. The audit
	// keeps all.
	keepExports = 500
)

func prepareExport(a *Agent, cmd station.Command) (plan, error) {
	if a.checkExport == nil {
		return plan{}, station.ErrNotFound.At("camera/" + cmd.Subject)
	}
	if cmd.Actor.Role == account.RoleDisplay {
		return plan{}, station.Errorf(http.StatusForbidden, "access.denied", "sign in with your own account", "nobody is known to sit before a display")
	}
	o, err := decodeBody[station.ExportOrder](cmd)
	if err != nil {
		return plan{}, err
	}
	if o.Reason = strings.TrimSpace(o.Reason); o.Reason == "" {
		return plan{}, invalid("reason", "say in a few words what it is for; it stands in the audit", "an export needs a reason")
	}
	if err := checkText("reason", o.Reason, 200); err != nil {
		return plan{}, err
	}
	now := a.now()
	x := station.Export{
		ID: station.NewID(), Node: a.store.Node(), Camera: cmd.Subject, From: o.From, To: o.To, Overlay: o.Overlay, Reason: o.Reason,
		By: cmd.Actor.Account, Name: cmd.Actor.Name, At: now, Status: station.ExportWaiting,
	}
	if err := a.checkExport(x); err != nil {
		return plan{}, err
	}
	detail := x.From.Format(time.DateTime) + " – " + x.To.Format(time.DateTime) + ": " + x.Reason
	return plan{subject: "camera/" + x.Camera, detail: detail, lane: station.LaneNormal, apply: func(tx *store.Tx) (any, error) {
		files, all := 0, 0
		var oldest []store.Key
		err := store.EachReverse(tx, exportTable, func(k store.Key, have station.Export) error {
			if have.Status == station.ExportWaiting || have.Status == station.ExportReady {
				files++
			} else if all++; all > keepExports {
				oldest = append(oldest, k)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if files >= mostExports {
			return nil, station.Errorf(http.StatusConflict, "export.many", "fetch and remove some of those that are ready", "there are %d exports already", files)
		}
		for _, k := range oldest {
			if err := tx.Delete(k); err != nil {
				return nil, err
			}
		}
		return x, putExport(tx, x, cmd.Actor.Account, now)
	}, after: func() error {
		a.exportsChanged()
		return nil
	}}, nil
}

func putExport(tx *store.Tx, x station.Export, by string, now time.Time) error {
	if err := store.Put(tx, key(exportTable, x.ID), x); err != nil {
		return err
	}
	return appendEvent(tx, station.LaneNormal, station.EventExport, "export/"+x.ID, by, now, x)
}

// prepareRemoveExport takes an export back: one that is being made is not made, the
// file of a ready one goes.
func prepareRemoveExport(a *Agent, cmd station.Command) (plan, error) {
	o, err := decodeBody[station.ExportRemoval](cmd)
	if err != nil {
		return plan{}, err
	}
	now := a.now()
	return plan{subject: "camera/" + cmd.Subject, detail: "export " + o.ID, lane: station.LaneNormal, apply: func(tx *store.Tx) (any, error) {
		x, ok, err := store.Get[station.Export](tx, key(exportTable, o.ID))
		if err != nil {
			return nil, err
		}
		if !ok || x.Camera != cmd.Subject {
			return nil, station.ErrNotFound.At("export/" + o.ID)
		}
		if x.Status != station.ExportRemoved {
			x.Status, x.Cause, x.Until = station.ExportRemoved, "removed by "+cmd.Actor.Name, time.Time{}
			return x, putExport(tx, x, cmd.Actor.Account, now)
		}
		return x, nil
	}, after: func() error {
		a.exportsChanged()
		return nil
	}}, nil
}

// Exports lists the exports, the newest first.
func (a *Agent) Exports() ([]station.Export, error) {
	list := []station.Export{}
	err := a.store.View(func(tx *store.Tx) error {
		return store.EachReverse(tx, exportTable, func(_ store.Key, x station.Export) error {
			list = append(list, x)
			return nil
		})
	})
	return list, err
}

// Export is one of them.
func (a *Agent) Export(id string) (x station.Export, err error) {
	err = a.store.View(func(tx *store.Tx) error {
		var ok bool
		if x, ok, err = store.Get[station.Export](tx, key(exportTable, id)); err == nil && !ok {
			err = station.ErrNotFound.At("export/" + id)
		}
		return err
	})
	return x, err
}

// ExportDone notes what became of an export. Who has taken it back meanwhile is not
// overruled: the answer is false then, and the file is to go.
func (a *Agent) ExportDone(ctx context.Context, x station.Export) (kept bool, err error) {
	now := a.now()
	err = a.store.Update(ctx, station.LaneNormal, func(tx *store.Tx) error {
		have, ok, err := store.Get[station.Export](tx, key(exportTable, x.ID))
		if err != nil {
			return err
		}
		if kept = ok && have.Status != station.ExportRemoved; !kept {
			return nil
		}
		if err := putExport(tx, x, "", now); err != nil {
			return err
		}
		row := station.Audit{At: now, Actor: station.System(), Action: station.CommandExport, Subject: "camera/" + x.Camera, Result: "ok", Detail: "export " + x.ID + " " + string(x.Status)}
		if x.Status == station.ExportReady {
			row.Detail += ", SHA-256 " + x.SHA256
		}
		if x.Code != "" {
			row.Result = x.Code
		}
		return appendAudit(tx, row)
	})
	return kept, err
}

// ExportsChanged is closed when an export was ordered or taken back.
func (a *Agent) ExportsChanged() <-chan struct{} {
	a.exporting.Lock()
	defer a.exporting.Unlock()
	return a.exporting.more
}

func (a *Agent) exportsChanged() {
	a.exporting.Lock()
	defer a.exporting.Unlock()
	close(a.exporting.more)
	a.exporting.more = make(chan struct{})
}

func (a *Agent) exportRoutes() []station.Route {
	return []station.Route{
		{
			Pattern: "POST /api/v1/cameras/{id}/export", Permission: station.PermVideo, Resource: "camera/{id}", Summary: "Have a span of the record made into one MP4 file", Status: http.StatusAccepted,
			Body: station.ExportOrder{}, Reply: station.Export{}, Params: commandParams, Handler: station.Handler(a.postExport),
		},
		{
			Pattern: "DELETE /api/v1/cameras/{id}/exports/{export}", Permission: station.PermVideo, Resource: "camera/{id}", Summary: "Take an export back, or remove its file", Status: http.StatusNoContent,
			Params: commandParams, Handler: station.Handler(a.deleteExport),
		},
	}
}

func (a *Agent) postExport(w http.ResponseWriter, r *http.Request) error {
	var o station.ExportOrder
	if err := station.ReadJSON(w, r, &o); err != nil {
		return err
	}
	var x station.Export
	if err := a.command(r, station.CommandExport, r.PathValue("id"), o, &x); err != nil {
		return err
	}
	return station.WriteJSON(w, http.StatusAccepted, x)
}

func (a *Agent) deleteExport(w http.ResponseWriter, r *http.Request) error {
	if err := a.command(r, station.CommandRemoveExport, r.PathValue("id"), station.ExportRemoval{ID: r.PathValue("export")}, nil); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
