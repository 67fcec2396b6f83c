package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	_ "time/tzdata" // a station's PC may have no zones, and mapping files name them

	"stationd/agent/station"
)

// The exit codes. They are an interface: scripts and service managers read them.
const (
	exitOK      = 0
	exitFailed  = 1 // it was tried and went wrong
	exitUsage   = 2 // the command line cannot be understood
	exitStopped = 3 // status: the service does not run
	exitConfig  = 4 // the configuration is at fault
)

const usage = `stationd — the daemon of a city-operations station

  stationd demo                 a station and its centre with everything built in; prints what to open
  stationd run                  the daemon, in the foreground
  stationd check                read the configuration and name every fault
  stationd enrol CODE           at a station: come in below the centre that made the code
  stationd issue NODE           at a centre: make the certificate of a station by hand
  stationd fleet TABLE.csv      make, of one table of sensors, a file for each station
  stationd install | uninstall  as a service of this machine
  stationd start | stop | restart | status
  stationd version

  --config FILE   the configuration (default: the defaults)
  --data DIR      where everything is kept (default: what the configuration says)
  --centre HOST   enrol: the centre's address, with :port if it is not 8884, where the code does not name it

exit codes: 0 well, 1 failed, 2 wrong command line, 3 not running (status), 4 faulty configuration
`

func main() {
	tune()
	os.Exit(command(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

// tune lets twice as much garbage gather as is usual, unless GOGC says otherwise: what
// lives in a station is small, what a flood of messages leaves behind is not, and
// collecting it was a tenth of what a message costs.
func tune() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(200)
	}
}

// command carries out one command line and returns the exit code.
func command(ctx context.Context, args []string, out, errs io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(errs, usage)
		return exitUsage
	}
	name, args := args[0], args[1:]
	flags := flag.NewFlagSet("stationd "+name, flag.ContinueOnError)
	flags.SetOutput(errs)
	flags.Usage = func() { fmt.Fprint(errs, usage) }
	configPath := flags.String("config", "", "the configuration file")
	dataDir := flags.String("data", "", "the data directory")
	centre := flags.String("centre", "", "enrol: the centre's address")
	outDir := flags.String("out", "", "issue, fleet: the folder for what is made")
	if err := flags.Parse(args); err != nil {
		return exitUsage
	}
	opts := serviceOptions{ConfigPath: *configPath, DataDir: *dataDir}
	var err error
	switch name {
	case "run":
		err = runAsService(func(ctx context.Context) error { return run(ctx, opts, errs) })
	case "demo":
		err = runAsService(func(ctx context.Context) error { return demo(ctx, *dataDir, out, errs) })
	case "check":
		err = check(opts, out)
	case "enrol":
		err = enrolCommand(ctx, opts, *centre, flags.Arg(0), out)
	case "issue":
		err = issue(opts, flags.Arg(0), *outDir, out)
	case "fleet":
		err = fleet(flags.Arg(0), *outDir, out)
	case "install", "uninstall", "start", "stop", "restart", "status":
		err = serviceCommand(name, opts, out)
	case "version":
		fmt.Fprintln(out, "stationd", version())
	case "help", "-h", "--help":
		fmt.Fprint(out, usage)
	default:
		fmt.Fprintf(errs, "stationd: there is no command %q\n\n%s", name, usage)
		return exitUsage
	}
	return exitCode(err, errs)
}

func exitCode(err error, errs io.Writer) int {
	var stopped notRunning
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &stopped):
		return exitStopped
	}
	code := exitFailed
	for _, e := range station.Faults(err) {
		fmt.Fprintln(errs, "stationd:", e)
		if p, ok := station.AsProblem(e); ok && p.Code == "config.invalid" {
			code = exitConfig
		}
	}
	return code
}

// version is the module's version and the commit it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	if v == "" || v == "(devel)" {
		v = "devel"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			v += "+" + s.Value[:12]
		}
	}
	return v
}
