package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// stationd runs a command line in this process.
func stationdCommand(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = command(context.Background(), args, &o, &e)
	return code, o.String(), e.String()
}

func TestCheckNamesEveryFault(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bad.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`node: Village_1
stations:
  name: x
station:
  clip_befor: 10s
  clip_after: soon
store:
  bulk_cap: -1
  space:
    reserve: 3 elephants
console:
  listen: 0.0.0.0:8480
devices:
  broker:
    listen: nowhere
record:
  max_bytes: 1
uplink:
  url: http://centre
centre:
  listen: "8883"
  hosts: ["a/b"]
log:
  format: xml
  level: loud
`)
	code, _, errs := stationdCommand(t, "check", "--config", file)
	if code != exitConfig {
		t.Errorf("exit code %d, want %d", code, exitConfig)
	}
	for _, want := range []string{
		"node: ", "stations (line 2): there is no such key (did you mean station?)",
		"station.clip_befor (line 5): there is no such key (did you mean clip_before?)",
		"station.clip_after (line 6): ", "write a span such as 10s",
		"store.bulk_cap (line 8): ", "store.space.reserve (line 10): ", "write a size such as 64MiB",
		"console.tls: passwords would cross the network in the clear",
		"devices.broker.listen: ", "record.max_bytes: ", "uplink.url: ", "centre.listen: ", "centre.hosts: ", "log.format: ", "log.level (line 25): ",
	} {
		if !strings.Contains(errs, want) {
			t.Errorf("not told: %q", want)
		}
	}
	if t.Failed() {
		t.Log(errs)
	}
	for _, line := range strings.Split(strings.TrimSpace(errs), "\n") {
		if !strings.Contains(line, "(") {
			t.Errorf("a fault without a remedy: %s", line)
		}
	}

	write("node: [\n")
	if code, _, errs := stationdCommand(t, "check", "--config", file); code != exitConfig || !strings.Contains(errs, "not YAML") {
		t.Errorf("%d %s", code, errs)
	}
	if code, _, errs := stationdCommand(t, "check", "--config", file+".missing"); code != exitConfig || !strings.Contains(errs, "--config") {
		t.Errorf("%d %s", code, errs)
	}
}

func TestCheckPassesTheShippedExample(t *testing.T) {
	if code, out, errs := stationdCommand(t, "check", "--config", examplePath); code != exitOK || !strings.Contains(out, "in order") {
		t.Errorf("%d %s%s", code, out, errs)
	}
	if code, out, errs := stationdCommand(t, "check"); code != exitOK || !strings.Contains(out, "in order") {
		t.Errorf("%d %s%s", code, out, errs)
	}
}

func TestCommandLine(t *testing.T) {
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"", exitUsage, "stationd demo"},
		{"dance", exitUsage, `no command "dance"`},
		{"check --nonsense", exitUsage, "stationd demo"},
		{"help", exitOK, "exit codes"},
		{"version", exitOK, "stationd "},
		{"issue", exitFailed, "name the station"},
		{"issue --out x BAD", exitFailed, "node id"},
	} {
		code, out, errs := stationdCommand(t, strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(out+errs, c.says) {
			t.Errorf("stationd %s: exit %d, want %d; %s%s", c.args, code, c.code, out, errs)
		}
	}
}

func TestIssueMakesAStationsCertificate(t *testing.T) {
	dir := t.TempDir()
	to := filepath.Join(dir, "uplink")
	if code, out, errs := stationdCommand(t, "issue", "--data", dir, "--out", to, "village-7"); code != exitOK || !strings.Contains(out, nodeFile) {
		t.Fatalf("%d %s%s", code, out, errs)
	}
	for _, name := range []string{nodeFile, keyFile, authorityFile} {
		if info, err := os.Stat(filepath.Join(to, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info, err)
		}
	}
}
