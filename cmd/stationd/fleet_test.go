package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stationd/agent"
	"stationd/agent/store"
)

// One table sets up forty stations: it is split, a station takes its file in, and
// the names in it do not stay on the disk.
func TestFleet(t *testing.T) {
	dir := t.TempDir()
	var table strings.Builder
	table.WriteString("\xef\xbb\xbf站点,编号,名称,位置,类别,协议,主题,室号,姓名1,电话1\r\n")
	for s := range 40 {
		for i := range 5 {
			fmt.Fprintf(&table, "village-%d,s%d,烟感 %d,%d号楼,烟感,zigbee2mqtt,zigbee2mqtt/s%d,1202,张三,1380000000%d\r\n", s+1, i, i, i, i, i)
		}
	}
	path := filepath.Join(dir, "district.csv")
	write := func(file, text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(path, table.String())
	var out, errs bytes.Buffer
	if code := command(context.Background(), []string{"fleet", "--out", filepath.Join(dir, "out"), path}, &out, &errs); code != exitOK || strings.Count(out.String(), "\n") != 40 {
		t.Fatal(code, out.String(), errs.String())
	}

	data := filepath.Join(dir, "data")
	cfg := store.DefaultConfig()
	cfg.Dir, cfg.Node = filepath.Join(data, "store"), "village-7"
	st, err := store.Open(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	a := agent.New(agent.DefaultConfig(), agent.Deps{Store: st, Log: slog.New(slog.DiscardHandler)})
	put := filepath.Join(data, sensorsFile)
	one, err := os.ReadFile(filepath.Join(dir, "out", "village-7", sensorsFile))
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)

	// First one with a fault: it stays, with its report, and is not tried for ever.
	write(put, strings.Replace(string(one), "烟感,zigbee2mqtt", "烟花,zigbee2mqtt", 1))
	tried, err := importFrom(context.Background(), a, data, time.Time{}, log)
	if err != nil || tried.IsZero() {
		t.Fatal(tried, err)
	}
	told, err := os.ReadFile(filepath.Join(data, sensorsFaults))
	if err != nil || !strings.Contains(string(told), "sensors.csv:2") || strings.Contains(string(told), "张三") {
		t.Fatalf("%s %v", told, err)
	}
	if again, err := importFrom(context.Background(), a, data, tried, log); err != nil || !again.Equal(tried) {
		t.Fatal(again, err)
	}
	write(put, string(one))
	if _, err := importFrom(context.Background(), a, data, time.Time{}, log); err != nil {
		t.Fatal(err)
	}
	if all, err := a.Sensors(); err != nil || len(all) != 5 {
		t.Fatal(all, err)
	}
	for _, name := range []string{sensorsFile, sensorsFaults} {
		if _, err := os.Stat(filepath.Join(data, name)); !os.IsNotExist(err) {
			t.Errorf("%s is still there: %v", name, err)
		}
	}
	if found, err := grepFiles(data, "张三"); err != nil || found != "" {
		t.Errorf("a name lies in %s (%v)", found, err)
	}

	// A fault anywhere, and nothing is written.
	write(path, strings.Replace(table.String(), "zigbee2mqtt/s3", "zigbee2mqtt/+", 1))
	out.Reset()
	errs.Reset()
	code := command(context.Background(), []string{"fleet", "--out", filepath.Join(dir, "none"), path}, &out, &errs)
	if _, err := os.Stat(filepath.Join(dir, "none")); code != exitFailed || !os.IsNotExist(err) || !strings.Contains(errs.String(), "district.csv:5") {
		t.Errorf("%d %v %s", code, err, errs.String())
	}
	if code := command(context.Background(), []string{"fleet", path}, &out, &errs); code == exitOK {
		t.Error("fleet without a folder")
	}
}
