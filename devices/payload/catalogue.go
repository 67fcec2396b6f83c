package payload

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
)

// Catalogue holds the payload families that a station knows: those written in
// code, those of the mapping files that come with the program, and those of the
// files that were dropped into a directory. A file that cannot be used is
// skipped and told of (Problems); it never keeps the others from working.
//
// It is safe for use from any goroutine. A Session that was opened before a
// Reload goes on as it was; whoever opened it opens another.
type Catalogue struct {
	dir  string
	code []Family

	mu       sync.Mutex
	entries  map[string]Entry
	problems []Problem
}

// Entry is one family and where it comes from.
type Entry struct {
	Family Family
	// Origin is "code", "shipped" (a mapping file that comes with the program)
	// or "dropped" (one that was put into the directory).
	Origin string
	// File is the mapping file's name; empty for code.
	File string
	// Title is the name for people, Source the address of the format's public
	// documentation.
	Title, Source string
}

// The origins of a family.
const (
	OriginCode    = "code"
	OriginShipped = "shipped"
	OriginDropped = "dropped"
)

// Problem is why a mapping file, or a part of it, cannot be used.
type Problem struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"` // zero is the whole file
	Message string `json:"message"`
	Hint    string `json:"hint"`
}

// Error tells all of it in one line.
func (p Problem) Error() string {
	if p.Line == 0 {
		return fmt.Sprintf("%s: %s; %s", p.File, p.Message, p.Hint)
	}
	return fmt.Sprintf("%s line %d: %s; %s", p.File, p.Line, p.Message, p.Hint)
}

// What a directory of mapping files may hold.
const (
	maxFamilyFiles = 200
	maxFamilyFile  = 256 << 10 // bytes
)

// shipped are the mapping files that come with the program.
//
//go:embed families
var shipped embed.FS

// Families makes the catalogue: what is built in, and what lies in dir. An empty
// dir, or one that is not there, has nothing. Each of more replaces the code
// family of its name, or adds one that lives in a package of its own.
func Families(dir string, more ...Family) *Catalogue {
	c := &Catalogue{dir: dir, code: codeFamilies()}
	for _, f := range more {
		c.code = slices.DeleteFunc(c.code, func(old Family) bool { return old.Name() == f.Name() })
		c.code = append(c.code, f)
	}
	c.Reload()
	return c
}

// Reload reads the mapping files again.
func (c *Catalogue) Reload() {
	entries := map[string]Entry{}
	for _, f := range c.code {
		entries[f.Name()] = Entry{Family: f, Origin: OriginCode, Title: f.Name()}
	}
	sub, err := fs.Sub(shipped, "families")
	if err != nil { // the embedded directory has this name
		panic(err)
	}
	problems := readFamilies(sub, OriginShipped, entries)
	if c.dir != "" {
		if _, err := os.Stat(c.dir); !errors.Is(err, fs.ErrNotExist) {
			problems = append(problems, readDropped(c.dir, entries)...)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries, c.problems = entries, problems
}

// readDropped reads what people have put into dir; a link that leads out of it is
// not followed.
func readDropped(dir string, entries map[string]Entry) []Problem {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return []Problem{{File: dir, Message: "the directory cannot be read: " + err.Error(), Hint: "let the program's user read it"}}
	}
	defer root.Close()
	return readFamilies(root.FS(), OriginDropped, entries)
}

// readFamilies adds the families of the mapping files in dir to entries. One that
// was dropped takes the place of the shipped one of the same name: this is how a
// station mends a mapping without waiting for a new version.
func readFamilies(dir fs.FS, origin string, entries map[string]Entry) []Problem {
	files, err := fs.ReadDir(dir, ".")
	if err != nil {
		return []Problem{{File: ".", Message: "the directory cannot be read: " + err.Error(), Hint: "let the program's user read it"}}
	}
	var problems []Problem
	read := 0
	for _, file := range files { // sorted by name
		name := file.Name()
		if file.IsDir() || strings.HasPrefix(name, ".") || (path.Ext(name) != ".yaml" && path.Ext(name) != ".yml") {
			continue
		}
		if read++; read > maxFamilyFiles {
			problems = append(problems, Problem{File: name, Message: fmt.Sprintf("more than %d mapping files", maxFamilyFiles), Hint: "remove those that are not used"})
			break
		}
		text, err := readBounded(dir, name)
		if err != nil {
			problems = append(problems, Problem{File: name, Message: err.Error(), Hint: "see docs/families.md for what a mapping file is"})
			continue
		}
		m, faults := ParseMapping(name, text)
		problems = append(problems, faults...)
		if m == nil {
			continue
		}
		old, taken := entries[m.Name()]
		switch {
		case taken && old.Origin == OriginCode:
			problems = append(problems, Problem{File: name, Message: fmt.Sprintf("the family %q is built in", m.Name()), Hint: "give the mapping another name"})
		case taken && old.Origin == origin:
			problems = append(problems, Problem{File: name, Message: fmt.Sprintf("the family %q is in %s already", m.Name(), old.File), Hint: "give one of the two another name"})
		default:
			entries[m.Name()] = Entry{Family: m, Origin: origin, File: name, Title: m.Title(), Source: m.Source()}
		}
	}
	return problems
}

func readBounded(dir fs.FS, name string) ([]byte, error) {
	info, err := fs.Stat(dir, name)
	if err != nil {
		return nil, fmt.Errorf("it cannot be read: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a file")
	}
	if info.Size() > maxFamilyFile {
		return nil, fmt.Errorf("it is larger than %d KiB", maxFamilyFile>>10)
	}
	text, err := fs.ReadFile(dir, name)
	if err != nil {
		return nil, fmt.Errorf("it cannot be read: %w", err)
	}
	return text, nil
}

// Names lists the families, sorted.
func (c *Catalogue) Names() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.entries))
}

// Family finds a family by its name.
func (c *Catalogue) Family(name string) (Family, bool) {
	e, ok := c.Entry(name)
	return e.Family, ok
}

// Entry finds a family, and where it comes from, by its name.
func (c *Catalogue) Entry(name string) (Entry, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[name]
	return e, ok
}

// Problems are the mapping files, or parts of them, that cannot be used.
func (c *Catalogue) Problems() []Problem {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.problems)
}
