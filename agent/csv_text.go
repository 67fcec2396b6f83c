package agent

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"

	"stationd/agent/station"
)

// What a spreadsheet writes is not one format: its encoding, its delimiter and the
// words of its header depend on whose spreadsheet it is. This file makes rows of it,
// and rows that no spreadsheet takes for formulas.

// The bounds of a file. It is kept sealed, as one record, while it is carried out.
const (
	maxCSVBytes = 384 << 10
	maxCSVLines = 3000
	maxCSVCells = 100
	maxCSVCell  = 1000 // characters
	maxFaults   = 200
)

// table is a file taken apart: a header and its rows.
type table struct {
	header []string // as written
	rows   []tableRow
}

type tableRow struct {
	line  int // the first of the file is 1
	cells []string
}

// lineFaults gathers what is wrong with a file.
type lineFaults struct {
	list []station.LineFault
	more int
}

func (f *lineFaults) add(line int, column string, err error) {
	for _, e := range station.Faults(err) {
		p, ok := station.AsProblem(e)
		if !ok {
			p = station.Errorf(500, "internal", "look into the log", "the line cannot be judged")
		}
		if len(f.list) >= maxFaults {
			f.more++
			continue
		}
		c := column
		if c == "" {
			c = p.Place
		}
		f.list = append(f.list, station.LineFault{Line: line, Column: c, Code: p.Code, Message: p.Message, Hint: p.Hint})
	}
}

func (f *lineFaults) none() bool { return len(f.list) == 0 }

func csvFault(code, hint, format string, args ...any) error {
	return station.Errorf(422, "csv."+code, hint, format, args...)
}

// limits bound a file as a whole.
type limits struct{ bytes, lines int }

// readTable takes a file apart. It reports what is wrong with the file as such.
func readTable(raw []byte, most limits) (table, *lineFaults) {
	faults := &lineFaults{}
	if len(raw) > most.bytes {
		faults.add(1, "", csvFault("large", "split it into several files", "the file has more than %d bytes", most.bytes))
		return table{}, faults
	}
	text, err := decodeText(raw)
	if err != nil {
		faults.add(1, "", err)
		return table{}, faults
	}
	comma, text, skipped := delimiter(text)
	r := csv.NewReader(strings.NewReader(text))
	r.Comma, r.FieldsPerRecord, r.ReuseRecord = comma, -1, false
	var t table
	for {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			line := 1
			if parse := new(csv.ParseError); errors.As(err, &parse) {
				line, err = parse.StartLine, parse.Err
			}
			faults.add(line+skipped, "", csvFault("broken", "quotes stand around a whole cell, and are doubled inside it", "the line cannot be read: %v", err))
			return t, faults
		}
		line, _ := r.FieldPos(0)
		row := tableRow{line: line + skipped, cells: cells}
		switch {
		case len(cells) > maxCSVCells:
			faults.add(row.line, "", csvFault("wide", "take out what is not needed", "the line has %d columns", len(cells)))
			return t, faults
		case t.header == nil:
			for i, c := range cells {
				cells[i] = strings.TrimSpace(c)
			}
			t.header = cells
			continue
		case empty(cells):
			continue
		case len(t.rows) >= most.lines:
			faults.add(row.line, "", csvFault("long", "split it into several files", "the file has more than %d lines", most.lines))
			return t, faults
		}
		if len(cells) > len(t.header) && !empty(cells[len(t.header):]) {
			faults.add(row.line, "", csvFault("cells", "put quotes around a cell that has a delimiter in it", "the line has %d cells, the header %d", len(cells), len(t.header)))
			continue
		}
		for i, c := range cells {
			if utf8.RuneCountInString(c) > maxCSVCell {
				faults.add(row.line, t.name(i), csvFault("cell", "shorten it", "the cell has more than %d characters", maxCSVCell))
			}
			cells[i] = strings.TrimSpace(disarmed(c))
		}
		t.rows = append(t.rows, row)
	}
	if t.header == nil || empty(t.header) {
		faults.add(1, "", csvFault("empty", "begin with the line of the columns' names; an export shows them", "the file is empty"))
	}
	return t, faults
}

func (t table) name(i int) string {
	if i < len(t.header) {
		return t.header[i]
	}
	return ""
}

func empty(cells []string) bool {
	for _, c := range cells {
		if strings.TrimSpace(c) != "" {
			return false
		}
	}
	return true
}

// decodeText makes UTF-8 of UTF-8, with a byte order mark or without, or of GB18030.
func decodeText(raw []byte) (string, error) {
	if b, ok := bytes.CutPrefix(raw, []byte("\xef\xbb\xbf")); ok || utf8.Valid(raw) {
		if !utf8.Valid(b) {
			return "", csvFault("encoding", "save it as CSV UTF-8", "the file says that it is UTF-8, and is not")
		}
		return cleanText(string(b))
	}
	if bytes.HasPrefix(raw, []byte("\xff\xfe")) || bytes.HasPrefix(raw, []byte("\xfe\xff")) {
		return "", csvFault("encoding", "save it as CSV UTF-8", "the file is UTF-16")
	}
	b, err := simplifiedchinese.GB18030.NewDecoder().Bytes(raw)
	if err != nil || bytes.ContainsRune(b, utf8.RuneError) {
		return "", csvFault("encoding", "save it as CSV UTF-8", "the file is neither UTF-8 nor GB18030")
	}
	return cleanText(string(b))
}

// cleanText refuses what no spreadsheet writes into a table of words.
func cleanText(text string) (string, error) {
	if i := strings.IndexFunc(text, func(r rune) bool { return r < ' ' && r != '\t' && r != '\n' && r != '\r' }); i >= 0 {
		return "", csvFault("binary", "save the sheet as CSV UTF-8, not as a workbook", "the file is no text")
	}
	return text, nil
}

// delimiter tells how the cells are parted, from the header, and takes away a line
// "sep=;" that some spreadsheets put first.
func delimiter(text string) (comma rune, rest string, skipped int) {
	first, behind, _ := strings.Cut(text, "\n")
	if sep, ok := strings.CutPrefix(strings.TrimSpace(first), "sep="); ok && len(sep) == 1 && strings.Contains(",;\t", sep) {
		return rune(sep[0]), behind, 1
	}
	comma = ','
	most := 0
	for _, c := range []rune{',', ';', '\t'} {
		n, quoted := 0, false
		for _, r := range first {
			switch {
			case r == '"':
				quoted = !quoted
			case r == c && !quoted:
				n++
			}
		}
		if n > most {
			comma, most = c, n
		}
	}
	return comma, text, 0
}

// formulaSigns begin what spreadsheets take for a formula.
const formulaSigns = "=+-@\t\r\n＝＋－＠"

func isFormula(cell string) bool {
	r, size := utf8.DecodeRuneInString(strings.TrimLeft(cell, "'"))
	return size > 0 && strings.ContainsRune(formulaSigns, r)
}

// armed is a cell as it is written: what a spreadsheet would take for a formula has
// an apostrophe in front.
func armed(cell string) string {
	if isFormula(cell) {
		return "'" + cell
	}
	return cell
}

// disarmed takes that apostrophe away again.
func disarmed(cell string) string {
	if strings.HasPrefix(cell, "'") && isFormula(cell) {
		return cell[1:]
	}
	return cell
}

// writeTable is the file that every spreadsheet opens: UTF-8 with a byte order mark.
func writeTable(t table) ([]byte, error) {
	var out bytes.Buffer
	out.WriteString("\xef\xbb\xbf")
	w := csv.NewWriter(&out)
	w.UseCRLF = true
	if err := w.Write(t.header); err != nil {
		return nil, fmt.Errorf("write the header: %w", err)
	}
	for _, row := range t.rows {
		cells := make([]string, len(row.cells))
		for i, c := range row.cells {
			cells[i] = armed(c)
		}
		if err := w.Write(cells); err != nil {
			return nil, fmt.Errorf("write line %d: %w", row.line, err)
		}
	}
	w.Flush()
	return out.Bytes(), w.Error()
}
