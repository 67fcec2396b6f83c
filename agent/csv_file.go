package agent

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"stationd/agent/station"
)

// A file of any records: its header is held against the columns that are known, and
// its cells are put into lines.

// csvFile is a file whose columns are known.
type csvFile[L any] struct {
	table   table
	columns []column[L] // one for each of the header's; an unknown one has no read
	people  bool        // it has columns of people
}

// openCSV takes a file apart and reports what is wrong with its header.
func openCSV[L any](raw []byte, most limits, known []column[L]) (csvFile[L], *lineFaults, []station.LineFault) {
	t, faults := readTable(raw, most)
	f := csvFile[L]{table: t}
	if !faults.none() {
		return f, faults, nil
	}
	var notes []station.LineFault
	seen := map[string]bool{}
	for _, name := range t.header {
		i := slices.IndexFunc(known, func(c column[L]) bool { return strings.EqualFold(c.key, name) || strings.EqualFold(c.zh, name) })
		switch {
		case i < 0 && name != "":
			notes = append(notes, station.LineFault{Line: 1, Column: name, Code: "csv.column", Message: "the column is not known and is left out"})
			fallthrough
		case i < 0:
			f.columns = append(f.columns, column[L]{})
			continue
		case seen[known[i].key]:
			faults.add(1, name, csvFault("twice", "take one of them out", "the column is there twice"))
		}
		seen[known[i].key] = true
		f.people = f.people || known[i].people
		f.columns = append(f.columns, known[i])
	}
	if !seen["name"] && !seen["id"] {
		faults.add(1, "", csvFault("header", "the first line names the columns, 名称 or name among them; an export shows all of them", "the file has no column of names"))
	}
	return f, faults, notes
}

// has tells whether the file has a column.
func (f csvFile[L]) has(key string) bool {
	return slices.ContainsFunc(f.columns, func(c column[L]) bool { return c.key == key })
}

// read puts a row's cells into the line; the people's only where asked for.
func (f csvFile[L]) read(row tableRow, l *L, people bool, faults *lineFaults) {
	for i, c := range f.columns {
		if c.read == nil || c.people != people {
			continue
		}
		cell := ""
		if i < len(row.cells) {
			cell = row.cells[i]
		}
		if err := c.read(l, cell); err != nil {
			faults.add(row.line, f.table.name(i), err)
		}
	}
}

// writeCSV is a file of lines; lang is the language of the header: "zh" or "en".
func writeCSV[L any](columns []column[L], lines []L, lang string) ([]byte, error) {
	columns = slices.DeleteFunc(columns, func(c column[L]) bool { return c.write == nil })
	var t table
	for _, c := range columns {
		if lang == "en" {
			t.header = append(t.header, c.key)
		} else {
			t.header = append(t.header, c.zh)
		}
	}
	for _, l := range lines {
		row := tableRow{}
		for _, c := range columns {
			row.cells = append(row.cells, c.write(l))
		}
		t.rows = append(t.rows, row)
	}
	return writeTable(t)
}

// postCSV serves an import: first it is tried, then it is a command.
func (a *Agent) postCSV(w http.ResponseWriter, r *http.Request, kind, resource string, try func(station.Actor, []byte) (station.ImportReport, error)) error {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCSVBytes))
	if large := new(http.MaxBytesError); errors.As(err, &large) {
		return station.Errorf(http.StatusRequestEntityTooLarge, "csv.large", "split it into several files", "the file has more than %d bytes", large.Limit)
	} else if err != nil {
		return station.Errorf(http.StatusBadRequest, "body.invalid", "send it again", "the file did not come whole").Because(err)
	}
	actor := station.ActorFrom(r.Context())
	report, err := try(actor, raw)
	if err != nil {
		return err
	}
	if q := r.URL.Query().Get("try"); q == "1" || q == "true" {
		report.Try = true
		return station.WriteJSON(w, http.StatusOK, report)
	}
	if len(report.Faults) > 0 {
		a.Refused(r.Context(), actor, kind, resource, importRefused(report))
		return station.WriteJSON(w, http.StatusUnprocessableEntity, report)
	}
	if err := a.command(r, kind, "", station.ImportOrder{CSV: raw}, &report); err != nil {
		return err
	}
	return station.WriteJSON(w, http.StatusOK, report)
}
