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
	sub, err := fs.Sub(shipped, "families")
	if err != nil { // the embedded directory has this name
		panic(err)
	}
	var in intake
	in.read(sub, OriginShipped)
	if c.dir != "" {
		in.readDropped(c.dir)
	}
	entries := map[string]Entry{}
	for _, f := range c.code {
		entries[f.Name()] = Entry{Family: f, Origin: OriginCode, Title: f.Name()}
	}
	problems := in.join(entries)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries, c.problems = entries, problems
}

// intake is what one reading of all the mapping files has brought.
type intake struct {
	files    []takenFile
	problems []Problem
}

type takenFile struct {
	*mappingFile
	origin string
}

// readDropped reads what people have put into dir; a link that leads out of it is
// not followed.
func (in *intake) readDropped(dir string) {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		in.problems = append(in.problems, Problem{File: dir, Message: "the directory cannot be read: " + err.Error(), Hint: "let the program's user read it"})
		return
	}
	defer root.Close()
	in.read(root.FS(), OriginDropped)
}

// read reads the mapping files in dir.
func (in *intake) read(dir fs.FS, origin string) {
	files, err := fs.ReadDir(dir, ".")
	if err != nil {
		in.problems = append(in.problems, Problem{File: ".", Message: "the directory cannot be read: " + err.Error(), Hint: "let the program's user read it"})
		return
	}
	read := 0
	for _, file := range files { // sorted by name
		name := file.Name()
		if file.IsDir() || strings.HasPrefix(name, ".") || (path.Ext(name) != ".yaml" && path.Ext(name) != ".yml") {
			continue
		}
		if read++; read > maxFamilyFiles {
			in.problems = append(in.problems, Problem{File: name, Message: fmt.Sprintf("there are more than %d mapping files", maxFamilyFiles), Hint: "remove those that are not used"})
			return
		}
		text, err := readBounded(dir, name)
		if err != nil {
			in.problems = append(in.problems, Problem{File: name, Message: err.Error(), Hint: "see docs/families.md for what a mapping file is"})
			continue
		}
		in.files = append(in.files, takenFile{parseMappingFile(name, text), origin})
	}
}

// join makes families of the files and adds them to entries. What was dropped
// takes the place of what is shipped under the same name: this is how a station
// mends a mapping without waiting for a new version.
func (in *intake) join(entries map[string]Entry) []Problem {
	sets, from := map[string]*fieldSet{}, map[string]takenFile{}
	for _, f := range in.files {
		if f.set == nil {
			continue
		}
		if old, taken := from[f.set.name]; taken && old.origin == f.origin {
			f.fault(nil, "give one of the two another name", "the set %q is in %s already", f.set.name, old.file)
			continue
		}
		sets[f.set.name], from[f.set.name] = f.set, f
	}
	for _, f := range in.files {
		if f.mapping == nil {
			continue
		}
		name := f.mapping.name
		old, taken := entries[name]
		switch {
		case taken && old.Origin == OriginCode:
			f.fault(nil, "give the mapping another name", "the family %q is built in", name)
			continue
		case taken && old.Origin == f.origin:
			f.fault(nil, "give one of the two another name", "the family %q is in %s already", name, old.File)
			continue
		}
		if m := f.link(sets); m != nil {
			entries[name] = Entry{Family: m, Origin: f.origin, File: f.file, Title: m.title, Source: m.source}
		}
	}
	problems := in.problems
	for _, f := range in.files {
		problems = append(problems, f.problems...)
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
