package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// The exit codes. They are an interface: scripts read them.
const (
	exitOK     = 0
	exitFailed = 1 // it went wrong, or what was measured is not as it must be
	exitUsage  = 2 // the command line cannot be understood
)

const usage = `stationsim — sensors, cameras and viewers to try a station with, stations to try a centre with

  stationsim sensors --broker mqtt://host:1883 --username U --password-file F
  stationsim cameras --listen 127.0.0.1:8554 --count 16
  stationsim viewers --station http://127.0.0.1:8480 --camera corridor --token LINK
  stationsim stations --centre mqtts://host:8883 --ca DATA/ca --n 50 --rate 2000
  stationsim help

Each command has more flags: stationsim sensors --help. With --station, sensors
and cameras are set up there too; the sign-in is --token with a sign-in link, or
--account with --account-password-file or --account-password-env.

exit codes: 0 well, 1 failed or something was lost, 2 wrong command line
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends it at once
	code := command(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// command carries out one command line and returns the exit code.
func command(ctx context.Context, args []string, out, errs io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(errs, usage)
		return exitUsage
	}
	name, args := args[0], args[1:]
	var err error
	switch name {
	case "sensors":
		err = sensors(ctx, args, out, errs)
	case "cameras":
		err = cameras(ctx, args, out, errs)
	case "viewers":
		err = viewers(ctx, args, out, errs)
	case "stations":
		err = stations(ctx, args, out, errs)
	case "help", "-h", "--help":
		fmt.Fprint(out, usage)
	default:
		fmt.Fprint(errs, usage)
		err = wrongUsage("there is no command %q", name)
	}
	return exitCode(err, errs)
}

func exitCode(err error, errs io.Writer) int {
	var wrong usageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.As(err, &wrong):
		fmt.Fprintln(errs, "stationsim:", err)
		return exitUsage
	}
	fmt.Fprintln(errs, "stationsim:", err)
	return exitFailed
}

// usageError is a command line that cannot be understood.
type usageError struct{ error }

func wrongUsage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }
