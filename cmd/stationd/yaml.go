package main

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"stationd/agent/station"
)

// Reading YAML key by key, so that every fault is found in one go and each is
// told with its path: a mistyped key must never be taken for a default.

// decodeYAML reads text over the struct that v points to.
func decodeYAML(text []byte, v any) error {
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return station.Errorf(400, "config.invalid", "mend the line; YAML indents with blanks", "this is not YAML: %s", yaml.FormatError(err, false, false))
	}
	var all []error
	for _, doc := range file.Docs {
		if doc.Body != nil {
			all = append(all, decodeNode(doc.Body, reflect.ValueOf(v).Elem(), "")...)
		}
	}
	return errors.Join(all...)
}

func decodeNode(n ast.Node, into reflect.Value, path string) []error {
	if _, null := n.(*ast.NullNode); null {
		return nil // "key:" with nothing behind it leaves the default
	}
	if fields := structFields(into); fields != nil {
		return decodeStruct(n, fields, path)
	}
	if list, ok := n.(*ast.SequenceNode); ok && into.Kind() == reflect.Slice {
		items := reflect.MakeSlice(into.Type(), len(list.Values), len(list.Values))
		var all []error
		for i, item := range list.Values {
			all = append(all, decodeNode(item, items.Index(i), fmt.Sprintf("%s[%d]", path, i))...)
		}
		into.Set(items)
		return all
	}
	fresh := reflect.New(into.Type())
	if err := yaml.NodeToValue(n, fresh.Interface()); err != nil || truncated(n, into.Type()) {
		return []error{station.Errorf(400, "config.invalid", hintFor(into.Type()), "%q cannot be used here", strings.TrimSpace(n.String())).At(at(path, n))}
	}
	if _, scalar := n.(ast.ScalarNode); scalar && into.Kind() == reflect.String && n.Type() != ast.StringType && n.Type() != ast.LiteralType {
		// What is a text to us is taken as it was written: the node 007 is not
		// the node 7.
		fresh.Elem().SetString(n.GetToken().Value)
	}
	into.Set(fresh.Elem())
	return nil
}

// truncated tells whether a broken number would be cut to a whole one.
func truncated(n ast.Node, t reflect.Type) bool {
	f, ok := n.(*ast.FloatNode)
	return ok && t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64 && f.Value != math.Trunc(f.Value)
}

func decodeStruct(n ast.Node, fields map[string]reflect.Value, path string) []error {
	entries, ok := n.(ast.MapNode)
	if !ok {
		return []error{station.Errorf(400, "config.invalid", "put its keys below it, indented", "this must have keys").At(at(path, n))}
	}
	var all []error
	for iter := entries.MapRange(); iter.Next(); {
		key := strings.Trim(iter.Key().String(), `"'`)
		full := key
		if path != "" {
			full = path + "." + key
		}
		field, known := fields[key]
		if !known {
			all = append(all, station.Errorf(400, "config.invalid", suggestion(key, fields), "there is no such key").At(at(full, iter.KeyValue())))
			continue
		}
		all = append(all, decodeNode(iter.Value(), field, full)...)
	}
	return all
}

// at names a place: the key's path and its line.
func at(path string, n ast.Node) string {
	t := n.GetToken()
	switch {
	case t == nil || t.Position == nil:
		return path
	case path == "":
		return fmt.Sprintf("line %d", t.Position.Line)
	}
	return fmt.Sprintf("%s (line %d)", path, t.Position.Line)
}

// structFields are the keys of a struct that is read key by key, the inlined
// ones included; nil for what is one value.
func structFields(v reflect.Value) map[string]reflect.Value {
	if v.Kind() != reflect.Struct {
		return nil
	}
	fields := map[string]reflect.Value{}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, opt, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case opt == "inline":
			for k, inner := range structFields(v.Field(i)) {
				fields[k] = inner
			}
		case name != "" && name != "-":
			fields[name] = v.Field(i)
		}
	}
	if len(fields) == 0 {
		return nil // a value with a text form, for example an address
	}
	return fields
}

func hintFor(t reflect.Type) string {
	switch {
	case t.String() == "time.Duration":
		return "write a span such as 10s, 5m or 24h"
	case t.String() == "slog.Level":
		return "write debug, info, warn or error"
	case t.String() == "disk.Bytes":
		return "write a size such as 64MiB or 10GiB"
	case t.String() == "budget.Rate":
		return "write a rate such as 50Mbit/s or 800kbit/s"
	case t.Kind() == reflect.Bool:
		return "write true or false"
	case t.Kind() == reflect.Slice:
		return "write a list, one item a line behind '-'"
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Float64:
		return "write a number"
	}
	return "write a text"
}

// suggestion names the known key that is nearest to a mistyped one.
func suggestion(key string, fields map[string]reflect.Value) string {
	best, distance := "", len(key)/2+2
	for name := range fields {
		if d := editDistance(key, name); d < distance || (d == distance && name < best) {
			best, distance = name, d
		}
	}
	if best == "" {
		return "remove it, or see docs/stationd.yaml for the keys"
	}
	return "did you mean " + best + "?"
}

// editDistance is Levenshtein's.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal, row[j+1] = row[j+1], min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
