package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stationd/agent/station"
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
		"devices.broker.listen: ", "record.max_bytes: ", "uplink.url: ", "centre.listen: ", "centre.hosts: ", "log.format: ", "log.level (line 25): ", "write debug, info, warn or error",
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

// What is written is what is meant, or a fault.
func TestValuesAreTakenAsWritten(t *testing.T) {
	cfg := DefaultConfig()
	text := "node: 007\nstation: {name: 2026}\nconsole: {hosts: [a.lan, 1.10]}\nstore: {bulk_cap: 1e6}\n"
	if err := decodeYAML([]byte(text), &cfg); err != nil {
		t.Fatal(err)
	}
	if cfg.Node != "007" || cfg.Station.Name != "2026" || strings.Join(cfg.Console.Hosts, " ") != "a.lan 1.10" || cfg.Store.BulkCap != 1_000_000 {
		t.Errorf("%q %q %q %d", cfg.Node, cfg.Station.Name, cfg.Console.Hosts, cfg.Store.BulkCap)
	}
	for text, place := range map[string]string{
		"store: {queue: 1.5}":                     "store.queue (line 1)",
		"console:\n  hosts:\n    - a\n    - b: c": "console.hosts[1] (line 4)",
		"- a": "line 1",
	} {
		p, ok := station.AsProblem(decodeYAML([]byte(text), &cfg))
		if !ok || p.Place != place {
			t.Errorf("%q: %v", text, p)
		}
	}
}

// A port that two parts want, and certificates that are not there, are told by
// check, not by the first start.
func TestCheckLooksAround(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "c.yaml")
	check := func(text string) string {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		code, out, errs := stationdCommand(t, "check", "--config", file, "--data", dir)
		if (code == exitConfig) != (errs != "") {
			t.Errorf("exit %d: %s%s", code, out, errs)
		}
		return errs
	}
	if errs := check("console: {listen: '127.0.0.1:1883'}\ndevices: {broker: {listen: ':1883'}}\n"); !strings.Contains(errs, "devices.broker.listen: console.listen wants the port 1883 too") {
		t.Error(errs)
	}
	if errs := check("console: {listen: '127.0.0.1:0'}\ndevices: {broker: {listen: '127.0.0.1:0'}}\n"); errs != "" {
		t.Error(errs)
	}
	const uplink = "uplink: {url: 'mqtts://centre:8883'}\n"
	errs := check(uplink)
	for _, key := range []string{"uplink.certificate: ", "uplink.key: ", "uplink.authority: "} {
		if !strings.Contains(errs, key) {
			t.Errorf("not told: %s\n%s", key, errs)
		}
	}
	if code, _, errs := stationdCommand(t, "issue", "--data", filepath.Join(dir, "centre"), "--out", filepath.Join(dir, uplinkFolder), "village-7"); code != exitOK {
		t.Fatal(errs)
	}
	if errs := check(uplink); errs != "" {
		t.Error(errs)
	}
	if errs := check("centre: {listen: ':8883', certificate: /none, key: /none, authority: /none}\n"); !strings.Contains(errs, "centre.key: ") {
		t.Error(errs)
	}
	if errs := check("centre: {listen: ':8883'}\n"); errs != "" {
		t.Error(errs)
	}
}

// A certificate is there with its key or not at all: a demo that was ended while
// it was written must be able to start again.
func TestHalfACertificateIsNone(t *testing.T) {
	dir := t.TempDir()
	to := filepath.Join(dir, "uplink")
	if err := os.MkdirAll(filepath.Join(to, keyFile), 0o700); err != nil { // the key cannot be written
		t.Fatal(err)
	}
	for range 20 {
		if err := issueNode(ownAuthority(dir), "village-7", to); err == nil {
			t.Fatal("a key over a directory")
		}
		if _, err := os.Stat(filepath.Join(to, nodeFile)); err == nil {
			t.Fatal("a certificate without its key")
		}
	}
}
