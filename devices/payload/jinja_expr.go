package payload

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Reading the expressions of templates, by recursive descent.

// parseJinja reads one expression.
func parseJinja(text string) (jinja, error) {
	tokens, err := jinjaTokens(text)
	if err != nil {
		return nil, err
	}
	p := &jinjaReader{tokens: tokens}
	e, err := p.ternary()
	if err != nil {
		return nil, err
	}
	if p.at < len(p.tokens) {
		return nil, fmt.Errorf("%q is not understood", p.tokens[p.at].text)
	}
	return e, nil
}

type jinjaToken struct {
	kind byte // 'n' name, '0' number, 's' text, 'o' operator
	text string
}

func jinjaTokens(text string) ([]jinjaToken, error) {
	var tokens []jinjaToken
	for i := 0; i < len(text); {
		c := text[i]
		start := i
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_':
			for i < len(text) && (text[i] >= 'a' && text[i] <= 'z' || text[i] >= 'A' && text[i] <= 'Z' || text[i] == '_' || text[i] >= '0' && text[i] <= '9') {
				i++
			}
			tokens = append(tokens, jinjaToken{'n', text[start:i]})
		case c >= '0' && c <= '9':
			for i < len(text) && (text[i] >= '0' && text[i] <= '9' || text[i] == '.' && i+1 < len(text) && text[i+1] >= '0' && text[i+1] <= '9') {
				i++
			}
			tokens = append(tokens, jinjaToken{'0', text[start:i]})
		case c == '\'' || c == '"':
			var out strings.Builder
			for i++; i < len(text) && text[i] != c; i++ {
				if text[i] == '\\' && i+1 < len(text) {
					i++
					if text[i] == 'n' {
						out.WriteByte('\n')
						continue
					}
				}
				out.WriteByte(text[i])
			}
			if i >= len(text) {
				return nil, errors.New("a text is not closed")
			}
			i++
			tokens = append(tokens, jinjaToken{'s', out.String()})
		default:
			two := text[i:min(i+2, len(text))]
			if slices.Contains([]string{"==", "!=", "<=", ">=", "//", "**"}, two) {
				i += 2
			} else if strings.IndexByte("<>+-*/%~|.,()[]=", c) >= 0 {
				i++
			} else {
				return nil, fmt.Errorf("%q is not understood", string(rune(c)))
			}
			tokens = append(tokens, jinjaToken{'o', text[start:i]})
		}
	}
	return tokens, nil
}

type jinjaReader struct {
	tokens []jinjaToken
	at     int
	depth  int
}

// take goes on if the next token is the given operator or word.
func (p *jinjaReader) take(text string) bool {
	if p.at < len(p.tokens) && p.tokens[p.at].text == text && (p.tokens[p.at].kind == 'o' || p.tokens[p.at].kind == 'n') {
		p.at++
		return true
	}
	return false
}

func (p *jinjaReader) takeOne(of ...string) (string, bool) {
	for _, text := range of {
		if p.take(text) {
			return text, true
		}
	}
	return "", false
}

func (p *jinjaReader) enter() error {
	if p.depth++; p.depth > maxTemplateDepth {
		return errors.New("it is nested too deep")
	}
	return nil
}

func (p *jinjaReader) ternary() (jinja, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	then, err := p.or()
	if err != nil || !p.take("if") {
		return then, err
	}
	when, err := p.or()
	if err != nil {
		return nil, err
	}
	otherwise := jinja(func(jinjaScope) (any, error) { return undefined{}, nil })
	if p.take("else") {
		if otherwise, err = p.ternary(); err != nil {
			return nil, err
		}
	}
	return func(s jinjaScope) (any, error) {
		v, err := when(s)
		if err != nil {
			return nil, err
		}
		if truthy(v) {
			return then(s)
		}
		return otherwise(s)
	}, nil
}

func (p *jinjaReader) or() (jinja, error) {
	return p.logical("or", true, func() (jinja, error) { return p.logical("and", false, p.not) })
}

// logical reads a chain of "and" or "or"; the value that decides is the result.
func (p *jinjaReader) logical(word string, decides bool, operand func() (jinja, error)) (jinja, error) {
	left, err := operand()
	for err == nil && p.take(word) {
		var right jinja
		if right, err = operand(); err != nil {
			break
		}
		a := left
		left = func(s jinjaScope) (any, error) {
			v, err := a(s)
			if err != nil || truthy(v) == decides {
				return v, err
			}
			return right(s)
		}
	}
	return left, err
}

func (p *jinjaReader) not() (jinja, error) {
	if !p.take("not") {
		return p.comparison()
	}
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	e, err := p.not()
	if err != nil {
		return nil, err
	}
	return func(s jinjaScope) (any, error) {
		v, err := e(s)
		return !truthy(v), err
	}, nil
}

func (p *jinjaReader) comparison() (jinja, error) {
	left, err := p.sum()
	if err != nil {
		return nil, err
	}
	for {
		negated := false
		op, ok := p.takeOne("==", "!=", "<=", ">=", "<", ">", "in", "is", "not")
		switch {
		case !ok:
			return left, nil
		case op == "not":
			if !p.take("in") {
				return nil, errors.New(`"not" must be followed by "in" here`)
			}
			op, negated = "in", true
		case op == "is":
			if left, err = p.test(left); err != nil {
				return nil, err
			}
			continue
		}
		right, err := p.sum()
		if err != nil {
			return nil, err
		}
		a := left
		left = func(s jinjaScope) (any, error) {
			x, err := a(s)
			if err != nil {
				return nil, err
			}
			y, err := right(s)
			if err != nil {
				return nil, err
			}
			yes, err := jinjaCompare(op, x, y)
			return yes != negated, err
		}
	}
}

// test reads what follows "is".
func (p *jinjaReader) test(e jinja) (jinja, error) {
	negated := p.take("not")
	word, ok := p.takeOne("defined", "undefined", "none", "number", "string")
	if !ok {
		return nil, errors.New(`after "is" only defined, none, number and string are supported`)
	}
	return func(s jinjaScope) (any, error) {
		v, err := e(s)
		if err != nil {
			return nil, err
		}
		yes := false
		switch word {
		case "defined":
			yes = v != undefined{}
		case "undefined":
			yes = v == undefined{}
		case "none":
			yes = v == nil
		case "number":
			_, yes = numeric(v)
		case "string":
			_, yes = v.(string)
		}
		return yes != negated, nil
	}, nil
}

func (p *jinjaReader) sum() (jinja, error) {
	return p.arithmetic([]string{"+", "-", "~"}, func() (jinja, error) {
		return p.arithmetic([]string{"*", "//", "/", "%"}, p.unary)
	})
}

func (p *jinjaReader) arithmetic(ops []string, operand func() (jinja, error)) (jinja, error) {
	left, err := operand()
	for err == nil {
		op, ok := p.takeOne(ops...)
		if !ok {
			break
		}
		var right jinja
		if right, err = operand(); err != nil {
			break
		}
		a := left
		left = func(s jinjaScope) (any, error) {
			x, err := a(s)
			if err != nil {
				return nil, err
			}
			y, err := right(s)
			if err != nil {
				return nil, err
			}
			return jinjaArithmetic(op, x, y)
		}
	}
	return left, err
}

func (p *jinjaReader) unary() (jinja, error) {
	if !p.take("-") {
		return p.postfix()
	}
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	e, err := p.unary()
	if err != nil {
		return nil, err
	}
	return func(s jinjaScope) (any, error) {
		v, err := e(s)
		if err != nil {
			return nil, err
		}
		return jinjaArithmetic("-", 0.0, v)
	}, nil
}

// postfix reads members, keys, methods and filters behind a value.
func (p *jinjaReader) postfix() (jinja, error) {
	e, err := p.primary()
	for err == nil {
		switch {
		case p.take("."):
			name, ok := p.name()
			if !ok {
				return nil, errors.New("a name is missing behind the dot")
			}
			if !p.take("(") {
				e = jinjaMember(e, func(jinjaScope) (any, error) { return name, nil })
				continue
			}
			var args []jinja
			if args, err = p.arguments(); err == nil {
				e, err = jinjaMethod(name, e, args)
			}
		case p.take("["):
			var key jinja
			if key, err = p.ternary(); err == nil {
				if !p.take("]") {
					return nil, errors.New("a bracket is not closed")
				}
				e = jinjaMember(e, key)
			}
		case p.take("|"):
			name, ok := p.name()
			if !ok {
				return nil, errors.New("a filter's name is missing")
			}
			var args []jinja
			if p.take("(") {
				if args, err = p.arguments(); err != nil {
					return nil, err
				}
			}
			e, err = jinjaFilter(name, e, args)
		default:
			return e, nil
		}
	}
	return nil, err
}

func (p *jinjaReader) name() (string, bool) {
	// "value_json.0" counts an array's elements.
	if p.at < len(p.tokens) && (p.tokens[p.at].kind == 'n' || p.tokens[p.at].kind == '0') {
		p.at++
		return p.tokens[p.at-1].text, true
	}
	return "", false
}

// arguments reads up to the closing bracket. A name before an argument
// ("default=0") is skipped: the filters here have them in the order of their names.
func (p *jinjaReader) arguments() ([]jinja, error) {
	var args []jinja
	for !p.take(")") {
		if p.at+1 < len(p.tokens) && p.tokens[p.at].kind == 'n' && p.tokens[p.at+1].text == "=" {
			if !slices.Contains([]string{"default", "default_value", "precision", "method", "amount"}, p.tokens[p.at].text) {
				return nil, fmt.Errorf("the argument %s is not supported", clip(p.tokens[p.at].text))
			}
			p.at += 2
		}
		a, err := p.ternary()
		if err != nil {
			return nil, err
		}
		if args = append(args, a); len(args) > 8 {
			return nil, errors.New("there are too many arguments")
		}
		if !p.take(",") && (p.at >= len(p.tokens) || p.tokens[p.at].text != ")") {
			return nil, errors.New("a bracket is not closed")
		}
	}
	return args, nil
}

func (p *jinjaReader) primary() (jinja, error) {
	if p.at >= len(p.tokens) {
		return nil, errors.New("the expression ends too early")
	}
	token := p.tokens[p.at]
	p.at++
	constant := func(v any) (jinja, error) {
		return func(jinjaScope) (any, error) { return v, nil }, nil
	}
	switch token.kind {
	case '0':
		f, err := strconv.ParseFloat(token.text, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is no number", token.text)
		}
		return constant(f)
	case 's':
		return constant(token.text)
	case 'o':
		switch token.text {
		case "(":
			e, err := p.ternary()
			if err == nil && !p.take(")") {
				err = errors.New("a bracket is not closed")
			}
			return e, err
		case "[":
			return p.list()
		}
		return nil, fmt.Errorf("%q is not understood", token.text)
	}
	switch token.text {
	case "value":
		return func(s jinjaScope) (any, error) { return s.value, nil }, nil
	case "value_json":
		return func(s jinjaScope) (any, error) { return s.json, nil }, nil
	case "true", "True":
		return constant(true)
	case "false", "False":
		return constant(false)
	case "none", "None":
		return constant(nil)
	case "iif", "float", "int", "is_number":
		if p.take("(") {
			args, err := p.arguments()
			if err != nil {
				return nil, err
			}
			if len(args) == 0 {
				return nil, fmt.Errorf("%s needs an argument", token.text)
			}
			return jinjaFilter(token.text, args[0], args[1:])
		}
	}
	return nil, fmt.Errorf("%q is not supported", token.text)
}

func (p *jinjaReader) list() (jinja, error) {
	var items []jinja
	for !p.take("]") {
		item, err := p.ternary()
		if err != nil {
			return nil, err
		}
		if items = append(items, item); len(items) > 64 {
			return nil, errors.New("the list is too long")
		}
		if !p.take(",") && (p.at >= len(p.tokens) || p.tokens[p.at].text != "]") {
			return nil, errors.New("a bracket is not closed")
		}
	}
	return func(s jinjaScope) (any, error) {
		list := make([]any, 0, len(items))
		for _, item := range items {
			v, err := item(s)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	}, nil
}
