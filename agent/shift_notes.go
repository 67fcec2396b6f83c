package agent

import (
	"net/http"
	"strings"

	"stationd/agent/station"
	"stationd/agent/store"
)

// Shift notes: what one shift leaves for the next. They are never changed; who was
// wrong writes another one.

const maxShiftNote = 1000 // characters

func prepareShiftNote(a *Agent, cmd station.Command) (plan, error) {
	o, err := decodeBody[station.ShiftNoteOrder](cmd)
	if err != nil {
		return plan{}, err
	}
	o.Text = strings.TrimSpace(o.Text)
	if o.Text == "" {
		return plan{}, invalid("text", "write what the next shift must know", "the note is empty")
	}
	if err := checkText("text", o.Text, maxShiftNote); err != nil {
		return plan{}, err
	}
	n := station.ShiftNote{ID: station.NewID(), By: cmd.Actor.Account, Name: cmd.Actor.Name, At: a.now(), Text: o.Text}
	return plan{subject: "shift-notes", lane: station.LaneNormal, apply: func(tx *store.Tx) (any, error) {
		if err := store.Put(tx, key(shiftTable, n.ID), n); err != nil {
			return nil, err
		}
		return n, appendEvent(tx, station.LaneNormal, station.EventShiftNote, "shift-note/"+n.ID, cmd.Actor.Account, n.At, n)
	}}, nil
}

// ShiftNotes lists notes, newest first: at most limit of those before the one with
// the ID before ("" means from the newest). more tells that older ones exist.
func (a *Agent) ShiftNotes(before string, limit int) (list []station.ShiftNote, more bool, err error) {
	list = []station.ShiftNote{}
	err = a.store.View(func(tx *store.Tx) error {
		return store.EachReverse(tx, shiftTable, func(_ store.Key, n station.ShiftNote) error {
			if before != "" && n.ID >= before {
				return nil
			}
			if len(list) == limit {
				more = true
				return store.ErrStop
			}
			list = append(list, n)
			return nil
		})
	})
	return list, more, err
}

type shiftNoteList struct {
	Notes []station.ShiftNote `json:"notes"`
	More  bool                `json:"more"`
}

func (a *Agent) shiftNoteRoutes() []station.Route {
	const path = "/api/v1/shift-notes"
	return []station.Route{
		{Pattern: "GET " + path, Permission: station.PermAnswer, Resource: "shift-notes", Summary: "Read the shift notes, newest first", Params: []station.Param{
			{Name: "before", In: "query", Type: "string", Summary: "those before the note with this ID"}, limitParam,
		}, Reply: shiftNoteList{}, Handler: station.Handler(func(w http.ResponseWriter, r *http.Request) error {
			limit, err := limitOf(r)
			if err != nil {
				return err
			}
			var out shiftNoteList
			if out.Notes, out.More, err = a.ShiftNotes(r.URL.Query().Get("before"), limit); err != nil {
				return err
			}
			return station.WriteJSON(w, http.StatusOK, out)
		})},
		{Pattern: "POST " + path, Permission: station.PermAnswer, Resource: "shift-notes", Summary: "Leave a note for the next shift", Body: station.ShiftNoteOrder{}, Reply: station.ShiftNote{}, Params: commandParams, Handler: a.order(station.CommandWriteShiftNote)},
	}
}
