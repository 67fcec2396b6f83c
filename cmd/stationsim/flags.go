package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"stationd/agent/station"
)

// newFlags makes a command's flags. title is what its help begins with.
func newFlags(name, title string, errs io.Writer) *flag.FlagSet {
	flags := flag.NewFlagSet("stationsim "+name, flag.ContinueOnError)
	flags.SetOutput(errs)
	flags.Usage = func() {
		fmt.Fprintf(errs, "stationsim %s — %s\n\n", name, title)
		flags.PrintDefaults()
	}
	return flags
}

func parse(flags *flag.FlagSet, args []string) error {
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return err
	case err != nil:
		return usageError{err}
	case flags.NArg() > 0:
		return wrongUsage("%q is too much", flags.Arg(0))
	}
	return nil
}

// within refuses a number that is out of bounds.
func within[T int | time.Duration](name string, v, least, most T) error {
	if v < least || v > most {
		return wrongUsage("--%s must be between %v and %v", name, least, most)
	}
	return nil
}

// passwordFlags say where a password is read from. It is never an argument
// itself: every user of a machine sees those of every process.
type passwordFlags struct{ name, file, env string }

func (p *passwordFlags) add(flags *flag.FlagSet, name, of string) {
	p.name = name
	flags.StringVar(&p.file, name+"-file", "", "`file` with the password of "+of)
	flags.StringVar(&p.env, name+"-env", "", "environment `variable` with the password of "+of)
}

func (p *passwordFlags) read() (station.Secret, error) {
	switch {
	case p.file != "" && p.env != "":
		return "", wrongUsage("give one of --%s-file and --%s-env", p.name, p.name)
	case p.file != "":
		text, err := os.ReadFile(p.file)
		if err != nil {
			return "", fmt.Errorf("read the password: %w", err)
		}
		return station.Secret(strings.TrimRight(string(text), "\r\n")), nil
	case p.env != "":
		text, ok := os.LookupEnv(p.env)
		if !ok {
			return "", wrongUsage("the environment has no variable %s", p.env)
		}
		return station.Secret(text), nil
	}
	return "", nil
}

// rate is how often something happens: "50/s", "20/m".
type rate float64 // a second

const maxRate rate = 10_000

// String is the rate a second.
func (r rate) String() string { return strconv.FormatFloat(float64(r), 'f', -1, 64) + "/s" }

// Set implements flag.Value.
func (r *rate) Set(text string) error {
	number, unit, _ := strings.Cut(text, "/")
	n, err := strconv.ParseFloat(number, 64)
	per := map[string]float64{"s": 1, "m": 60, "": 1}[unit]
	if err != nil || per == 0 {
		return errors.New("write 50/s or 20/m")
	}
	v := rate(n / per)
	if !(v > 0 && v <= maxRate) {
		return fmt.Errorf("must be above 0 and at most %v", maxRate)
	}
	*r = v
	return nil
}

// bitrate is in bits a second: "2M", "500k".
type bitrate int

const maxBitrate bitrate = 50_000_000

// String is the bitrate in bits a second.
func (b bitrate) String() string { return strconv.Itoa(int(b)) }

// Set implements flag.Value.
func (b *bitrate) Set(text string) error {
	times := 1.0
	for unit, of := range map[string]float64{"k": 1e3, "K": 1e3, "M": 1e6} {
		if number, ok := strings.CutSuffix(text, unit); ok {
			text, times = number, of
			break
		}
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return errors.New("write 2M or 500k")
	}
	if v := bitrate(n * times); v >= 0 && v <= maxBitrate {
		*b = v
		return nil
	}
	return fmt.Errorf("must be between 0 and %v", maxBitrate)
}
