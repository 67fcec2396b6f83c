package main_test

import (
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// root is the project's folder, seen from this package.
const root = "../.."

var (
	fence    = regexp.MustCompile("(?ms)^[ \t]*(```|~~~).*?^[ \t]*(```|~~~)[ \t]*$")
	code     = regexp.MustCompile("`[^`\n]*`")
	mdLink   = regexp.MustCompile(`\]\(<?([^)<>\s]+)>?(?:\s+"[^"]*")?\)`)
	htmlLink = regexp.MustCompile(`(?:href|src)="([^"]+)"`)
	heading  = regexp.MustCompile(`(?m)^#{1,6}\s+(.+?)\s*#*$`)
)

// TestArchLinks follows every link from the documentation to a file or a heading
// of the project. Links to the web are not followed: a test needs no network.
func TestArchLinks(t *testing.T) {
	pages := []string{filepath.Join(root, "README.md"), filepath.Join(root, "CHANGELOG.md")}
	err := filepath.WalkDir(filepath.Join(root, "docs"), func(p string, d fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(p) == ".md" {
			pages = append(pages, p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Error(err)
			continue
		}
		prose := code.ReplaceAllString(fence.ReplaceAllString(string(text), ""), "")
		for _, pattern := range []*regexp.Regexp{mdLink, htmlLink} {
			for _, found := range pattern.FindAllStringSubmatch(prose, -1) {
				if fault := follow(page, found[1]); fault != "" {
					t.Errorf("%s: link to %s: %s", page, found[1], fault)
				}
			}
		}
	}
}

// follow says what is wrong with a link, or nothing.
func follow(page, link string) string {
	if strings.Contains(link, "://") || strings.HasPrefix(link, "mailto:") {
		return ""
	}
	file, anchor, _ := strings.Cut(link, "#")
	target := page
	if file != "" {
		target = filepath.Join(filepath.Dir(page), filepath.FromSlash(file))
	}
	if _, err := os.Stat(target); err != nil {
		return "there is no such file"
	}
	if anchor == "" || filepath.Ext(target) != ".md" {
		return ""
	}
	text, err := os.ReadFile(target)
	if err != nil {
		return err.Error()
	}
	for _, h := range heading.FindAllStringSubmatch(fence.ReplaceAllString(string(text), ""), -1) {
		if slug(h[1]) == anchor {
			return ""
		}
	}
	return "there is no such heading"
}

// slug is the anchor that code forges give a heading.
func slug(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-', r == '_', unicode.IsLetter(r), unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return -1
	}, heading)
}

// vendored is a line of VENDOR.txt: file, package, version.
var vendored = regexp.MustCompile(`(?m)^\S+\.js\s+(\S+)\s+(\d\S*)\s`)

var row = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ([^| ]+) \\|")

// TestArchDependencies holds docs/dependencies.md to the truth: one row for each
// library that the house imports, that is vendored for the browser or that the
// tests take from npm, with the version in use, and none for others.
func TestArchDependencies(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs", "dependencies.md"))
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]string{}
	for _, r := range row.FindAllStringSubmatch(string(text), -1) {
		told[r[1]] = r[2]
	}
	inUse := map[string]string{}
	goMod, err := exec.Command("go", "mod", "edit", "-json", filepath.Join(root, "go.mod")).Output()
	if err != nil {
		t.Fatal(err)
	}
	var mod struct {
		Require []struct{ Path, Version string }
	}
	if err := json.Unmarshal(goMod, &mod); err != nil {
		t.Fatal(err)
	}
	for _, r := range mod.Require {
		if libraries[r.Path] != nil || testLibraries[r.Path] != nil {
			inUse[r.Path] = r.Version
		}
	}
	fromNPM, err := os.ReadFile(filepath.Join(root, ".ci", "node", "package.json"))
	if err != nil {
		t.Fatal(err)
	}
	var npm struct{ DevDependencies map[string]string }
	if err := json.Unmarshal(fromNPM, &npm); err != nil {
		t.Fatal(err)
	}
	maps.Copy(inUse, npm.DevDependencies)
	vendor, err := os.ReadFile(filepath.Join(root, "agent", "console", "web", "vendor", "VENDOR.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range vendored.FindAllStringSubmatch(string(vendor), -1) {
		inUse[v[1]] = v[2]
	}
	for _, name := range slices.Sorted(maps.Keys(inUse)) {
		if told[name] != inUse[name] {
			t.Errorf("docs/dependencies.md: %s %s is in use, the page says %q", name, inUse[name], told[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(told)) {
		if inUse[name] == "" {
			t.Errorf("docs/dependencies.md: %s is described, but nobody uses it", name)
		}
	}
}
