//go:build linux

package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stationd/agent/station"
)

// A whole station with an output that ALSA writes into files: an alarm is heard
// there until it is answered; the output that is pulled raises an alarm, and put
// back ends it.
func TestSoundOfAStation(t *testing.T) {
	if _, err := exec.LookPath("aplay"); err != nil {
		t.Fatal("aplay is missing; .ci/deps installs it")
	}
	dir := t.TempDir()
	conf := filepath.Join(dir, "asound.conf")
	t.Setenv("ALSA_CONFIG_PATH", conf)
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	device := fmt.Sprintf("pcm.tape { type file slave.pcm { type null } file %q format wav truncate false }\n", filepath.Join(dir, "heard.wav"))
	write(device)
	// played is how many times something was played that is longer than the moment
	// of silence with which the output is tried.
	played := func() (n int) {
		files, _ := filepath.Glob(filepath.Join(dir, "heard*"))
		for _, f := range files {
			if st, err := os.Stat(f); err == nil && st.Size() > 100<<10 {
				n++
			}
		}
		return n
	}

	cfg := demoConfig(filepath.Join(dir, "data"), "village-8", "示范村工作站", 0)
	cfg.Devices.Broker.Listen, cfg.Console.Listen = "127.0.0.1:0", "127.0.0.1:0"
	cfg.Sound.Off, cfg.Sound.Device, cfg.Sound.Probe = false, "tape", time.Second
	cfg.settle()
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	n, err := openNode(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- n.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	until := func(what string, cond func() bool) {
		t.Helper()
		for deadline := time.Now().Add(40 * time.Second); !cond(); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("never: %s", what)
			}
		}
	}
	live := func() (kinds []string, first string) {
		list, err := n.agent.LiveAlarms()
		if err != nil {
			t.Fatal(err)
		}
		for _, al := range list {
			kinds, first = append(kinds, string(al.Kind)), al.ID
		}
		return kinds, first
	}
	lamp := func() string { l := n.agent.SoundLamp(); return l.Code + " " + string(l.State) }

	until("the lamp", func() bool { return lamp() == "sound.ok ok" })
	write("# pulled\n")
	until("the alarm of the sound", func() bool { k, _ := live(); return strings.Join(k, " ") == "sound" })
	if got := lamp(); got != "sound.missing bad" {
		t.Error(got)
	}
	write(device)
	until("its end", func() bool { k, _ := live(); return len(k) == 0 })
	if played() != 0 {
		t.Error("something was called out into the restored output, though nothing waits for an answer")
	}

	report := station.Report{
		Sensor: "0x1", Received: time.Now(), Live: true, Values: map[string]station.Value{"smoke": true},
		Unknown: &station.Sensor{Name: "烟感", Class: station.ClassSmoke, Source: station.SensorSource{Broker: "embedded", Family: "json", Topic: "t"}},
		Signals: []station.Signal{{Kind: station.KindSmoke, Active: true, Field: "smoke", Value: true}},
	}
	if err := n.agent.HandleReport(ctx, report); err != nil {
		t.Fatal(err)
	}
	until("it is heard twice", func() bool { return played() >= 2 })
	_, id := live()
	receipt := n.agent.Handle(ctx, station.Command{ID: station.NewID(), Type: station.CommandAnswerAlarm, Subject: id, Actor: station.System(), Body: []byte(`{"kind":"received"}`)})
	if receipt.Problem != nil {
		t.Fatal(receipt.Problem)
	}
	until("silence", func() bool { return n.sound.State().Playing == nil })
	time.Sleep(500 * time.Millisecond) // what was being written is over
	before := played()
	time.Sleep(3 * time.Second) // more than a phrase and its pause
	if after := played(); after != before {
		t.Errorf("it sounds on after the answer: %d, %d", before, after)
	}
}
