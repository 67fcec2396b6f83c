package rule

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/types"
	"github.com/expr-lang/expr/vm"

	"stationd/agent/station"
)

// The advanced box: a condition over several fields, in the language of
// expr-lang, of which only what cannot run long is let in: comparisons,
// arithmetic, logic, texts, a choice (a ? b : c) and a handful of functions. No
// loops, no ranges, no variables, no access to anything but fields.
//
//	temperature > 50 && humidity < 20
//	(gas_value ?? 0) > 12 || smoke
//	temperature > (active ? 55 : 60)
//	value("kitchen.t1") > 90
//
// A field that was not seen yet leaves the rule undecided, unless ?? says what to
// take for it. "active" is what the rule held for true before, which makes a
// deadband. value("…") reads a field that only this device has.

// The bounds of an expression.
const (
	MaxExpr  = 1000 // characters
	maxNodes = 200
	// maxMemory is in units of expr's virtual machine, about one for each
	// element of a list that is made.
	maxMemory = 10_000
)

const (
	activeName = "active"
	valueFunc  = "value"
)

// functions are those of the language that take their time from the length of
// the expression alone.
func functions() []string {
	return []string{"abs", "ceil", "floor", "round", "min", "max", "lower", "upper"}
}

// program is a compiled expression. Several goroutines may run it.
type program struct {
	code    *vm.Program
	fields  []operand
	active  bool      // it asks what it said before
	runners sync.Pool // of *runner
}

// operand is a field that an expression reads.
type operand struct {
	name string
	kind FieldType
	// needed: there is no ?? that says what to take in its place.
	needed bool
}

type runner struct {
	vm  vm.VM
	env map[string]any
}

// compileExpr makes src ready for sensors of a class.
func compileExpr(src, class string) (*program, error) {
	if len(src) > MaxExpr {
		return nil, bad("expr", "the expression has %d characters, more than %d", len(src), MaxExpr)
	}
	tree, err := parser.Parse(src)
	if err != nil {
		return nil, badExpr(src, err)
	}
	r := reader{src: src, known: map[string]FieldType{}}
	fields := Fields(class)
	for _, f := range fields {
		r.known[f.Name] = f.Type
	}
	r.read(tree.Node, true)
	if r.err != nil {
		p, _ := station.AsProblem(r.err)
		if r.strange {
			p.Hint = fieldsHint(fields)
		}
		return nil, p
	}
	if len(r.fields) == 0 {
		return nil, bad("expr", "the expression reads no field, so it would never change")
	}
	env := types.Map{activeName: types.Bool}
	for _, f := range r.fields {
		env[f.name] = exprType(f.kind)
	}
	opts := []expr.Option{expr.Env(env), expr.AsBool(), expr.MaxNodes(maxNodes), expr.DisableAllBuiltins(), expr.Patch(valueCalls{})}
	for _, name := range functions() {
		opts = append(opts, expr.EnableBuiltin(name))
	}
	code, err := expr.Compile(src, opts...)
	if err != nil {
		return nil, badExpr(src, err)
	}
	p := &program{code: code, fields: r.fields, active: r.active}
	p.runners.New = func() any {
		return &runner{vm: vm.VM{MemoryBudget: maxMemory}, env: make(map[string]any, len(p.fields)+1)}
	}
	return p, nil
}

func exprType(t FieldType) types.Type {
	switch t {
	case Bool:
		return types.Bool
	case Number:
		return types.Float64
	case Text:
		return types.String
	}
	return types.Any
}

// badExpr tells where an expression is wrong.
func badExpr(src string, err error) error {
	var fe *file.Error
	if !errors.As(err, &fe) {
		return bad("expr", "the expression cannot be read: %v", err)
	}
	return bad("expr", "%s: %s", place(src, fe.From), fe.Message)
}

// place is where the rune at is, for people.
func place(src string, at int) string {
	runes := []rune(src)
	at = min(max(at, 0), len(runes))
	before := string(runes[:at])
	line := 1 + strings.Count(before, "\n")
	column := 1 + len([]rune(before[strings.LastIndexByte(before, '\n')+1:]))
	if !strings.Contains(src, "\n") {
		return fmt.Sprintf("at character %d", column)
	}
	return fmt.Sprintf("at line %d, character %d", line, column)
}

func fieldsHint(fields []Field) string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
	}
	return `the fields are ` + strings.Join(names, ", ") + `; a field that only this device has is value("name")`
}

// reader goes through an expression before it is compiled: it lets in what is
// allowed and gathers the fields.
type reader struct {
	src     string
	known   map[string]FieldType
	fields  []operand
	active  bool
	strange bool // err is about a field that is not known
	err     error
}

func (r *reader) refuse(n ast.Node, format string, args ...any) {
	if r.err == nil {
		r.err = bad("expr", "%s: %s", place(r.src, n.Location().From), fmt.Sprintf(format, args...))
	}
}

// read looks at n; needed tells that nothing stands in for what it reads.
func (r *reader) read(n ast.Node, needed bool) {
	if r.err != nil {
		return
	}
	switch n := n.(type) {
	case *ast.NilNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.StringNode:
	case *ast.IdentifierNode:
		kind, known := r.known[n.Value]
		switch {
		case n.Value == activeName:
			r.active = true
		case !known:
			r.strange = true
			r.refuse(n, "there is no field %q", n.Value)
		default:
			r.add(n.Value, kind, needed)
		}
	case *ast.UnaryNode:
		r.read(n.Node, needed)
	case *ast.BinaryNode:
		r.binary(n, needed)
	case *ast.ConditionalNode:
		r.all(needed, n.Cond, n.Exp1, n.Exp2)
	case *ast.ArrayNode:
		r.all(needed, n.Nodes...)
	case *ast.BuiltinNode:
		r.call(n, n.Name, n.Arguments, needed)
	case *ast.CallNode:
		callee, _ := n.Callee.(*ast.IdentifierNode)
		if callee == nil {
			r.refuse(n, "only functions are called")
			return
		}
		if callee.Value != valueFunc {
			r.call(n, callee.Value, n.Arguments, needed)
			return
		}
		name, ok := valueName(n)
		if !ok {
			r.refuse(n, `value takes the name of a field in quotes: value("kitchen.t1")`)
			return
		}
		kind, known := r.known[name]
		if !known {
			kind = Any
		}
		r.add(name, kind, needed)
	case *ast.MemberNode, *ast.ChainNode, *ast.SliceNode:
		r.refuse(n, "fields have no parts; write value(\"a.b\") for a field whose name has a dot")
	default:
		r.refuse(n, "this is more than a rule may do")
	}
}

func (r *reader) all(needed bool, nodes ...ast.Node) {
	for _, n := range nodes {
		r.read(n, needed)
	}
}

func (r *reader) binary(n *ast.BinaryNode, needed bool) {
	switch n.Operator {
	case "..":
		r.refuse(n, "ranges are not allowed; compare with >= and <=")
		return
	case "matches":
		if _, constant := n.Right.(*ast.StringNode); !constant {
			r.refuse(n, "the pattern behind matches stands there in quotes")
			return
		}
	case "??":
		r.read(n.Left, false)
		r.read(n.Right, needed)
		return
	}
	r.all(needed, n.Left, n.Right)
}

func (r *reader) call(n ast.Node, name string, arguments []ast.Node, needed bool) {
	if !slices.Contains(functions(), name) {
		r.refuse(n, "there is no function %s; %s and %s are", name, strings.Join(functions(), ", "), valueFunc)
		return
	}
	r.all(needed, arguments...)
}

func (r *reader) add(name string, kind FieldType, needed bool) {
	i := slices.IndexFunc(r.fields, func(o operand) bool { return o.name == name })
	if i < 0 {
		r.fields = append(r.fields, operand{name, kind, needed})
		return
	}
	r.fields[i].needed = r.fields[i].needed || needed
}

// valueName is the field that value("…") names.
func valueName(n *ast.CallNode) (string, bool) {
	callee, ok := n.Callee.(*ast.IdentifierNode)
	if !ok || callee.Value != valueFunc || len(n.Arguments) != 1 {
		return "", false
	}
	name, ok := n.Arguments[0].(*ast.StringNode)
	if !ok || name.Value == "" || name.Value == activeName || strings.HasPrefix(name.Value, "$") {
		return "", false
	}
	return name.Value, true
}

// valueCalls turns value("a.b") into the name a.b, which cannot be written.
type valueCalls struct{}

// Visit is called by expr for each node.
func (valueCalls) Visit(n *ast.Node) {
	if call, ok := (*n).(*ast.CallNode); ok {
		if name, ok := valueName(call); ok {
			ast.Patch(n, &ast.IdentifierNode{Value: name})
		}
	}
}

// touches is the first of the program's fields that a reading has, with its value.
func (p *program) touches(values map[string]station.Value) (string, station.Value, bool) {
	for i := range p.fields {
		if v, ok := values[p.fields[i].name]; ok {
			return p.fields[i].name, v, true
		}
	}
	return "", nil, false
}

// judge runs the expression over values, and known for what is not in them. Not
// ok: a field that it needs was not seen, or its value is nothing that it can
// work with. Not due: the reading has nothing for it.
func (p *program) judge(values, known map[string]station.Value, was Verdict) (now Verdict, ok, due bool) {
	r := p.runners.Get().(*runner)
	defer p.runners.Put(r)
	missing := false
	for i := range p.fields {
		f := &p.fields[i]
		v, seen := values[f.name]
		if seen {
			due = true
		} else {
			v, seen = known[f.name]
		}
		if seen {
			v, seen = f.fit(v)
		}
		if !seen {
			missing = missing || f.needed
			v = nil
		}
		r.env[f.name] = v
	}
	if missing || !due {
		return was, false, due
	}
	if p.active {
		r.env[activeName] = was == Active
	}
	out, err := r.vm.Run(p.code, r.env)
	if err != nil {
		return was, false, true
	}
	yes, ok := out.(bool)
	if !ok {
		return was, false, true
	}
	return decided(yes), true, true
}

// fit makes v what the field's type promised to the expression.
func (o *operand) fit(v station.Value) (station.Value, bool) {
	ok := true
	switch o.kind {
	case Bool:
		_, ok = v.(bool)
	case Number:
		if _, is := v.(float64); !is {
			var n float64
			n, ok = number(v)
			v = n
		}
	case Text:
		_, ok = v.(string)
	case Any:
		switch v.(type) {
		case bool, float64, string:
		default:
			ok = false
		}
	}
	return v, ok
}
