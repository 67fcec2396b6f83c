package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/invopop/jsonschema"

	"stationd/agent/station"
)

// The description of the API (OpenAPI 3.1) is made from what each route
// declares, so that it cannot tell of a route that is not there.

type object = map[string]any

// openAPI describes the routes; cookie is the name of the session's.
func openAPI(cookie string, routes []station.Route) ([]byte, error) {
	schemas := object{}
	paths := object{}
	problem, err := schemaOf(problemDocument{}, schemas)
	if err != nil {
		return nil, err
	}
	for _, r := range routes {
		method, path, ok := strings.Cut(r.Pattern, " ")
		if !ok {
			return nil, fmt.Errorf("route %q has no method", r.Pattern)
		}
		op := object{
			"summary":      r.Summary,
			"operationId":  operationID(method, path),
			"x-permission": r.Permission,
			"x-resource":   r.Resource,
		}
		if params := parameters(path, r.Params); len(params) > 0 {
			op["parameters"] = params
		}
		if r.Permission != station.PermPublic {
			op["security"] = []object{{"session": []string{}}}
		}
		if body, err := content(r.Body, r.BodyType, schemas); err != nil {
			return nil, fmt.Errorf("body of %s: %w", r.Pattern, err)
		} else if body != nil {
			op["requestBody"] = object{"required": true, "content": body}
		}
		status := r.Status
		if status == 0 {
			status = http.StatusOK
		}
		good := object{"description": http.StatusText(status)}
		if reply, err := content(r.Reply, r.ReplyType, schemas); err != nil {
			return nil, fmt.Errorf("reply of %s: %w", r.Pattern, err)
		} else if reply != nil {
			good["content"] = reply
		}
		op["responses"] = object{
			strconv.Itoa(status): good,
			"default":            object{"description": "A problem (RFC 9457)", "content": object{"application/problem+json": object{"schema": problem}}},
		}
		item, _ := paths[path].(object)
		if item == nil {
			item = object{}
			paths[path] = item
		}
		item[strings.ToLower(method)] = op
	}
	doc := object{
		"openapi": "3.1.0",
		"info": object{
			"title": "stationd", "version": "1",
			"description": "The HTTP interface of a city-operations station or centre.",
			"license":     object{"name": "Apache-2.0", "identifier": "Apache-2.0"},
		},
		"servers": []object{{"url": "/"}},
		"paths":   paths,
		"components": object{
			"schemas":         schemas,
			"securitySchemes": object{"session": object{"type": "apiKey", "in": "cookie", "name": cookie}},
		},
	}
	return json.MarshalIndent(doc, "", " ")
}

func operationID(method, path string) string {
	words := strings.FieldsFunc(strings.TrimPrefix(path, "/api/v1"), func(r rune) bool { return r == '/' || r == '{' || r == '}' || r == '.' })
	return strings.ToLower(method) + "-" + strings.Join(words, "-")
}

func parameters(path string, others []station.Param) []object {
	var out []object
	for _, m := range wildcard.FindAllStringSubmatch(path, -1) {
		out = append(out, object{"name": m[1], "in": "path", "required": true, "schema": object{"type": "string"}})
	}
	for _, p := range others {
		out = append(out, object{"name": p.Name, "in": p.In, "description": p.Summary, "schema": object{"type": p.Type}})
	}
	return out
}

// content describes a body: of JSON type v, or of another media type.
func content(v any, mediaType string, schemas object) (object, error) {
	if v == nil {
		if mediaType == "" {
			return nil, nil
		}
		return object{mediaType: object{}}, nil
	}
	ref, err := schemaOf(v, schemas)
	if err != nil {
		return nil, err
	}
	return object{"application/json": object{"schema": ref}}, nil
}

// schemaOf enters v's type and all it refers to into schemas, and returns the
// reference to it.
func schemaOf(v any, schemas object) (object, error) {
	types := map[string]reflect.Type{}
	r := jsonschema.Reflector{
		Anonymous: true, AllowAdditionalProperties: true,
		Namer: func(t reflect.Type) string {
			if t.Name() == "" || t.PkgPath() == "" {
				return t.Name()
			}
			name := schemaName(t)
			types[name] = t
			return name
		},
		Mapper: func(t reflect.Type) *jsonschema.Schema {
			if t == reflect.TypeFor[station.Secret]() {
				return &jsonschema.Schema{Type: "string", WriteOnly: true}
			}
			return nil
		},
	}
	raw, err := json.Marshal(r.Reflect(v))
	if err != nil {
		return nil, err
	}
	var doc struct {
		Ref  string            `json:"$ref"`
		Defs map[string]object `json:"$defs"`
	}
	text := strings.ReplaceAll(string(raw), `"#/$defs/`, `"#/components/schemas/`)
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		return nil, err
	}
	for name, def := range doc.Defs {
		if t := types[name]; t != nil {
			dropRequired(def, omittedWhenZero(t))
		}
		schemas[name] = def
	}
	return object{"$ref": doc.Ref}, nil
}

// schemaName tells types of one name apart by their package; those of the
// vocabulary have the plain name.
func schemaName(t reflect.Type) string {
	pkg := t.PkgPath()[strings.LastIndex(t.PkgPath(), "/")+1:]
	name := strings.ToUpper(t.Name()[:1]) + t.Name()[1:]
	if pkg == "station" {
		return name
	}
	return strings.ToUpper(pkg[:1]) + pkg[1:] + name
}

// omittedWhenZero lists the members that encoding/json leaves out by the
// option omitzero, which the reflector does not know.
func omittedWhenZero(t reflect.Type) map[string]bool {
	out := map[string]bool{}
	if t.Kind() != reflect.Struct {
		return out
	}
	for i := range t.NumField() {
		name, opts, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if strings.Contains(opts, "omitzero") {
			out[name] = true
		}
	}
	return out
}

func dropRequired(def object, names map[string]bool) {
	required, _ := def["required"].([]any)
	kept := []any{}
	for _, name := range required {
		if text, ok := name.(string); !ok || !names[text] {
			kept = append(kept, name)
		}
	}
	def["required"] = kept
}
