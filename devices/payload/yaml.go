package payload

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// yamlReader reads a mapping file key by key, so that every fault is found in one
// go and told with its line: a mistyped key must never be taken for a default.
type yamlReader struct {
	file     string
	problems []Problem
}

// maxProblems bounds what is said of one file.
const maxProblems = 50

func (y *yamlReader) fault(n ast.Node, hint, format string, args ...any) {
	if len(y.problems) >= maxProblems {
		return
	}
	line := 0
	if n != nil {
		if t := n.GetToken(); t != nil && t.Position != nil {
			line = t.Position.Line
		}
	}
	y.problems = append(y.problems, Problem{File: y.file, Line: line, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// document is the one document of the file; nil when it cannot be read.
func (y *yamlReader) document(text []byte) (body ast.Node) {
	if nestsTooDeep(text) {
		y.fault(nil, "a mapping needs no more than a few levels", "the file is nested too deep")
		return nil
	}
	defer func() {
		// The parser has met texts that it does not survive. A dropped file must
		// not take the alarms with it.
		if r := recover(); r != nil {
			y.fault(nil, "compare it with the examples in docs/families.md", "this is not YAML that can be read")
			body = nil
		}
	}()
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		line := 0
		var located yaml.Error
		if asYAML(err, &located) && located.GetToken() != nil && located.GetToken().Position != nil {
			line = located.GetToken().Position.Line
		}
		message, _, _ := strings.Cut(strings.TrimSpace(yaml.FormatError(err, false, false)), "\n")
		y.problems = append(y.problems, Problem{File: y.file, Line: line, Message: "this is not YAML: " + message, Hint: "mend the line; YAML indents with blanks"})
		return nil
	}
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if body != nil {
			y.fault(doc.Body, "put each family into a file of its own", "there is a second document in the file")
			return nil
		}
		body = doc.Body
	}
	if body == nil {
		y.fault(nil, "see docs/families.md for what a mapping file is", "the file is empty")
	}
	return body
}

func asYAML(err error, to *yaml.Error) bool {
	e, ok := err.(yaml.Error)
	if ok {
		*to = e
	}
	return ok
}

// nestsTooDeep guards the parser's stack.
func nestsTooDeep(text []byte) bool {
	depth := 0
	for _, c := range text {
		switch c {
		case '[', '{':
			if depth++; depth > 256 {
				return true
			}
		case ']', '}':
			depth = max(0, depth-1)
		}
	}
	for line := range strings.Lines(string(text)) {
		if indent := len(line) - len(strings.TrimLeft(line, " -?\t")); indent > 512 {
			return true
		}
	}
	return false
}

// keys are what an object may hold, and what is done with each.
type keys map[string]func(ast.Node)

// object reads n key by key; needed keys that are missing are faults.
func (y *yamlReader) object(n ast.Node, what string, known keys, needed ...string) {
	there := map[string]bool{}
	y.entries(n, what, func(key string, at, value ast.Node) {
		read, ok := known[key]
		if !ok {
			y.fault(at, suggest(key, known), "%s has no key %q", what, key)
			return
		}
		if there[key] {
			y.fault(at, "keep one of the two", "%q is there twice", key)
			return
		}
		there[key] = true
		if _, null := value.(*ast.NullNode); null {
			y.fault(at, "write a value behind it, or remove the key", "%q is empty", key)
			return
		}
		read(value)
	})
	for _, key := range needed {
		if !there[key] {
			y.fault(n, "add "+key+":", "%s does not say %q", what, key)
		}
	}
}

// entries calls f with each key of an object.
func (y *yamlReader) entries(n ast.Node, what string, f func(key string, at, value ast.Node)) {
	object, ok := n.(ast.MapNode)
	if !ok {
		y.fault(n, "put its keys below it, indented", "%s must have keys", what)
		return
	}
	for iter := object.MapRange(); iter.Next(); {
		var at ast.Node = iter.KeyValue()
		key, ok := plain(iter.Key())
		if !ok {
			y.fault(at, "write the key as a plain text", "%s has a key that is no text", what)
			continue
		}
		f(key, at, iter.Value())
	}
}

// plain is a scalar as it was written: the device 007 is not the device 7.
func plain(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.MappingKeyNode:
		return plain(n.Value)
	case ast.ScalarNode:
		if t := n.GetToken(); t != nil && n.Type() != ast.NullType {
			return t.Value, true
		}
	}
	if n != nil && n.Type() == ast.MergeKeyType {
		return "<<", true
	}
	return "", false
}

func (y *yamlReader) text(n ast.Node) string {
	text, ok := plain(n)
	if !ok {
		y.fault(n, "write a text, in quotes if it has braces", "a text is needed here")
	}
	if len(text) > 1024 {
		y.fault(n, "shorten it", "the text is longer than 1024 bytes")
		return ""
	}
	return text
}

// texts is a text or a list of them.
func (y *yamlReader) texts(n ast.Node) []string {
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		return []string{y.text(n)}
	}
	var all []string
	for _, item := range list.Values {
		all = append(all, y.text(item))
	}
	if len(all) > 256 {
		y.fault(n, "shorten the list", "the list has more than 256 entries")
		all = nil
	}
	return all
}

// list calls f with each item of a list, or with n itself where it is none.
func (y *yamlReader) list(n ast.Node, f func(ast.Node)) {
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		f(n)
		return
	}
	for _, item := range list.Values {
		f(item)
	}
}

func (y *yamlReader) number(n ast.Node) float64 {
	text, _ := plain(n)
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f != f || f > 1e15 || f < -1e15 {
		y.fault(n, "write a number", "%q is no number", clip(text))
		return 0
	}
	return f
}

func (y *yamlReader) truth(n ast.Node) bool {
	text, _ := plain(n)
	if text != "true" && text != "false" {
		y.fault(n, "write true or false", "%q is neither true nor false", clip(text))
	}
	return text == "true"
}

func (y *yamlReader) span(n ast.Node) time.Duration {
	text, _ := plain(n)
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 || d > 366*24*time.Hour {
		y.fault(n, "write a span such as 30s, 10m or 25h", "%q is no span of time", clip(text))
		return 0
	}
	return d
}

// oneOf is a text that must be one of a few.
func (y *yamlReader) oneOf(n ast.Node, allowed ...string) string {
	text := y.text(n)
	if !slices.Contains(allowed, text) {
		y.fault(n, "write one of "+strings.Join(allowed, ", "), "%q is not known here", text)
		return ""
	}
	return text
}

// value is a scalar as a reading holds it.
func (y *yamlReader) value(n ast.Node) any {
	switch n.(type) {
	case *ast.BoolNode:
		return y.truth(n)
	case *ast.IntegerNode, *ast.FloatNode:
		return y.number(n)
	}
	return clip(y.text(n))
}

// suggest names the known key that is nearest to a mistyped one.
func suggest(key string, known keys) string {
	best, distance := "", len(key)/2+2
	var all []string
	for name := range known {
		all = append(all, name)
		if d := apart(key, name); d < distance || d == distance && name < best {
			best, distance = name, d
		}
	}
	if best == "" || len(key) > 40 {
		slices.Sort(all)
		return "the keys here are " + strings.Join(all, ", ")
	}
	return "did you mean " + best + "?"
}

// apart is how many letters two words differ by (Levenshtein).
func apart(a, b string) int {
	if len(a) > 40 {
		return len(a)
	}
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
