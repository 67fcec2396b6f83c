package agent_test

import (
	"strings"
	"testing"

	"stationd/agent/station"
)

func TestCameraStreamsAreChecked(t *testing.T) {
	r := newRig(t)
	print := strings.Repeat("0A:", 31) + "ff"
	for name, c := range map[string]struct {
		change func(*station.Camera)
		place  string // of the fault, "" for none
	}{
		"two streams":              {func(c *station.Camera) { c.Sub = "rtsp://10.0.0.9/sub"; c.RecordSub = true }, ""},
		"encrypted and pinned":     {func(c *station.Camera) { c.URL, c.Fingerprint = "rtsps://10.0.0.9/x", print }, ""},
		"automatic":                {func(c *station.Camera) { c.Transport = station.TransportAuto }, ""},
		"another scheme":           {func(c *station.Camera) { c.URL = "http://10.0.0.9/x" }, "url"},
		"a sub-stream elsewhere":   {func(c *station.Camera) { c.Sub = "rtsp://10.0.0.8/sub" }, "sub"},
		"at another port":          {func(c *station.Camera) { c.Sub = "rtsp://10.0.0.9:8554/sub" }, "sub"},
		"in the clear":             {func(c *station.Camera) { c.URL, c.Sub = "rtsps://10.0.0.9/x", "rtsp://10.0.0.9/sub" }, "sub"},
		"of another account":       {func(c *station.Camera) { c.Sub = "rtsp://eve:x@10.0.0.9/sub" }, "sub"},
		"a transport of fancy":     {func(c *station.Camera) { c.Transport = "quic" }, "transport"},
		"encrypted over UDP":       {func(c *station.Camera) { c.URL, c.Transport = "rtsps://10.0.0.9/x", station.TransportUDP }, "transport"},
		"half a fingerprint":       {func(c *station.Camera) { c.URL, c.Fingerprint = "rtsps://10.0.0.9/x", "0a:0b" }, "fingerprint"},
		"a fingerprint of nothing": {func(c *station.Camera) { c.Fingerprint = print }, "fingerprint"},
		"no sub-stream to record":  {func(c *station.Camera) { c.RecordSub = true }, "recordSub"},
	} {
		cam := station.Camera{ID: "c1", Name: "走廊", URL: "rtsp://10.0.0.9/x"}
		c.change(&cam)
		rec := r.do(station.CommandPutCamera, "c1", station.CameraOrder{Camera: cam})
		switch {
		case c.place == "" && rec.Problem != nil:
			t.Errorf("%s: %+v", name, rec.Problem)
		case c.place != "" && (rec.Problem == nil || rec.Problem.Place != c.place || rec.Problem.Hint == ""):
			t.Errorf("%s: %+v, want a fault at %s", name, rec.Problem, c.place)
		}
	}
}
