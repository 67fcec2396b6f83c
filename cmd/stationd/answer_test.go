package main

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"stationd/agent/station"
)

// A whole station: an alarm goes out as a message, its link is opened in a browser
// without an account, and the button answers in the contact's name.
func TestAnswerFromATelephone(t *testing.T) {
	type hook struct {
		Type, Link string
	}
	got := make(chan hook, 10)
	platform := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var h hook
		if err := json.NewDecoder(r.Body).Decode(&h); err == nil {
			got <- h
		}
	}))
	defer platform.Close()

	cfg := demoConfig(filepath.Join(t.TempDir(), "data"), "village-6", "示范村工作站", 0)
	cfg.Devices.Broker.Listen, cfg.Console.Listen = "127.0.0.1:0", "127.0.0.1:0"
	cfg.Station.AnswerURL = "https://station-6.example.org"
	cfg.settle()
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(cfg.Console.Hosts, "station-6.example.org") {
		t.Fatal("the console does not know the name that its links have")
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
	if err := n.awaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	order := func(kind, subject string, body any) {
		t.Helper()
		raw, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		if r := n.agent.Handle(ctx, station.Command{ID: station.NewID(), Type: kind, Subject: subject, Actor: station.System(), Body: raw}); r.Problem != nil {
			t.Fatal(r.Problem)
		}
	}
	order(station.CommandPutDuty, "", station.Duty{Escalate: station.DefaultDuty().Escalate, ParentSeconds: 60})
	order(station.CommandPutChannel, "hook", station.Channel{ID: "hook", Name: "平台", Kind: station.ChannelWebhook, URL: platform.URL})
	order(station.CommandPutContact, "zhang", station.Contact{ID: "zhang", Name: "张三", WaitSeconds: 600, Channels: []station.Way{{Channel: "hook"}}})
	report := station.Report{
		Sensor: "0x1", Received: time.Now(), Live: true, Values: map[string]station.Value{"smoke": true},
		Unknown: &station.Sensor{Name: "烟感", Place: "3号楼", Class: station.ClassSmoke, Source: station.SensorSource{Broker: "embedded", Family: "json", Topic: "t"}},
		Signals: []station.Signal{{Kind: station.KindSmoke, Active: true, Field: "smoke", Value: true}},
	}
	if err := n.agent.HandleReport(ctx, report); err != nil {
		t.Fatal(err)
	}
	var message hook
	select {
	case message = <-got:
	case <-time.After(30 * time.Second):
		t.Fatal("no message")
	}
	path, ok := strings.CutPrefix(message.Link, "https://station-6.example.org")
	if message.Type != "alarm" || !ok {
		t.Fatalf("%+v", message)
	}

	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	ask := func(method, path string, header ...string) (int, http.Header, string) {
		t.Helper()
		req, err := http.NewRequest(method, n.console.URL()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "station-6.example.org" // as the proxy passes it on
		for i := 0; i+1 < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, resp.Header, string(b)
	}
	live := func() station.Alarm {
		t.Helper()
		list, err := n.agent.LiveAlarms()
		if err != nil || len(list) != 1 {
			t.Fatalf("%+v %v", list, err)
		}
		return list[0]
	}
	code, header, text := ask("GET", path)
	if code != 200 || !strings.Contains(text, "烟感报警") || !strings.Contains(text, "3号楼") || !strings.HasPrefix(header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Fatalf("%d %v %s", code, header, text)
	}
	if code, _, _ := ask("POST", path, "Origin", "https://elsewhere.example.org", "Sec-Fetch-Site", "cross-site"); code != http.StatusForbidden {
		t.Errorf("another site may press the button: %d", code)
	}
	if code, _, _ := ask("POST", path[:len(path)-2]+"xx"); code != http.StatusNotFound {
		t.Errorf("a changed link: %d", code)
	}
	if al := live(); al.Answered() {
		t.Fatal("answered without the button")
	}
	if code, _, text := ask("POST", path, "Origin", "https://station-6.example.org"); code != 200 || !strings.Contains(text, "已记下") {
		t.Fatalf("%d %s", code, text)
	}
	if al := live(); len(al.Answers) != 1 || al.Answers[0].Name != "张三" || al.Answers[0].By != "contact:zhang" {
		t.Errorf("%+v", al.Answers)
	}
	view, err := n.agent.Response(live().ID)
	if err != nil || len(view.Tellings) != 1 || view.Tellings[0].State != "answered" {
		t.Errorf("%+v %v", view, err)
	}
	if code, _, _ := ask("GET", "/api/v1/contacts"); code != http.StatusUnauthorized {
		t.Errorf("a link opens more than its page: %d", code)
	}
}
