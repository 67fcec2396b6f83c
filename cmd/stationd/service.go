package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/kardianos/service"

	"stationd/agent/station"
	"stationd/systemd"
)

// serviceName is what the machine's service manager calls the daemon.
const serviceName = "stationd"

// serviceOptions are the paths that the installed service will run with.
type serviceOptions struct {
	// ConfigPath may be empty: the defaults then.
	ConfigPath string
	// DataDir may be empty: the machine's usual place then.
	DataDir string
}

// absolute is needed because a service starts in another folder: System32, on
// Windows.
func (o serviceOptions) absolute() (serviceOptions, error) {
	for _, p := range []*string{&o.ConfigPath, &o.DataDir} {
		if *p == "" {
			continue
		}
		abs, err := filepath.Abs(*p)
		if err != nil {
			return o, fmt.Errorf("make %q absolute: %w", *p, err)
		}
		*p = abs
	}
	return o, nil
}

// notRunning is what `stationd status` returns when the service does not serve.
// The state has been printed already; only the exit code, 3, is left to give.
type notRunning struct{ state string }

func (n notRunning) Error() string { return serviceName + " is not running: " + n.state }

// serviceCommand carries out one of install, uninstall, start, stop, restart and
// status, through whatever service manager the machine has, and prints what came
// of it. Installing copies nothing: the service runs the program from where it
// lies now.
func serviceCommand(verb string, opts serviceOptions, out io.Writer) error {
	opts, err := opts.absolute()
	if err != nil {
		return err
	}
	config, err := serviceConfig(opts)
	if err != nil {
		return err
	}
	s, err := service.New(nothing{}, config)
	if err != nil {
		return station.Errorf(501, "service.none", "start `stationd run` from whatever starts programs here", "no service manager was found on this machine").Because(err)
	}
	if runtime.GOOS == "linux" && s.Platform() != "linux-systemd" {
		return station.Errorf(501, "service.none", "start `stationd run` from your own init script, and see to it that it is started again",
			"this machine is not run by systemd but by %s, which would neither watch nor restart the daemon", s.Platform())
	}
	if verb == "status" {
		err := printStatus(s, out)
		printLines(dataOf(opts), time.Now(), out)
		return err
	}
	if os.Geteuid() > 0 {
		return station.Errorf(403, "service.root", "sudo stationd "+verb, "only root may %s a service", verb)
	}
	switch verb {
	case "install":
		return install(s, config, opts, out)
	case "uninstall":
		return uninstall(s, out)
	case "start", "stop", "restart":
		return control(s, verb, out)
	}
	return fmt.Errorf("unknown service command %q", verb)
}

// dataOf is where the daemon keeps its data, as far as the options tell.
func dataOf(opts serviceOptions) string {
	if cfg, err := loadConfig(opts); err == nil && (opts.DataDir != "" || opts.ConfigPath != "") {
		return cfg.Data
	}
	return systemd.DataDir
}

// serviceConfig describes the service to every manager that kardianos/service
// knows; on systemd our own unit says it all.
func serviceConfig(opts serviceOptions) (*service.Config, error) {
	bin, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	config := &service.Config{
		Name:        serviceName,
		DisplayName: "City-operations station",
		Description: "Takes in sensor alarms and cameras, keeps them, and forwards them to the centre.",
		Executable:  bin,
		Arguments:   []string{"run"},
		Option: service.KeyValue{
			// Windows: without OnFailure nothing is restarted. The names are
			// spelled out because the package has them on Windows only.
			"OnFailure":              "restart",
			"OnFailureDelayDuration": "1s",
			"OnFailureResetPeriod":   60,
		},
	}
	if opts.ConfigPath != "" {
		config.Arguments = append(config.Arguments, "--config", opts.ConfigPath)
	}
	if opts.DataDir != "" {
		config.Arguments = append(config.Arguments, "--data", opts.DataDir)
	}
	return config, nil
}

func install(s service.Service, config *service.Config, opts serviceOptions, out io.Writer) error {
	if s.Platform() == "linux-systemd" {
		unit, err := prepareSystemd(config.Executable, opts)
		if err != nil {
			return err
		}
		// Written verbatim: kardianos/service treats the text as a template, and
		// Unit refuses the only sign it knows, two braces.
		config.Option["SystemdScript"] = unit
	}
	state, err := askStatus(s)
	if err != nil {
		return serviceProblem("ask for the service's state", err)
	}
	if state.installed {
		// By an older program or with other paths. A running service is not
		// disturbed by this.
		if err := s.Uninstall(); err != nil {
			return serviceProblem("replace the installed service", err)
		}
	}
	if err := s.Install(); err != nil {
		return serviceProblem("install the service", err)
	}
	next := "start"
	if state.running {
		next = "restart"
	}
	fmt.Fprintf(out, "installed; it starts with the machine. Now: stationd %s\n", next)
	return nil
}

func uninstall(s service.Service, out io.Writer) error {
	state, err := askStatus(s)
	if err != nil {
		return serviceProblem("ask for the service's state", err)
	}
	if !state.installed {
		fmt.Fprintln(out, "not installed; nothing to do")
		return nil
	}
	if !state.stopped {
		if err := s.Stop(); err != nil {
			return serviceProblem("stop the service", err)
		}
	}
	if err := s.Uninstall(); err != nil {
		return serviceProblem("uninstall the service", err)
	}
	fmt.Fprintln(out, "uninstalled; configuration and data were left where they are")
	return nil
}

// control starts, stops or restarts. Asking for what is so already is no fault.
func control(s service.Service, verb string, out io.Writer) error {
	state, err := askStatus(s)
	switch {
	case err != nil:
		return serviceProblem("ask for the service's state", err)
	case !state.installed:
		return station.Errorf(404, "service.absent", "sudo stationd install", "there is no service to %s", verb)
	}
	var done string
	switch {
	case verb == "start" && state.running:
		done = "running already"
	case verb == "start":
		err, done = s.Start(), "started"
	case verb == "stop" && state.stopped:
		done = "stopped already"
	case verb == "stop":
		err, done = s.Stop(), "stopped"
	case state.stopped:
		err, done = s.Start(), "started"
	default:
		err, done = s.Restart(), "restarted"
	}
	if err != nil {
		return serviceProblem(verb+" the service", err)
	}
	fmt.Fprintln(out, done)
	return nil
}

func serviceProblem(doing string, err error) error {
	hint := "what it said before it ended: journalctl -u stationd -n 50"
	if runtime.GOOS == "windows" {
		hint = "open the console as administrator; what the service said is in the Event Viewer under Application"
	}
	return station.Errorf(500, "service.failed", hint, "could not %s", doing).Because(err)
}

// prepareSystemd makes what the unit takes for granted: the account, a data
// directory that is its own, and that it can read what it is told to.
func prepareSystemd(bin string, opts serviceOptions) (unit string, err error) {
	unit, err = systemd.Unit(bin, opts.ConfigPath, opts.DataDir)
	if err != nil {
		return "", station.Errorf(400, "service.path", "move it or name another path", "the service cannot be installed like this").Because(err)
	}
	account := fmt.Sprintf("u %s - %q %s", systemd.User, "City-operations station", systemd.DataDir)
	if err := callSystem("systemd-sysusers", "--inline", account); err != nil {
		return "", station.Errorf(500, "service.account", "make it by hand: useradd --system --user-group "+systemd.User,
			"could not make the account %s", systemd.User).Because(err)
	}
	if opts.DataDir != "" && opts.DataDir != systemd.DataDir {
		if err := ownDataDir(opts.DataDir); err != nil {
			return "", err
		}
	}
	if err := asDaemon("-x", bin); err != nil {
		return "", station.Errorf(400, "service.unreadable", "chmod 755 the program and let others enter its folders",
			"the account %s cannot start %s", systemd.User, bin).Because(err)
	}
	if opts.ConfigPath != "" {
		if err := asDaemon("-r", opts.ConfigPath); err != nil {
			return "", station.Errorf(400, "service.unreadable", fmt.Sprintf("chgrp %s '%s' && chmod 640 '%s'", systemd.User, opts.ConfigPath, opts.ConfigPath),
				"the account %s cannot read %s", systemd.User, opts.ConfigPath).Because(err)
		}
	}
	return unit, nil
}

// ownDataDir makes the directory and gives it to the daemon's account. What lies
// in it already is left alone: it may be a whole disk of video.
func ownDataDir(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	if asDaemon("-O", dir) == nil {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("look into the data directory: %w", err)
	}
	for _, e := range entries {
		if e.Name() != "lost+found" {
			return station.Errorf(409, "service.data", fmt.Sprintf("chown -R %s: '%s'", systemd.User, dir), "%s holds data that belong to somebody else", dir)
		}
	}
	if err := callSystem("chown", systemd.User+":", dir); err != nil {
		return fmt.Errorf("give the data directory to %s: %w", systemd.User, err)
	}
	return os.Chmod(dir, 0o700)
}

// asDaemon asks test(1) one question in the place of the daemon's account.
func asDaemon(question, path string) error {
	return callSystem("setpriv", "--reuid="+systemd.User, "--regid="+systemd.User, "--clear-groups", "test", question, path)
}

// callSystem runs a command of the system; its error is what the command said.
func callSystem(name string, args ...string) error {
	said, err := exec.Command(name, args...).CombinedOutput()
	if err == nil {
		return nil
	}
	if text := strings.TrimSpace(string(said)); text != "" {
		return fmt.Errorf("%s: %w: %s", name, err, text)
	}
	return fmt.Errorf("%s: %w", name, err)
}

// nothing is the program of a command that only talks about the service.
type nothing struct{}

func (nothing) Start(service.Service) error { return nil }
func (nothing) Stop(service.Service) error  { return nil }
