package main

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

var update = flag.Bool("update", false, "write docs/stationd.yaml afresh from the defaults and the structs' comments")

const examplePath = "../../docs/stationd.yaml"

// The shipped example is the defaults and the reference at once: it is made from
// the structs, and holds every key.
func TestExampleIsTheDefaults(t *testing.T) {
	text := exampleText(t)
	if *update {
		if err := os.WriteFile(examplePath, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	shipped, err := os.ReadFile(examplePath)
	if err != nil {
		t.Fatal(err)
	}
	if string(shipped) != text {
		t.Errorf("%s is not up to date: go test ./cmd/stationd -run TestExample -update", examplePath)
	}
	var read Config // without defaults: what the file does not say stays zero
	if err := decodeYAML(shipped, &read); err != nil {
		t.Fatal(err)
	}
	got, err := yaml.Marshal(read)
	if err != nil {
		t.Fatal(err)
	}
	want, err := yaml.Marshal(DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("the example is not the defaults:\n%s\n%s", got, want)
	}
}

func exampleText(t *testing.T) string {
	var b strings.Builder
	b.WriteString("# The configuration of stationd: every key, with its default.\n# Leave out what you do not change. `stationd check --config FILE` names every fault.\n")
	writeExample(t, &b, reflect.ValueOf(DefaultConfig()), 0, map[string]map[string]string{})
	return b.String()
}

func writeExample(t *testing.T, b *strings.Builder, v reflect.Value, depth int, cache map[string]map[string]string) {
	t.Helper()
	indent := strings.Repeat("  ", depth)
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, opt, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if opt == "inline" {
			writeExample(t, b, v.Field(i), depth, cache)
			continue
		}
		if name == "" || name == "-" {
			continue
		}
		doc := fieldDoc(t, v.Type(), f.Name, cache)
		if doc == "" {
			t.Errorf("%s.%s has no comment to make the reference from", v.Type(), f.Name)
		}
		if depth == 0 {
			b.WriteString("\n")
		}
		writeComment(b, indent, keyNames(v.Type(), doc))
		if structFields(v.Field(i)) != nil {
			fmt.Fprintf(b, "%s%s:\n", indent, name)
			writeExample(t, b, v.Field(i), depth+1, cache)
			continue
		}
		text, err := yaml.Marshal(v.Field(i).Interface())
		if err != nil {
			t.Fatal(err)
		}
		value := strings.TrimRight(string(text), "\n")
		if strings.HasPrefix(value, "- ") {
			fmt.Fprintf(b, "%s%s:\n%s  %s\n", indent, name, indent, strings.ReplaceAll(value, "\n", "\n"+indent+"  "))
			continue
		}
		fmt.Fprintf(b, "%s%s: %s\n", indent, name, value)
	}
}

// keyNames turns the names of a struct's fields in prose into those of its keys.
func keyNames(typ reflect.Type, doc string) string {
	words := strings.Fields(doc)
	for i := range typ.NumField() {
		f := typ.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		for k, w := range words {
			if bare := strings.TrimRight(w, ".,:;"); bare == f.Name && name != "" && name != "-" {
				words[k] = name + w[len(bare):]
			}
		}
	}
	return strings.Join(words, " ")
}

// writeComment writes prose wrapped at 88 columns.
func writeComment(b *strings.Builder, indent, doc string) {
	line := indent + "#"
	for _, word := range strings.Fields(doc) {
		if len(line)+1+len(word) > 88 {
			b.WriteString(line + "\n")
			line = indent + "#"
		}
		line += " " + word
	}
	b.WriteString(line + "\n")
}

// fieldDoc is the comment of a struct's field, above it or behind it; a comment
// that stands above a group counts for each of the group that has none.
func fieldDoc(t *testing.T, typ reflect.Type, field string, cache map[string]map[string]string) string {
	t.Helper()
	id := typ.PkgPath() + "." + typ.Name()
	if cache[id] == nil {
		dir := strings.TrimPrefix(typ.PkgPath(), "stationd/")
		if typ.PkgPath() == "main" || strings.HasSuffix(typ.PkgPath(), "cmd/stationd") {
			dir = "cmd/stationd"
		}
		cache[id] = docsOf(t, filepath.Join("../..", dir), typ.Name())
	}
	return cache[id][field]
}

func docsOf(t *testing.T, dir, typeName string) map[string]string {
	t.Helper()
	docs := map[string]string{}
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok || spec.Name.Name != typeName {
				return true
			}
			body, ok := spec.Type.(*ast.StructType)
			if !ok {
				return false
			}
			last := ""
			for _, f := range body.Fields.List {
				doc := f.Doc.Text()
				if doc == "" {
					doc = f.Comment.Text()
				}
				if doc == "" {
					doc = last
				}
				last = doc
				for _, name := range f.Names {
					docs[name.Name] = doc
				}
			}
			return false
		})
	}
	return docs
}
