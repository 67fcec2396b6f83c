package systemd_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"stationd/systemd"
)

func line(t *testing.T, unit, key string) string {
	t.Helper()
	for l := range strings.Lines(unit) {
		if v, ok := strings.CutPrefix(l, key+"="); ok {
			return strings.TrimSuffix(v, "\n")
		}
	}
	return ""
}

func TestUnitQuotesItsPaths(t *testing.T) {
	for _, c := range []struct{ name, bin, config, data, exec, write string }{
		{"plain", "/usr/local/bin/stationd", "/etc/stationd/stationd.yaml", "", "/usr/local/bin/stationd run --config /etc/stationd/stationd.yaml --data /var/lib/stationd", ""},
		{"no configuration", "/opt/stationd", "", "/var/lib/stationd/", "/opt/stationd run --data /var/lib/stationd/", ""},
		{"spaces", "/opt/station d/stationd", "/etc/my station/s.yaml", "/srv/disk 2/d", `"/opt/station d/stationd" run --config "/etc/my station/s.yaml" --data "/srv/disk 2/d"`, `"/srv/disk 2/d"`},
		{"signs", `/opt/50%/it's`, `/etc/a"b\c;d#e`, `/srv/$HOME`, `"/opt/50%%/it\'s" run --config "/etc/a\"b\\c;d#e" --data /srv/$$HOME`, `/srv/$HOME`},
		{"chinese", "/opt/工作站/stationd", "/etc/站.yaml", "/srv/数据", "/opt/工作站/stationd run --config /etc/站.yaml --data /srv/数据", "/srv/数据"},
	} {
		t.Run(c.name, func(t *testing.T) {
			unit, err := systemd.Unit(c.bin, c.config, c.data)
			if err != nil {
				t.Fatal(err)
			}
			if got := line(t, unit, "ExecStart"); got != c.exec {
				t.Errorf("ExecStart=%s\nwant      %s", got, c.exec)
			}
			if got := line(t, unit, "ReadWritePaths"); got != c.write {
				t.Errorf("ReadWritePaths=%s, want %s", got, c.write)
			}
			if got := line(t, unit, "RequiresMountsFor"); got != c.write {
				t.Errorf("RequiresMountsFor=%s, want %s", got, c.write)
			}
			if got := line(t, unit, "StateDirectory"); (got == "") != (c.write != "") {
				t.Errorf("StateDirectory=%s beside ReadWritePaths=%s", got, c.write)
			}
		})
	}
}

func TestUnitRefuses(t *testing.T) {
	const bin, config, data = "/usr/local/bin/stationd", "/etc/s.yaml", "/srv/d"
	for name, paths := range map[string][3]string{
		"relative program":        {"stationd", config, data},
		"relative configuration":  {bin, "s.yaml", data},
		"relative data":           {bin, config, "data"},
		"line break":              {bin, "/etc/a\nExecStartPre=/bin/sh", data},
		"control sign":            {bin, config, "/srv/a\x1bb"},
		"not UTF-8":               {bin, config, "/srv/\xff"},
		"template braces":         {bin, config, "/srv/{{Name}}"},
		"program with a dollar":   {"/opt/$x/stationd", config, data},
		"program at home":         {"/home/duty/stationd", config, data},
		"program of go run":       {"/tmp/go-build1/stationd", config, data},
		"home behind dots":        {"/opt/../root/stationd", config, data},
		"data over everything":    {bin, config, "/"},
		"data over other's data":  {bin, config, "/var/lib/"},
		"data among the programs": {bin, config, "/usr/share/stationd"},
		"invisible sign":          {bin, config, "/srv/a\u202eb"},
		"another kind of space":   {bin, config, "/srv/a\u00a0b"},
		"tab":                     {bin, config, "/srv/a\tb"},
		"configuration at home":   {bin, "/root/s.yaml", data},
	} {
		t.Run(name, func(t *testing.T) {
			unit, err := systemd.Unit(paths[0], paths[1], paths[2])
			if err == nil {
				t.Fatalf("accepted:\nExecStart=%s", line(t, unit, "ExecStart"))
			}
			if !strings.Contains(err.Error(), ":") {
				t.Errorf("%q does not say what to do", err)
			}
		})
	}
}

// The unit as systemd itself reads it: no unknown key, no misread path.
func TestUnitIsUnderstood(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not here; the container test of cmd/stationd insists on it")
	}
	// verify wants a program that exists.
	unit, err := systemd.Unit("/bin/true", "/etc/a \"b\" 5%.yaml", `/srv/d 'e' \x5c`)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "stationd.service")
	if err := os.WriteFile(file, []byte(unit), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(analyze, "verify", "--man=no", "--recursive-errors=no", file).CombinedOutput()
	for l := range strings.Lines(string(out)) {
		if strings.Contains(l, file) || strings.Contains(l, "stationd.service") {
			t.Errorf("%s", l)
		}
	}
	if err != nil && t.Failed() {
		t.Error(err)
	}
}
