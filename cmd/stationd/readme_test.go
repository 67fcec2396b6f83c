//go:build linux

package main_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// What the README and the installation guide tell people to type is run: by a
// test, by continuous integration, or right here.

// runners tells what runs each command of the README: a test of this package, in
// whose file the words stand, or a line of .ci/run.
var runners = map[string]struct{ test, words, ci string }{
	"go run ./cmd/stationd demo": {test: "TestDemo", words: `launch(t, log, "demo"`}, // built once for all tests, then run
	"make test":                  {ci: "make test"},
	".ci/run":                    {ci: "make test"},
}

// block is a fenced block of a page: its language and the heading above it.
type block struct{ heading, language, text string }

var fenced = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$|^#+ (.+?)$")

func blocks(t *testing.T, page string) (out []block) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		t.Fatal(err)
	}
	heading := ""
	for _, m := range fenced.FindAllStringSubmatch(string(text), -1) {
		if m[3] != "" {
			heading = m[3]
		} else {
			out = append(out, block{heading, m[1], m[2]})
		}
	}
	return out
}

// commands are the lines of a shell block.
func (b block) commands() (out []string) {
	if b.language != "sh" {
		return nil
	}
	for line := range strings.Lines(b.text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			out = append(out, line)
		}
	}
	return out
}

// typed is code in the prose that is a command.
var typed = regexp.MustCompile("`((?:go|make|sudo|stationd|curl) [^`\n]+|\\.ci/[a-z]+)`")

func TestArchReadmeCommands(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var commands []string
	for _, b := range blocks(t, "README.md") {
		commands = append(commands, b.commands()...)
	}
	for _, m := range typed.FindAllStringSubmatch(string(text), -1) {
		commands = append(commands, m[1])
	}
	ci, err := os.ReadFile(filepath.Join(root, ".ci", "run"))
	if err != nil {
		t.Fatal(err)
	}
	tests := testFiles(t)
	for _, c := range commands {
		r, known := runners[c]
		switch {
		case !known:
			t.Errorf("README.md: nothing runs %q; name what does in readme_test.go", c)
		case r.ci != "" && !slices.Contains(strings.Split(string(ci), "\n"), r.ci):
			t.Errorf("README.md: %q is to be run by the line %q of .ci/run, which is not there", c, r.ci)
		case r.test != "" && tests[r.test] == "":
			t.Errorf("README.md: %q is to be run by %s, which does not exist", c, r.test)
		case r.test != "" && !strings.Contains(tests[r.test], r.words):
			t.Errorf("README.md: %q is to be run by %s, in whose file there is no %s", c, r.test, r.words)
		}
	}
	for c := range runners {
		if !slices.Contains(commands, c) {
			t.Errorf("README.md no longer says %q", c)
		}
	}
}

// testFiles maps the tests of this package to the text of their files.
func testFiles(t *testing.T) map[string]string {
	t.Helper()
	names, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				out[f.Name.Name] = string(text)
			}
		}
	}
	return out
}

// The tree of the README names folders that exist, and every package.
func TestArchReadmeTree(t *testing.T) {
	var told []string
	for _, b := range blocks(t, "README.md") {
		if b.heading == "The tree" && b.language == "" {
			for line := range strings.Lines(b.text) {
				told = append(told, strings.Fields(line)[0])
			}
		}
	}
	if len(told) == 0 {
		t.Fatal("README.md has no tree")
	}
	for _, folder := range told {
		if info, err := os.Stat(filepath.Join(root, folder)); err != nil || !info.IsDir() {
			t.Errorf("README.md: the tree has %s, the house has not", folder)
		}
	}
	for _, p := range packages(t) {
		if !slices.Contains(told, p.room) {
			t.Errorf("README.md: the tree lacks %s", p.room)
		}
	}
}

var (
	namesTest = regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Z]\\w*)`")
	declares  = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)[A-Z]\w*)\(`)
)

// The tests that the pages name as proof exist.
func TestArchNamedTests(t *testing.T) {
	there := map[string]bool{}
	told := map[string]string{} // test → page
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "node_modules") { // in a worktree .git is a file
			return fs.SkipDir
		}
		isTest, isPage := strings.HasSuffix(p, ".go"), strings.HasSuffix(p, ".md")
		if d.IsDir() || !isTest && !isPage {
			return nil
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		if isTest {
			for _, m := range declares.FindAllSubmatch(text, -1) {
				there[string(m[1])] = true
			}
			return nil
		}
		for _, m := range namesTest.FindAllSubmatch(text, -1) {
			told[string(m[1])] = p
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, page := range told {
		if !there[name] {
			t.Errorf("%s names %s, which does not exist", page, name)
		}
	}
	if len(told) == 0 {
		t.Error("no page names a test as its proof")
	}
}

// TestGuideConfigurations holds the configurations of the guide to `stationd check`.
func TestGuideConfigurations(t *testing.T) {
	stationd, err := program()
	if err != nil {
		t.Fatal(err)
	}
	// The station's certificate is there by the time that the guide checks.
	data := t.TempDir()
	issue := exec.Command(stationd, "issue", "--data", t.TempDir(), "--out", filepath.Join(data, "uplink"), "village-7")
	if out, err := issue.CombinedOutput(); err != nil {
		t.Fatalf("issue: %v\n%s", err, out)
	}
	n := 0
	for _, b := range blocks(t, "docs/install.md") {
		if b.language != "yaml" {
			continue
		}
		n++
		file := filepath.Join(t.TempDir(), "stationd.yaml")
		if err := os.WriteFile(file, []byte(b.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(stationd, "check", "--config", file, "--data", data).CombinedOutput(); err != nil {
			t.Errorf("docs/install.md, under %q: %v\n%s%s", b.heading, err, b.text, out)
		}
	}
	if n < 2 {
		t.Errorf("docs/install.md has %d configurations, want one for a centre and one for a station", n)
	}
}

// TestInstallGuide does what docs/install.md says, line by line, on a machine run
// by systemd: first as a centre, then, with the certificate that was carried
// over, as a station.
func TestInstallGuide(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "stationd")
	build := exec.Command("go", "build", "-o", binary, "stationd/cmd/stationd")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	m := boot(t)
	bin, err := os.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer bin.Close()
	m.put(t, "/stationd-linux-amd64", 0o755, bin)

	ran := 0
	for _, b := range blocks(t, "docs/install.md") {
		if b.heading == "A station" && b.language == "yaml" {
			// Another machine, to which the program and the folder were carried.
			m.must(t, "stationd", "uninstall")
			m.must(t, "rm", "-r", "/var/lib/stationd", "/etc/stationd")
		}
		if b.language == "yaml" {
			name, _, _ := strings.Cut(strings.TrimPrefix(b.text, "# "), "\n")
			m.put(t, name, 0o644, strings.NewReader(b.text))
		}
		for _, line := range b.commands() {
			if strings.HasPrefix(line, "make ") { // in a checkout; .ci/run does
				continue
			}
			ran++
			line = strings.TrimPrefix(line, "sudo ")
			if out, err := m.run("sh", "-c", "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"+line); err != nil {
				t.Fatalf("docs/install.md, under %q: %s: %v\n%s", b.heading, line, err, out)
			}
			if strings.HasSuffix(line, "| grep claim") {
				out, _ := m.run("ss", "-ltnH", "sport = :8480")
				if !strings.Contains(out, "127.0.0.1:8480") || strings.Contains(out, "*:8480") {
					t.Errorf("the unclaimed console listens on %s", out)
				}
			}
			if line == "stationd status" && b.heading == "A station" {
				m.within(t, 10*time.Second, "the station tries its certificate on the line", func() bool {
					out, err := m.run("journalctl", "--no-pager", "-u", "stationd", "-g", "uplink lost")
					return err == nil && !strings.Contains(out, "certificate")
				})
			}
		}
	}
	if ran < 15 {
		t.Errorf("only %d commands were found", ran)
	}
	if out, err := m.run("stationd", "status"); err == nil || !strings.Contains(out, "not installed") {
		t.Errorf("at the end of the guide: %v %s", err, out)
	}
}
