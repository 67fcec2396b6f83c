package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"stationd/agent/account"
	"stationd/agent/station"
	"stationd/agent/store"
)

// An import is judged as a whole, and refused as a whole. One that is accepted may
// be larger than a transaction: it is kept first, sealed, for it may name people,
// and then carried out some lines at a time. A kill in between is made good at the
// next start; nobody ever finds half of a file.

const (
	importSecret = "import"
	importMark   = store.Key("importmark") // how many lines of it are done
	importAtOnce = 40                      // lines in one transaction
)

// pendingImport is a file that was accepted.
type pendingImport struct {
	CSV    []byte        `json:"csv"`
	Actor  station.Actor `json:"actor"`
	People bool          `json:"people"` // the actor may change people
	At     time.Time     `json:"at"`
}

// TryImport tells what an import of a CSV file would do, and changes nothing.
func (a *Agent) TryImport(actor station.Actor, raw []byte) (station.ImportReport, error) {
	var j judgment
	err := a.store.View(func(tx *store.Tx) (err error) {
		j, err = a.judge(tx, raw, mayPeople(actor))
		return err
	})
	return j.told(), err
}

func mayPeople(actor station.Actor) bool {
	return account.Authorize(actor, station.PermPeople, "people") == nil
}

// told is the report with its faults.
func (j judgment) told() station.ImportReport {
	return told(j.report, j.faults)
}

// importRefused is the problem of a file with faults. It quotes none: a cell may
// be somebody's name.
func importRefused(r station.ImportReport) error {
	return station.Errorf(http.StatusUnprocessableEntity, "csv.faults", "mend the lines that the report names and send the file again", "nothing was imported: %d things are wrong, the first in line %d", len(r.Faults)+r.More, r.Faults[0].Line).At("csv")
}

// ImportSensors imports a CSV file for the program itself: one that whoever has the
// machine put there. Where the report has faults nothing was changed.
func (a *Agent) ImportSensors(ctx context.Context, raw []byte) (station.ImportReport, error) {
	report, err := a.TryImport(station.System(), raw)
	if err != nil || len(report.Faults) > 0 {
		return report, err
	}
	body, err := json.Marshal(station.ImportOrder{CSV: raw})
	if err != nil {
		return report, fmt.Errorf("encode the import: %w", err)
	}
	receipt := a.Handle(ctx, station.Command{ID: station.NewID(), Type: station.CommandImportSensors, Actor: station.System(), Issued: a.now(), Body: body})
	if receipt.Problem != nil {
		return report, receipt.Problem
	}
	return report, json.Unmarshal(receipt.Result, &report)
}

func prepareImportSensors(a *Agent, cmd station.Command) (plan, error) {
	o, err := decodeBody[station.ImportOrder](cmd)
	if err != nil {
		return plan{}, err
	}
	// It is judged beside the committer: thousands of lines take their time, and an
	// alarm must not wait for them. Each line is judged again when it is carried out.
	var j judgment
	err = a.store.View(func(tx *store.Tx) (err error) {
		j, err = a.judge(tx, o.CSV, mayPeople(cmd.Actor))
		return err
	})
	if err != nil {
		return plan{}, err
	}
	if r := j.told(); len(r.Faults) > 0 {
		return plan{}, importRefused(r)
	}
	now := a.now()
	return plan{
		subject: "sensors", lane: station.LaneNormal, registry: true,
		apply: func(tx *store.Tx) (any, error) {
			if _, waiting, err := tx.Secret(importSecret); err != nil {
				return nil, err
			} else if waiting {
				return nil, station.Errorf(http.StatusConflict, "import.running", "wait a moment and send it again", "another file is being imported")
			}
			report := j.told()
			report.Applied = true
			if len(j.changes) == 0 {
				return report, nil
			}
			b, err := json.Marshal(pendingImport{CSV: o.CSV, Actor: cmd.Actor, People: mayPeople(cmd.Actor), At: now})
			if err != nil {
				return nil, fmt.Errorf("encode the import: %w", err)
			}
			return report, errors.Join(tx.PutSecret(importSecret, station.Secret(b)), tx.Delete(importMark))
		},
		// Whoever asked may have gone; the file was accepted all the same.
		after: func() error { return a.finishImport(context.Background()) },
	}, nil
}

// finishImport carries out the import that was accepted, if there is one.
func (a *Agent) finishImport(ctx context.Context) error {
	a.importing.Lock()
	defer a.importing.Unlock()
	p, f, waiting, err := a.acceptedImport()
	switch {
	case errors.Is(err, store.ErrNoKey), errors.Is(err, store.ErrWrongKey):
		a.log.Error("an import that was accepted cannot be opened any more", "err", err)
		return nil
	case err != nil || !waiting:
		return err
	}
	for done := false; !done; {
		err := a.store.Update(ctx, station.LaneNormal, func(tx *store.Tx) (err error) {
			done, err = a.importSome(tx, p, f)
			return err
		})
		if err != nil {
			return err
		}
	}
	a.registryChanged()
	return nil
}

// acceptedImport is the import that was accepted, if there is one, with its file
// read. Nobody else touches it while importing is held.
func (a *Agent) acceptedImport() (p pendingImport, f sensorFile, waiting bool, err error) {
	var text station.Secret
	err = a.store.View(func(tx *store.Tx) (err error) {
		text, waiting, err = tx.Secret(importSecret)
		return err
	})
	if err != nil || !waiting {
		return p, f, waiting, err
	}
	if err := json.Unmarshal([]byte(text.Reveal()), &p); err != nil {
		return p, f, true, fmt.Errorf("read the import: %w", err)
	}
	f, _, _ = readSensorFile(p.CSV)
	return p, f, true, nil
}

// importSome carries out some lines, and tells that none are left.
func (a *Agent) importSome(tx *store.Tx, p pendingImport, f sensorFile) (done bool, err error) {
	from, _, err := store.Get[int](tx, importMark)
	if err != nil {
		return false, err
	}
	h, err := readHere(tx)
	if err != nil {
		return false, err
	}
	end := min(from+importAtOnce, len(f.table.rows))
	for _, row := range f.table.rows[min(from, end):end] {
		var l sensorLine
		if f.read(row, &l, false, &lineFaults{}); l.station != "" && l.station != string(a.store.Node()) {
			continue
		}
		faults := &lineFaults{}
		c, err := a.judgeLine(tx, f, row, h, faults)
		switch {
		case err != nil:
			return false, err
		case !faults.none():
			// What the line names was removed since the file was accepted.
			a.log.Warn("line of an accepted import passed over", "line", row.line, "code", faults.list[0].Code)
			continue
		case c.same():
			continue
		}
		if err := a.putImported(tx, c, p.Actor.Account); err != nil {
			return false, err
		}
	}
	if end == len(f.table.rows) {
		return true, errors.Join(tx.DeleteSecret(importSecret), tx.Delete(importMark))
	}
	return false, store.Put(tx, importMark, end)
}

func (a *Agent) putImported(tx *store.Tx, c change, actor string) error {
	now := a.now()
	s := c.sensor
	if err := store.Put(tx, key(sensorTable, s.ID), s); err != nil {
		return err
	}
	if len(c.people.List) > 0 || c.people.Flat != "" {
		if err := putPeople(tx, c.people); err != nil {
			return err
		}
		if err := setupEvent(tx, "people/"+s.ID, station.Actor{Account: actor}, now, peopleChange{Sensor: s.ID, People: len(c.people.List)}); err != nil {
			return err
		}
	}
	if c.before.ID != "" && c.before.Class != s.Class {
		if err := a.endUnwatched(tx, s, watchedBy(s)); err != nil {
			return err
		}
	}
	return appendEvent(tx, station.LaneNormal, station.EventSensorChanged, "sensor/"+s.ID, actor, now, s)
}
