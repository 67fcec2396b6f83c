package systemd

import (
	_ "embed"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The unit file is valid as it stands, for whoever packages the daemon;
// Unit exchanges single lines of it.
//
//go:embed stationd.service
var unitFile string

// DataDir is where the unit's StateDirectory= lets the daemon write.
const DataDir = "/var/lib/stationd"

// User is the account the unit runs the daemon under, and its group.
const User = "stationd"

const (
	execLine  = "ExecStart=/usr/local/bin/stationd run --config /etc/stationd/stationd.yaml --data /var/lib/stationd\n"
	stateLine = "StateDirectory=stationd\nStateDirectoryMode=0700\n"
	limitLine = "StartLimitIntervalSec=0\n"
)

// Unit returns the unit file that starts binPath with configPath on dataDir.
// An empty configPath leaves --config out; an empty dataDir means DataDir. All
// paths are absolute; spaces and signs are quoted. A path that cannot be quoted,
// or that the unit's own walls would hide from the daemon, is refused.
func Unit(binPath, configPath, dataDir string) (string, error) {
	if dataDir == "" {
		dataDir = DataDir
	}
	bin, err := quote("program", binPath)
	if err != nil {
		return "", err
	}
	if strings.Contains(binPath, "$") {
		// The program's own path is the one word in which systemd does not undo "$$".
		return "", fmt.Errorf("program %q: systemd cannot start a path with a dollar sign: move it, for instance to /usr/local/bin", binPath)
	}
	command := []string{bin, "run"}
	if configPath != "" {
		config, err := quote("configuration", configPath)
		if err != nil {
			return "", err
		}
		command = append(command, "--config", dollars(config))
	}
	data, err := quote("data directory", dataDir)
	if err != nil {
		return "", err
	}
	if under(dataDir, "/etc", "/usr", "/boot", "/bin", "/sbin", "/lib") || slices.Contains(shared, path.Clean(dataDir)) {
		return "", fmt.Errorf("data directory %q: it belongs to the system, and the daemon would be allowed to write all of it: give it a folder of its own, for instance %s", dataDir, DataDir)
	}
	command = append(command, "--data", dollars(data))

	unit := strings.Replace(unitFile, execLine, "ExecStart="+strings.Join(command, " ")+"\n", 1)
	if path.Clean(dataDir) != DataDir {
		unit = strings.Replace(unit, stateLine, "ReadWritePaths="+data+"\n", 1)
		unit = strings.Replace(unit, limitLine, "RequiresMountsFor="+data+"\n"+limitLine, 1)
	}
	return unit, nil
}

// shared are folders that hold more than one program's things.
var shared = []string{"/", "/var", "/var/lib", "/opt", "/srv", "/mnt", "/media", "/run"}

// hidden are the places that ProtectHome=, PrivateTmp= and the kernel's file
// systems keep from the daemon.
var hidden = []string{"/home", "/root", "/run/user", "/tmp", "/var/tmp", "/dev", "/proc", "/sys"}

// quote returns the path as one word of a unit file.
func quote(what, p string) (string, error) {
	if !path.IsAbs(p) {
		return "", fmt.Errorf("%s %q: the path must begin at the root", what, p)
	}
	if under(p, hidden...) {
		return "", fmt.Errorf("%s %q: a service does not see this folder: put programs in /usr/local/bin, configuration in /etc/stationd, data in %s", what, p, DataDir)
	}
	// kardianos/service takes two braces for its own template.
	if !utf8.ValidString(p) || strings.Contains(p, "{{") || strings.ContainsFunc(p, unprintable) {
		return "", fmt.Errorf("%s %q: a unit file cannot hold these signs: rename it", what, p)
	}
	word := strings.NewReplacer(`%`, `%%`, `\`, `\\`, `"`, `\"`, `'`, `\'`).Replace(p)
	if strings.ContainsAny(p, " \"'\\;#") {
		word = `"` + word + `"`
	}
	return word, nil
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }

// under reports whether p is one of the folders or inside one.
func under(p string, folders ...string) bool {
	p = path.Clean(p)
	return slices.ContainsFunc(folders, func(f string) bool { return p == f || strings.HasPrefix(p, f+"/") })
}

// dollars keeps systemd from looking for environment variables, which it does
// in the words of a command and nowhere else.
func dollars(word string) string { return strings.ReplaceAll(word, "$", "$$") }
