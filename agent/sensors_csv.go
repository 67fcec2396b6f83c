package agent

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"stationd/agent/account"
	"stationd/agent/station"
	"stationd/agent/store"
)

// The sensors as a file of a spreadsheet, out and in again.

// ExportSensors writes the node's own sensors, with the people behind them where
// actor may see those. lang is the language of the header: "zh" or "en".
func (a *Agent) ExportSensors(actor station.Actor, lang string) ([]byte, error) {
	withPeople := account.Authorize(actor, station.PermPeople, "people") == nil
	var lines []sensorLine
	most := 2 // columns for two persons stand in an empty export too
	err := a.store.View(func(tx *store.Tx) error {
		return store.Each(tx, sensorTable, func(_ store.Key, s station.Sensor) (err error) {
			if s.Node != "" || !s.Adopted {
				return nil
			}
			l := sensorLine{sensor: s}
			if withPeople {
				if l.people, err = peopleOf(tx, s.ID); err != nil {
					return err
				}
				most = max(most, len(l.people.List))
			}
			lines = append(lines, l)
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	columns := sensorColumns()
	if withPeople {
		columns = append(columns, peopleColumns(most)...)
	}
	return writeCSV(columns, lines, lang)
}

// sensorFile is a file of sensors.
type sensorFile struct{ csvFile[sensorLine] }

// readSensorFile takes a file of one station apart.
func readSensorFile(raw []byte) (sensorFile, *lineFaults, []station.LineFault) {
	return readFile(raw, limits{bytes: maxCSVBytes, lines: maxCSVLines})
}

// readFile takes a file apart and reports what is wrong with its header.
func readFile(raw []byte, most limits) (sensorFile, *lineFaults, []station.LineFault) {
	f, faults, notes := openCSV(raw, most, append(sensorColumns(), peopleColumns(maxPeople)...))
	return sensorFile{f}, faults, notes
}

// readPeople are the people of a row; none when all the cells are empty.
func (f sensorFile) readPeople(row tableRow, faults *lineFaults) station.People {
	var l sensorLine
	f.read(row, &l, true, faults)
	l.people.List = slices.DeleteFunc(l.people.List, func(p station.Person) bool { return p == station.Person{} })
	return l.people
}

// change is what one line does.
type change struct {
	row    tableRow
	before station.Sensor // zero for a new one
	sensor station.Sensor
	people station.People // nobody: they stay as they are
}

func (c change) same() bool {
	return c.before.ID != "" && c.before.Adopted && equalJSON(c.before, c.sensor) && c.people.Flat == "" && len(c.people.List) == 0
}

// judgment is what a file would do to what is set up.
type judgment struct {
	changes []change
	report  station.ImportReport
	faults  *lineFaults
}

// judge tells what each line of a file does, and all that is wrong with it.
func (a *Agent) judge(tx *store.Tx, raw []byte, mayPeople bool) (judgment, error) {
	f, faults, notes := readSensorFile(raw)
	j := judgment{faults: faults, report: station.ImportReport{Notes: notes}}
	if f.people && !mayPeople {
		faults.add(1, "", csvFault("people", "take out the columns of people, or ask somebody who may see them", "the file has columns of people, which this account may not change"))
	}
	if !faults.none() {
		return j, nil
	}
	here, err := readHere(tx)
	if err != nil {
		return j, err
	}
	elsewhere := 0
	ids := map[string]int{} // → line
	for _, row := range f.table.rows {
		var l sensorLine
		if f.has("station") {
			f.read(row, &l, false, &lineFaults{})
			if l.station != "" && l.station != string(a.store.Node()) {
				elsewhere++
				continue
			}
		}
		j.report.Lines++
		c, err := a.judgeLine(tx, f, row, here, faults)
		if err != nil {
			return j, err
		}
		if first, twice := ids[c.sensor.ID]; twice && c.sensor.ID != "" {
			faults.add(row.line, "", csvFault("same", "give each sensor one line", "the sensor %q is in line %d already", c.sensor.ID, first))
			continue
		}
		ids[c.sensor.ID] = row.line
		switch {
		case c.same():
			j.report.Same++
		case c.before.ID == "":
			j.report.Added++
			j.changes = append(j.changes, c)
		default:
			j.report.Changed++
			j.changes = append(j.changes, c)
		}
	}
	if elsewhere > 0 {
		j.report.Notes = append(j.report.Notes, station.LineFault{Line: 1, Column: "station", Code: "csv.elsewhere", Message: fmt.Sprintf("%d lines are of other stations and are left out", elsewhere)})
	}
	return j, nil
}

// here is what is set up already, as far as an import looks for it.
type here struct {
	byID    map[string]station.Sensor
	byPlace map[[3]string][]string // see placeOf; → IDs
}

// placeOf is what tells two sources apart: the device's name in its family, where
// it has one, or else the topic.
func placeOf(s station.SensorSource) [3]string {
	if s.Device != "" {
		return [3]string{s.Broker, s.Family, s.Device}
	}
	return [3]string{s.Broker, "", s.Topic}
}

func readHere(tx *store.Tx) (here, error) {
	h := here{byID: map[string]station.Sensor{}, byPlace: map[[3]string][]string{}}
	err := store.Each(tx, sensorTable, func(_ store.Key, s station.Sensor) error {
		if s.Node == "" {
			h.byID[s.ID] = s
			h.byPlace[placeOf(s.Source)] = append(h.byPlace[placeOf(s.Source)], s.ID)
		}
		return nil
	})
	return h, err
}

// at lists the sensors that are heard at a source.
func (h here) at(src station.SensorSource) []string { return h.byPlace[placeOf(src)] }

// judgeLine makes the sensor of one line. A line without an ID is the sensor that
// is heard at its source, or a new one.
func (a *Agent) judgeLine(tx *store.Tx, f sensorFile, row tableRow, h here, faults *lineFaults) (change, error) {
	c := change{row: row}
	own := &lineFaults{}
	var probe sensorLine
	f.read(row, &probe, false, own)
	if !own.none() {
		faults.list, faults.more = append(faults.list, own.list...), faults.more+own.more
		return c, nil
	}
	if probe.sensor.Source.Broker == "" {
		probe.sensor.Source.Broker = station.EmbeddedBroker
	}
	id := probe.sensor.ID
	heard := h.at(probe.sensor.Source)
	if id == "" && probe.sensor.Source.Topic+probe.sensor.Source.Device != "" {
		if len(heard) > 1 {
			faults.add(row.line, "", csvFault("which", "write its 编号 (id) in the line", "several sensors are heard at this topic: %s", strings.Join(heard, ", ")))
			return c, nil
		}
		if id = idOf(probe.sensor.Source); len(heard) == 1 {
			id = heard[0]
		}
	}
	c.before = h.byID[id]
	l := sensorLine{sensor: c.before}
	f.read(row, &l, false, &lineFaults{})
	l.sensor.ID, l.sensor.Adopted, l.sensor.Node = id, true, ""
	if l.sensor.Source.Broker == "" {
		l.sensor.Source.Broker = station.EmbeddedBroker
	}
	c.sensor = l.sensor
	if f.people {
		c.people = f.readPeople(row, faults)
		c.people.Sensor = id
		faults.add(row.line, "", station.Under("people", checkPeople(c.people)))
	}
	if c.before.ID == "" {
		if err := checkID("id", id); err != nil {
			faults.add(row.line, "", err)
			return c, nil
		}
		for _, other := range heard {
			if !h.byID[other].Adopted {
				faults.add(row.line, "", csvFault("stranger", "leave the ID empty, or write that one", "the device has appeared already, as %q", other))
			}
		}
	}
	faults.add(row.line, "", a.validSensor(c.sensor))
	err := checkSurroundings(tx, c.sensor)
	for _, e := range station.Faults(err) {
		if _, ok := station.AsProblem(e); !ok {
			return c, e
		}
	}
	faults.add(row.line, "", err)
	return c, nil
}

func (a *Agent) csvRoutes() []station.Route {
	const path, media = "/api/v1/sensors.csv", "text/csv"
	return []station.Route{
		{Pattern: "GET " + path, Permission: station.PermConfigure, Resource: "sensors", Summary: "The sensors as a CSV file; with the people behind them for those who may see them", Params: []station.Param{{Name: "lang", In: "query", Type: "string", Summary: "of the header: zh or en"}}, ReplyType: media, Handler: station.Handler(a.getSensorsCSV)},
		{Pattern: "POST " + path, Permission: station.PermConfigure, Resource: "sensors", Summary: "Add and change sensors by a CSV file: all lines or none", Params: append([]station.Param{{Name: "try", In: "query", Type: "boolean", Summary: "only tell what would become of it"}}, commandParams...), BodyType: media, Reply: station.ImportReport{}, Handler: station.Handler(a.postSensorsCSV)},
	}
}

func (a *Agent) getSensorsCSV(w http.ResponseWriter, r *http.Request) error {
	actor := station.ActorFrom(r.Context())
	b, err := a.ExportSensors(actor, r.URL.Query().Get("lang"))
	if err != nil {
		return err
	}
	if account.Authorize(actor, station.PermPeople, "people") == nil {
		// A file of names and telephones leaves the station: somebody did that.
		err := a.store.Update(r.Context(), station.LaneNormal, func(tx *store.Tx) error {
			return appendAudit(tx, station.Audit{At: a.now(), Actor: actor, Action: "people.export", Subject: "people", Result: "ok"})
		})
		if err != nil {
			return err
		}
	}
	h := w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="sensors-`+string(a.store.Node())+`.csv"`)
	_, _ = w.Write(b) // the client is gone: nothing to tell it
	return nil
}

func (a *Agent) postSensorsCSV(w http.ResponseWriter, r *http.Request) error {
	return a.postCSV(w, r, station.CommandImportSensors, "sensors", a.TryImport)
}

// equalJSON tells whether two sensors would be stored alike.
func equalJSON(x, y station.Sensor) bool {
	bx, errx := marshalResult(x)
	by, erry := marshalResult(y)
	return errx == nil && erry == nil && bytes.Equal(bx, by)
}

// idOf is an ID for a sensor that is only known by its source: always the same,
// and one of a kind.
func idOf(src station.SensorSource) string {
	name := src.Device
	if name == "" {
		name = src.Topic
	}
	slug := strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, name), "-")
	if len(slug) > 40 {
		slug = strings.Trim(slug[len(slug)-40:], "-")
	}
	place := placeOf(src)
	digest := account.Digest(strings.Join(place[:], "\n"))[:8]
	return strings.Trim(slug+"-"+digest, "-")
}
