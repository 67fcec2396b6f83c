package agent

import (
	"errors"
	"slices"
	"strings"

	"stationd/agent/station"
)

// One table for a whole district: who sets up forty stations has one spreadsheet,
// with a column that names the station. This file takes it apart.

// maxFleetBytes bounds the table of a district.
const maxFleetBytes = 8 << 20

// SplitByStation makes, of a table with a column station (站点), one file for each
// station, ready to be imported there. check judges each sensor's source and class.
// It returns either files or faults. What only the station knows, its cameras and
// plans, is judged there.
func SplitByStation(raw []byte, check func(station.Sensor) error) (map[station.NodeID][]byte, []station.LineFault) {
	f, faults, _ := readFile(raw, limits{bytes: maxFleetBytes, lines: 50_000})
	if faults.none() && !f.has("station") {
		faults.add(1, "", csvFault("station", "add a column 站点 or station with the ID of each line's station", "the file has no column of stations"))
	}
	if !faults.none() {
		return nil, faults.list
	}
	parts := map[station.NodeID]*table{}
	seen := map[string]bool{}
	for _, row := range f.table.rows {
		node := station.NodeID(f.judgeApart(row, check, seen, faults))
		if parts[node] == nil {
			parts[node] = &table{header: f.without(f.table.header)}
		}
		parts[node].rows = append(parts[node].rows, tableRow{line: row.line, cells: f.without(row.cells)})
	}
	out := map[station.NodeID][]byte{}
	for node, t := range parts {
		b, err := writeTable(*t)
		switch {
		case err != nil:
			faults.add(1, "station", err)
		case len(b) > maxCSVBytes || len(t.rows) > maxCSVLines:
			faults.add(1, "station", csvFault("large", "import the station's sensors in several files", "the lines of %s are more than one import takes", node))
		}
		out[node] = b
	}
	if !faults.none() {
		return nil, faults.list
	}
	return out, nil
}

// judgeApart judges a line by itself and returns its station.
func (f sensorFile) judgeApart(row tableRow, check func(station.Sensor) error, seen map[string]bool, faults *lineFaults) string {
	var l sensorLine
	f.read(row, &l, false, faults)
	faults.add(row.line, "", station.Under("people", checkPeople(f.readPeople(row, faults))))
	if err := station.NodeID(l.station).Validate(); err != nil {
		faults.add(row.line, "station", csvFault("station", "write the station's ID as its configuration has it: village-7", "the line names no station: %v", err))
		return ""
	}
	s := l.sensor
	if s.Source.Broker == "" {
		s.Source.Broker = station.EmbeddedBroker
	}
	if s.ID == "" {
		s.ID = idOf(s.Source)
	}
	faults.add(row.line, "", errors.Join(checkID("id", s.ID), checkText("name", s.Name, 60), checkText("place", s.Place, 120), checkSilence(s.SilentAfter), check(s)))
	if strings.TrimSpace(s.Name) == "" {
		faults.add(row.line, "", invalid("name", "give the name that the desk shows", "the sensor has no name"))
	}
	if at := l.station + "/" + s.ID; seen[at] {
		faults.add(row.line, "id", csvFault("same", "give each sensor one line", "the sensor %q of %s has a line already", s.ID, l.station))
	} else {
		seen[at] = true
	}
	return l.station
}

// without takes the column of stations out of a row.
func (f sensorFile) without(cells []string) []string {
	i := slices.IndexFunc(f.columns, func(c column[sensorLine]) bool { return c.key == "station" })
	if i < 0 || i >= len(cells) {
		return slices.Clone(cells)
	}
	return slices.Delete(slices.Clone(cells), i, i+1)
}
