package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"stationd/agent"
	"stationd/agent/station"
	"stationd/devices"
	"stationd/devices/gb26875"
	"stationd/devices/onvif"
)

// Setting up many stations at once: `stationd fleet` makes, of the one table of a
// district, a file for each station; a station that finds such a file in its data
// directory imports it.

// sensorsFile is the name of the file in a station's folder and data directory;
// sensorsFaults, behind it, is why it was not imported.
const (
	sensorsFile   = "sensors.csv"
	sensorsFaults = sensorsFile + ".faults.txt"
)

// fleet splits the table into out/<station>/sensors.csv. With a fault anywhere
// nothing is written.
func fleet(table, out string, w io.Writer) error {
	if table == "" || out == "" {
		return station.Errorf(400, "fleet.usage", "stationd fleet --out FOLDER TABLE.csv", "the table or the folder is not named")
	}
	raw, err := os.ReadFile(table)
	if err != nil {
		return fmt.Errorf("read the table: %w", err)
	}
	// Judged by the families that the program has; what a station's own folder adds
	// is known there only.
	judge := devices.New(devices.DefaultConfig(), devices.Deps{
		Families: familiesOf(""), Feeds: []string{gb26875.FamilyName, onvif.FamilyName}, Log: slog.New(slog.DiscardHandler),
	})
	split, faults := agent.SplitByStation(raw, judge.Check)
	if len(faults) > 0 {
		return errors.Join(asErrors(filepath.Base(table), faults)...)
	}
	for _, node := range slices.Sorted(maps.Keys(split)) {
		folder := filepath.Join(out, string(node))
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return err
		}
		// Names and telephones may be in it.
		if err := os.WriteFile(filepath.Join(folder, sensorsFile), split[node], 0o600); err != nil {
			return err
		}
		fmt.Fprintf(w, "%s\t%d\n", filepath.Join(folder, sensorsFile), strings.Count(string(split[node]), "\r\n")-1)
	}
	return nil
}

func asErrors(file string, faults []station.LineFault) []error {
	out := make([]error, 0, len(faults))
	for _, f := range faults {
		place := fmt.Sprintf("%s:%d", file, f.Line)
		if f.Column != "" {
			place += ": " + f.Column
		}
		out = append(out, station.Errorf(422, f.Code, f.Hint, "%s", f.Message).At(place))
	}
	return out
}

// importEvery is how often the data directory is looked at: whoever puts a file
// there need not restart anything.
const importEvery = 10 * time.Second

// importSensors imports the file that was put into the data directory, and takes
// it away: it may name people. A file with faults stays, with a report beside it,
// and is tried again when it has been changed.
func (n *node) importSensors(ctx context.Context) error {
	tick := time.NewTicker(importEvery)
	defer tick.Stop()
	var tried time.Time
	for {
		at, err := importFrom(ctx, n.agent, n.cfg.Data, tried, n.log)
		if err != nil && ctx.Err() == nil {
			n.log.Error("sensors not imported", "file", filepath.Join(n.cfg.Data, sensorsFile), "err", err)
		}
		tried = at
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// importFrom imports dir's file unless it is of the time tried, and returns its
// time.
func importFrom(ctx context.Context, a *agent.Agent, dir string, tried time.Time, log *slog.Logger) (time.Time, error) {
	path := filepath.Join(dir, sensorsFile)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return time.Time{}, nil
	}
	if err != nil || info.ModTime().Equal(tried) {
		return tried, err
	}
	tried = info.ModTime()
	raw, err := os.ReadFile(path)
	if err != nil {
		return tried, err
	}
	report, err := a.ImportSensors(ctx, raw)
	if err != nil {
		return tried, err
	}
	told := filepath.Join(dir, sensorsFaults)
	if len(report.Faults) > 0 {
		var text strings.Builder
		for _, e := range asErrors(sensorsFile, report.Faults) {
			fmt.Fprintln(&text, e)
		}
		log.Error("sensors not imported: the file has faults", "file", path, "faults", len(report.Faults)+report.More, "report", told)
		return tried, os.WriteFile(told, []byte(text.String()), 0o600)
	}
	log.Info("sensors imported", "added", report.Added, "changed", report.Changed, "same", report.Same)
	if err := os.Remove(told); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return tried, err
	}
	return time.Time{}, os.Remove(path)
}
