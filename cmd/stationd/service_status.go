package main

import (
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"

	"github.com/kardianos/service"
)

// printStatus tells the truth about the service: a daemon that dies and is
// started again every second is not "running". It returns notRunning unless the
// daemon serves.
func printStatus(s service.Service, out io.Writer) error {
	st, err := askStatus(s)
	if err != nil {
		return serviceProblem("ask for the service's state", err)
	}
	fmt.Fprintln(out, st.text)
	if !st.running {
		return notRunning{st.text}
	}
	return nil
}

// serviceStatus is what the machine's service manager knows of the daemon.
// Between running and stopped lie starting, dying and waiting to be restarted.
type serviceStatus struct {
	installed, running, stopped bool
	text                        string
}

func askStatus(s service.Service) (serviceStatus, error) {
	if s.Platform() == "linux-systemd" {
		// kardianos/service calls "activating" running, the wait before the next
		// attempt included.
		said, err := exec.Command("systemctl", "show", serviceName+".service", "--property="+
			"LoadState,ActiveState,SubState,Result,MainPID,NRestarts,ActiveEnterTimestamp,StatusText,UnitFileState").Output()
		if err != nil {
			return serviceStatus{}, fmt.Errorf("systemctl show: %w", err)
		}
		return readStatus(string(said)), nil
	}
	state, err := s.Status()
	switch {
	case errors.Is(err, service.ErrNotInstalled):
		return serviceStatus{stopped: true, text: "not installed"}, nil
	case err != nil:
		return serviceStatus{}, err
	case state == service.StatusRunning:
		return serviceStatus{installed: true, running: true, text: "running"}, nil
	}
	return serviceStatus{installed: true, stopped: true, text: "stopped"}, nil
}

// readStatus reads the properties that `systemctl show` printed.
func readStatus(shown string) serviceStatus {
	p := map[string]string{}
	for line := range strings.Lines(shown) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		p[key] = value
	}
	st := serviceStatus{installed: p["LoadState"] != "not-found"}
	switch p["ActiveState"] {
	case "active":
		st.running = true
		st.text = fmt.Sprintf("running since %s, pid %s", p["ActiveEnterTimestamp"], p["MainPID"])
	case "activating":
		st.text = "starting"
		if p["SubState"] == "auto-restart" {
			st.text = "died (" + cause(p["Result"]) + ") and will be started again in a moment"
		}
	case "deactivating":
		st.text = "stopping"
		if strings.Contains(p["SubState"], "watchdog") {
			st.text = "hung; being ended by the watchdog"
		}
	case "failed":
		st.stopped = true
		st.text = "failed (" + cause(p["Result"]) + ")"
	case "inactive":
		st.stopped = true
		st.text = "stopped"
	default:
		st.text = p["ActiveState"]
	}
	switch {
	case !st.installed && st.stopped:
		return serviceStatus{stopped: true, text: "not installed"}
	case p["LoadState"] == "masked" || p["LoadState"] == "bad-setting" || p["LoadState"] == "error":
		st.text += "; its unit file is " + p["LoadState"]
	}
	if n := p["NRestarts"]; n != "" && n != "0" {
		st.text += ", restarted " + n + " times"
	}
	if p["UnitFileState"] == "disabled" {
		st.text += "; it does not start with the machine (sudo stationd install)"
	}
	if p["StatusText"] != "" {
		st.text += "\n" + p["StatusText"]
	}
	return st
}

// cause says a unit's Result= in words.
func cause(result string) string {
	switch result {
	case "watchdog":
		return "it hung, and the watchdog ended it"
	case "exit-code":
		return "it ended with an error"
	case "signal", "core-dump":
		return "it was killed or crashed"
	case "oom-kill":
		return "memory ran out"
	case "timeout":
		return "it took too long"
	case "success", "":
		return "it ended by itself"
	}
	return result
}
