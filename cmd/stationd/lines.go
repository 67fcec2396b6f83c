package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"stationd/agent/console"
)

// How the lines to the targets are, for `stationd status`: the daemon writes it into
// its data directory, and the command reads it there, without asking the daemon
// anything.

const (
	linesFile  = "lines.json"
	linesEvery = 5 * time.Second
	// linesStale is how old the file may be before it is no longer believed.
	linesStale = 4 * linesEvery
)

type linesReport struct {
	At    time.Time              `json:"at"`
	Lines []console.UplinkStatus `json:"lines"`
}

// reportLines keeps the file until ctx ends.
func (n *node) reportLines(ctx context.Context) error {
	tick := time.NewTicker(linesEvery)
	defer tick.Stop()
	path := filepath.Join(n.cfg.Data, linesFile)
	for {
		st := n.status()
		r := linesReport{At: time.Now(), Lines: st.Targets}
		if st.Uplink != nil {
			r.Lines = append([]console.UplinkStatus{*st.Uplink}, r.Lines...)
		}
		if err := writeLines(path, r); err != nil {
			n.log.Debug("the lines' state not written", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// writeLines replaces the file. It is not synced: it is worth nothing after a
// power cut.
func writeLines(path string, r linesReport) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", b, 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// printLines prints what the daemon last wrote. A station without targets says
// nothing.
func printLines(data string, now time.Time, out io.Writer) {
	b, err := os.ReadFile(filepath.Join(data, linesFile))
	var r linesReport
	if err != nil || json.Unmarshal(b, &r) != nil || len(r.Lines) == 0 {
		return
	}
	if age := now.Sub(r.At); age > linesStale {
		fmt.Fprintf(out, "the lines as they were %s ago:\n", roughly(age))
	}
	for _, l := range r.Lines {
		state := "down"
		if l.Connected {
			state = "connected"
		}
		fmt.Fprintf(out, "%s (%s): %s since %s", l.Target, l.URL, state, roughly(now.Sub(l.Since)))
		if l.Second != nil && l.Second.Connected {
			fmt.Fprint(out, ", alarms go by the second line")
		}
		fmt.Fprintln(out)
		for _, lane := range l.Lanes {
			fmt.Fprintf(out, "  %-7s %s wait", lane.Lane, count(lane.Backlog))
			if lane.Backlog > 0 && !lane.Oldest.IsZero() {
				fmt.Fprintf(out, ", the oldest for %s", roughly(now.Sub(lane.Oldest)))
			}
			if lane.Rate > 0 {
				fmt.Fprintf(out, ", %.0f a second", lane.Rate)
			}
			if lane.Held != "" {
				fmt.Fprintf(out, "; slower because %s", lane.Held)
			}
			fmt.Fprintln(out)
		}
		if l.LastError != "" {
			fmt.Fprintf(out, "  last error, %s ago: %s\n  remedy: %s\n", roughly(now.Sub(l.ErrorAt)), l.LastError, l.Hint)
		}
	}
}

func count(n int) string {
	if n >= 10_000 {
		return "10000 or more"
	}
	return fmt.Sprint(n)
}

// roughly is a span as people say it.
func roughly(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	case d >= time.Minute:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	}
	return max(d, 0).Round(time.Second).String()
}
