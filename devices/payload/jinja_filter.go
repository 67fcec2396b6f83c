package payload

import (
	"fmt"
	"math"
	"strings"
)

// What stands behind a value in a template: members, methods and filters.

// jinjaMember is one step into an object or an array; what is not there is
// undefined, and so is what would be in it.
func jinjaMember(e, key jinja) jinja {
	return func(s jinjaScope) (any, error) {
		v, err := e(s)
		if err != nil {
			return nil, err
		}
		k, err := key(s)
		if err != nil {
			return nil, err
		}
		if found, ok := member(v, jinjaText(k)); ok {
			return found, nil
		}
		return undefined{}, nil
	}
}

func jinjaMethod(name string, e jinja, args []jinja) (jinja, error) {
	switch {
	case name == "get" && (len(args) == 1 || len(args) == 2):
		inner := jinjaMember(e, args[0])
		if len(args) == 1 {
			args = append(args, func(jinjaScope) (any, error) { return nil, nil })
		}
		return jinjaFilter("default", inner, args[1:])
	case (name == "lower" || name == "upper" || name == "strip") && len(args) == 0:
		if name == "strip" {
			name = "trim"
		}
		return jinjaFilter(name, e, nil)
	}
	return nil, fmt.Errorf("the method %s is not supported", clip(name))
}

// jinjaFilters are the filters there are, with how many arguments they take.
var jinjaFilters = map[string][2]int{
	"float": {0, 1}, "int": {0, 1}, "round": {0, 2}, "default": {0, 2}, "d": {0, 2}, "lower": {0, 0}, "upper": {0, 0},
	"trim": {0, 0}, "string": {0, 0}, "bool": {0, 1}, "abs": {0, 0}, "is_defined": {0, 0}, "iif": {0, 3}, "replace": {2, 2},
	"multiply": {1, 1}, "bitwise_and": {1, 1}, "is_number": {0, 0}, "length": {0, 0}, "to_json": {0, 0},
}

func jinjaFilter(name string, e jinja, args []jinja) (jinja, error) {
	takes, ok := jinjaFilters[name]
	if !ok {
		return nil, fmt.Errorf("the filter %s is not supported", clip(name))
	}
	if len(args) < takes[0] || len(args) > takes[1] {
		return nil, fmt.Errorf("the filter %s does not take %d arguments", name, len(args))
	}
	return func(s jinjaScope) (any, error) {
		v, err := e(s)
		if err != nil {
			return nil, err
		}
		given := make([]any, len(args))
		for i, a := range args {
			if given[i], err = a(s); err != nil {
				return nil, err
			}
		}
		return applyFilter(name, v, given)
	}, nil
}

func applyFilter(name string, v any, args []any) (any, error) {
	arg := func(i int, otherwise any) any {
		if i < len(args) {
			return args[i]
		}
		return otherwise
	}
	number := func() (float64, error) {
		f, ok := toNumber(v)
		if !ok {
			return 0, errTemplate
		}
		return f, nil
	}
	switch name {
	case "float", "int":
		f, err := number()
		if err != nil {
			if len(args) == 1 {
				return args[0], nil
			}
			return nil, err
		}
		if name == "int" {
			f = math.Trunc(f)
		}
		return f, nil
	case "round":
		f, err := number()
		digits, ok := numeric(arg(0, 0.0))
		if err != nil || !ok || digits < 0 || digits > 12 {
			return nil, errTemplate
		}
		scale := math.Pow10(int(digits))
		switch arg(1, "") {
		case "floor":
			return math.Floor(f*scale) / scale, nil
		case "ceil":
			return math.Ceil(f*scale) / scale, nil
		}
		return math.Round(f*scale) / scale, nil
	case "default", "d":
		if v == (undefined{}) || truthy(arg(1, false)) && !truthy(v) {
			return arg(0, ""), nil
		}
		return v, nil
	case "is_defined":
		return v, nil // what is not there writes nothing, and nothing is ignored
	case "lower":
		return writable(strings.ToLower(jinjaText(v)))
	case "upper":
		return writable(strings.ToUpper(jinjaText(v)))
	case "trim":
		return writable(strings.TrimSpace(jinjaText(v)))
	case "string":
		return writable(jinjaText(v))
	case "to_json":
		return writable(textOf(v))
	case "bool":
		if yes, ok := truth(textOf(v)).(bool); ok {
			return yes, nil
		}
		return arg(0, undefined{}), nil
	case "abs":
		f, err := number()
		return math.Abs(f), err
	case "iif":
		switch {
		case v == nil && len(args) == 3:
			return args[2], nil
		case truthy(v):
			return arg(0, true), nil
		}
		return arg(1, false), nil
	case "replace":
		text, old, with := jinjaText(v), jinjaText(args[0]), jinjaText(args[1])
		if old == "" || len(text) > maxTemplateText || strings.Count(text, old)*len(with) > maxTemplateText {
			return nil, errTemplate
		}
		return writable(strings.ReplaceAll(text, old, with))
	case "multiply":
		f, err := number()
		if err != nil {
			return nil, err
		}
		return jinjaArithmetic("*", f, args[0])
	case "bitwise_and":
		a, okA := toNumber(v)
		b, okB := toNumber(args[0])
		if !okA || !okB || a < 0 || b < 0 || a > 1<<53 || b > 1<<53 {
			return nil, errTemplate
		}
		return float64(uint64(a) & uint64(b)), nil
	case "is_number":
		_, ok := toNumber(v)
		return ok, nil
	case "length":
		switch v := v.(type) {
		case string:
			return float64(len([]rune(v))), nil
		case []any:
			return float64(len(v)), nil
		case map[string]any:
			return float64(len(v)), nil
		}
		return nil, errTemplate
	}
	return nil, errTemplate
}
