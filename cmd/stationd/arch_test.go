package main_test

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// The map of the house. A package that is not on it, an import that it does not
// allow and a permission that nobody uses any more all fail: the map is true, or
// it is changed here, where a reviewer sees it.

// arrows tells for each package which other packages of the project it may
// import. Whatever cmd imports is its own affair: it is where all is wired.
var arrows = map[string][]string{
	"agent":                    {"agent/account", "agent/alarm", "agent/history", "agent/station", "agent/store", "agent/store/disk"},
	"agent/account":            {"agent/station"},
	"agent/alarm":              {"agent/station"},
	"agent/console":            {"agent/account", "agent/station"},
	"agent/history":            {"agent/station", "agent/store"},
	"agent/station":            {},
	"agent/store":              {"agent/station", "agent/store/disk"},
	"agent/store/disk":         {"agent/station"},
	"devices":                  {"agent/station", "devices/broker", "devices/mqtt", "devices/payload", "devices/rule"},
	"devices/broker":           {"agent/station"},
	"devices/devicestest":      {"agent/station"},
	"devices/gb26875":          {"agent/station", "devices/payload"},
	"devices/mqtt":             {"agent/station"},
	"devices/onvif":            {"agent/station", "devices/payload"},
	"devices/onvif/onviftest":  {},
	"devices/notify":           {"agent/station"},
	"devices/sound":            {"agent/station"},
	"devices/payload":          {"agent/station"},
	"devices/rule":             {"agent/station"},
	"devices/sparkplug":        {"agent/station", "devices/payload"},
	"systemd":                  {},
	"uplink":                   {"agent/station", "uplink/budget", "uplink/linetest", "uplink/pki", "uplink/protocol", "uplink/transport", "uplink/transport/mqtt", "uplink/transport/webhook"},
	"uplink/budget":            {"agent/station"},
	"uplink/centre":            {"agent/station", "devices/broker", "uplink/linetest", "uplink/pki", "uplink/protocol", "uplink/transport/socket"},
	"uplink/enrol":             {"agent/station", "uplink/pki", "uplink/protocol"},
	"uplink/linetest":          {"agent/station", "uplink/budget"},
	"uplink/pki":               {"agent/station"},
	"uplink/protocol":          {"agent/station"},
	"uplink/transport":         {"agent/station", "uplink/protocol"},
	"uplink/transport/mqtt":    {"agent/station", "uplink/protocol", "uplink/transport", "uplink/transport/socket"},
	"uplink/transport/socket":  {"uplink/protocol"},
	"uplink/transport/webhook": {"agent/station", "uplink/protocol", "uplink/transport"},
	"uplink/uplinktest":        {"agent/station", "uplink", "uplink/centre", "uplink/pki", "uplink/protocol", "uplink/transport", "uplink/transport/mqtt", "uplink/transport/webhook"},
	"video":                    {"agent/station", "video/mse", "video/peer", "video/restream", "video/rtsp", "video/stream"},
	"video/mse":                {"agent/station", "video/stream"},
	"video/peer":               {"agent/station", "video/stream"},
	"video/peer/peertest":      {},
	"video/playback":           {"agent/station", "video/record"},
	"video/probe":              {"agent/station", "video/rtsp", "video/stream"},
	"video/record":             {"agent/station", "agent/store/disk", "video/stream"},
	"video/record/recordtest":  {"video/record", "video/stream", "video/videotest"},
	"video/restream":           {"agent/station", "video/stream"},
	"video/rtsp":               {"agent/station", "video/stream"},
	"video/stream":             {},
	"video/videotest":          {},
}

// testArrows are what a package's tests may import beyond what the package
// itself may, its own subpackages and the small real things that packages named
// "…test" are.
var testArrows = map[string][]string{
	"agent/console": {"agent", "agent/store"}, // the routes are tried on the real core
	"uplink/enrol":  {"uplink"},               // a station that enrolled is run
	// What the simulated estate says is held against the families that read it.
	"devices/devicestest": {"devices/broker", "devices/payload", "devices/rule", "devices/sparkplug"},
	"video/playback":      {"agent/store/disk", "video/stream"}, // a small archive, and what it records
}

// libraries tells for each module who alone may import it.
var libraries = map[string][]string{
	"github.com/bluenviron/gortsplib/v4":   {"video/rtsp", "video/videotest", "video/restream"},
	"github.com/bluenviron/mediacommon/v2": {"video/videotest", "video/record", "video/restream", "video/mse"},
	"github.com/coreos/go-systemd/v22":     {"systemd"},
	"github.com/dgraph-io/badger/v4":       {"agent/store", "video/record"},
	"github.com/eclipse/paho.mqtt.golang":  {"devices/mqtt", "uplink/centre", "uplink/transport/mqtt", "devices/devicestest", "cmd/stationsim"},
	"github.com/expr-lang/expr":            {"devices/rule"},
	"github.com/gorilla/websocket":         {"video/mse", "uplink/transport/mqtt", "uplink/transport/socket", "uplink/centre"},
	"github.com/goccy/go-yaml":             {"cmd/stationd", "devices/payload"},
	"github.com/invopop/jsonschema":        {"agent/console"},
	"github.com/kardianos/service":         {"cmd/stationd"},
	"github.com/kerberos-io/onvif":         {"devices/onvif"},
	"github.com/klauspost/compress":        {"agent/store", "uplink/protocol"},
	"github.com/mochi-mqtt/server/v2":      {"devices/broker"},
	"github.com/pion/ice/v4":               {"video/peer"},
	"github.com/pion/interceptor":          {"video/peer", "video/peer/peertest"},
	"github.com/pion/logging":              {"video/peer"},
	"github.com/pion/rtcp":                 {"video/peer", "video/rtsp", "video/videotest", "video/peer/peertest", "video/restream"},
	"github.com/pion/rtp":                  {"video/peer", "video/rtsp", "video/stream", "video/videotest", "video/peer/peertest", "video/restream"},
	"github.com/pion/transport/v4":         {"video/peer/peertest"},
	"github.com/pion/webrtc/v4":            {"video/peer", "video/peer/peertest"},
	"github.com/prometheus/client_golang":  {"agent/console", "cmd/stationd"},
	"google.golang.org/protobuf":           {"agent/store", "devices/sparkplug", "devices/devicestest"},
	"golang.org/x/crypto":                  {"agent/account"},
	"golang.org/x/image":                   {"agent"},
	"golang.org/x/sync":                    {"agent", "cmd/stationd"},
	"golang.org/x/sys":                     {"agent/store", "agent/store/disk", "uplink/linetest", "video/record"},
	"golang.org/x/text":                    {"agent", "devices/gb26875", "devices/onvif", "devices/devicestest"},
	"golang.org/x/time":                    {"agent"},
}

// testLibraries are the modules that only tests import; "*" is any package.
// A package's tests may also use whatever the package itself may.
var testLibraries = map[string][]string{
	"go.uber.org/goleak":                    {"*"},
	"github.com/eclipse/paho.mqtt.golang":   {"cmd/stationd", "devices", "devices/broker"},
	"github.com/pb33f/libopenapi":           {"agent/console"},
	"github.com/pb33f/libopenapi-validator": {"agent/console"},
}

// The rules that the map itself must keep, whoever edits it: the four rooms do
// not know each other, save through the vocabulary and two leaves.
func TestArchMapKeepsTheDesign(t *testing.T) {
	open := []string{"agent/station", "video/stream", "devices/broker"}
	for from, targets := range arrows {
		for _, to := range targets {
			switch {
			case topLevel(from) == topLevel(to), slices.Contains(open, to):
			case from == "video/record" && to == "agent/store/disk":
				// One guard watches the disk that both write to.
			default:
				t.Errorf("%s may not be allowed to import %s: rooms do not know each other", from, to)
			}
		}
		if slices.Contains(open, from) && slices.ContainsFunc(targets, func(to string) bool { return to != "agent/station" }) {
			t.Errorf("%s may be imported by everyone, so it may import nothing but agent/station", from)
		}
	}
}

func topLevel(room string) string { top, _, _ := strings.Cut(room, "/"); return top }

func TestArchArrows(t *testing.T) {
	used, there := map[[2]string]bool{}, map[string]bool{}
	for _, p := range packages(t) {
		if topLevel(p.room) == "cmd" {
			continue
		}
		there[p.room] = true
		may, known := arrows[p.room]
		if !known {
			t.Errorf("%s is not on the map of arch_test.go", p.room)
			continue
		}
		for _, to := range p.imports {
			if to, ours := strings.CutPrefix(to, module+"/"); ours {
				used[[2]string{p.room, to}] = true
				if !slices.Contains(may, to) {
					t.Errorf("%s may not import %s", p.room, to)
				}
			}
		}
		for _, to := range p.testImports {
			to, ours := strings.CutPrefix(to, module+"/")
			if !ours || to == p.room || strings.HasPrefix(to, p.room+"/") || strings.HasSuffix(to, "test") || slices.Contains(may, to) {
				continue
			}
			used[[2]string{p.room + " (tests)", to}] = true
			if !slices.Contains(testArrows[p.room], to) {
				t.Errorf("the tests of %s may not import %s", p.room, to)
			}
		}
	}
	for _, room := range slices.Sorted(maps.Keys(arrows)) {
		if !there[room] {
			t.Errorf("%s is on the map, but not in the house", room)
		}
	}
	unused(t, arrows, used, "")
	unused(t, testArrows, used, " (tests)")
}

func TestArchLibraries(t *testing.T) {
	all := slices.AppendSeq(slices.Collect(maps.Keys(libraries)), maps.Keys(testLibraries))
	used, usedByTests := map[[2]string]bool{}, map[[2]string]bool{}
	for _, p := range packages(t) {
		for _, imported := range p.imports {
			lib, foreign := library(imported, all)
			if !foreign {
				continue
			}
			used[[2]string{lib, p.room}] = true
			if !slices.Contains(libraries[lib], p.room) {
				t.Errorf("%s may not import %s", p.room, imported)
			}
		}
		for _, imported := range p.testImports {
			lib, foreign := library(imported, all)
			if !foreign || slices.Contains(libraries[lib], p.room) {
				continue
			}
			usedByTests[[2]string{lib, p.room}] = true
			usedByTests[[2]string{lib, "*"}] = true
			if may := testLibraries[lib]; !slices.Contains(may, p.room) && !slices.Contains(may, "*") {
				t.Errorf("the tests of %s may not import %s", p.room, imported)
			}
		}
	}
	unused(t, libraries, used, "")
	unused(t, testLibraries, usedByTests, "")
}

func TestArchPackageComments(t *testing.T) {
	for _, p := range packages(t) {
		if p.doc == "" {
			t.Errorf("%s has no package comment", p.room)
		}
	}
}

// unused reports the permissions that nobody makes use of.
func unused(t *testing.T, may map[string][]string, used map[[2]string]bool, suffix string) {
	t.Helper()
	for _, from := range slices.Sorted(maps.Keys(may)) {
		for _, to := range may[from] {
			if !used[[2]string{from + suffix, to}] {
				t.Errorf("take the permission %s%s → %s off the map: nobody uses it", from, suffix, to)
			}
		}
	}
}

// library finds the module that an imported package belongs to. A package of the
// standard library has no dot in its first element.
func library(imported string, known []string) (module string, foreign bool) {
	if first := topLevel(imported); !strings.Contains(first, ".") {
		return "", false
	}
	module = imported
	for _, lib := range known {
		if imported == lib || strings.HasPrefix(imported, lib+"/") {
			module = lib
		}
	}
	return module, true
}

const module = "stationd"

type pkg struct {
	room                 string // its path in the project
	doc                  string
	imports, testImports []string
}

// packages lists the project's packages as they are built for the two systems.
func packages(t *testing.T) []pkg {
	t.Helper()
	rooms := map[string]*pkg{}
	for _, system := range []string{"linux", "windows"} {
		cmd := exec.Command("go", "list", "-json=ImportPath,Doc,Imports,TestImports,XTestImports", module+"/...")
		cmd.Env = append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0")
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for decode := json.NewDecoder(out); ; {
			var listed struct {
				ImportPath, Doc                    string
				Imports, TestImports, XTestImports []string
			}
			if err := decode.Decode(&listed); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			room := strings.TrimPrefix(listed.ImportPath, module+"/")
			p := rooms[room]
			if p == nil {
				p = &pkg{room: room, doc: listed.Doc}
				rooms[room] = p
			}
			p.imports = append(p.imports, listed.Imports...)
			p.testImports = append(append(p.testImports, listed.TestImports...), listed.XTestImports...)
		}
		if err := cmd.Wait(); err != nil {
			t.Fatalf("go list: %v", err)
		}
	}
	list := make([]pkg, 0, len(rooms))
	for _, room := range slices.Sorted(maps.Keys(rooms)) {
		p := rooms[room]
		slices.Sort(p.imports)
		slices.Sort(p.testImports)
		p.imports, p.testImports = slices.Compact(p.imports), slices.Compact(p.testImports)
		list = append(list, *p)
	}
	return list
}
