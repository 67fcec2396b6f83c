package probe_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/video/probe"
	"stationd/video/stream"
)

// Each setting that an installer can get wrong is named, and a good one is not.
func TestJudge(t *testing.T) {
	good := probe.Seen{Codec: stream.H264, Width: 1920, Height: 1080, Rate: 25, Bits: 4e6, GOP: 2 * time.Second, Sound: stream.PCMA}
	small := probe.Seen{Codec: stream.H264, Width: 640, Height: 360, Rate: 15, Bits: 5e5, GOP: 2 * time.Second}
	both := station.Camera{URL: "rtsp://a/m", Sub: "rtsp://a/s"}
	with := func(s probe.Seen, change func(*probe.Seen)) probe.Seen { change(&s); return s }
	for name, c := range map[string]struct {
		camera station.Camera
		main   probe.Seen
		sub    *probe.Seen
		want   []string // beside stream.ok
	}{
		"good":                  {both, good, &small, nil},
		"no sub-stream":         {station.Camera{URL: "rtsp://a/m"}, good, nil, []string{"sub.none"}},
		"a long GOP":            {both, with(good, func(s *probe.Seen) { s.GOP = 5 * time.Second }), &small, []string{"stream.gop"}},
		"a GOP without end":     {both, with(good, func(s *probe.Seen) { s.GOP, s.AtLeast = 4*time.Second, true }), &small, []string{"stream.gop"}},
		"B-frames":              {both, with(good, func(s *probe.Seen) { s.BFrames = true }), &small, []string{"stream.b-frames"}},
		"H.265 and H.264":       {both, with(good, func(s *probe.Seen) { s.Codec = stream.H265 }), &small, []string{"stream.h265"}},
		"H.265 alone":           {station.Camera{URL: "rtsp://a/m"}, with(good, func(s *probe.Seen) { s.Codec = stream.H265 }), nil, []string{"sub.none", "stream.h265-only"}},
		"AAC":                   {both, with(good, func(s *probe.Seen) { s.Sound = stream.AAC }), &small, []string{"sound.aac"}},
		"slow":                  {both, with(good, func(s *probe.Seen) { s.Rate = 6 }), &small, []string{"stream.slow"}},
		"much":                  {both, with(good, func(s *probe.Seen) { s.Bits = 1.6e7 }), &small, []string{"stream.bits"}},
		"a large sub-stream":    {both, good, &good, []string{"stream.bits", "sub.large"}},
		"a clock of years ago":  {both, with(good, func(s *probe.Seen) { s.Clock = -3 * 365 * 24 * time.Hour }), &small, []string{"clock.off"}},
		"loss":                  {both, with(good, func(s *probe.Seen) { s.Damaged = 60 }), &small, []string{"stream.loss"}},
		"TCP where UDP was let": {station.Camera{URL: "rtsp://a/m", Sub: "rtsp://a/s", Transport: station.TransportAuto}, with(good, func(s *probe.Seen) { s.Transport = station.TransportTCP }), &small, []string{"udp.blocked"}},
	} {
		var got []string
		for _, f := range probe.Judge(c.camera, c.main, c.sub) {
			if f.Code != "stream.ok" {
				got = append(got, f.Code)
			}
			if strings.ContainsAny(f.Message, "{}") || f.Message == "" {
				t.Errorf("%s: %+v", name, f)
			}
		}
		slices.Sort(got)
		slices.Sort(c.want)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// The console has Chinese and English words for every finding.
func TestTheConsoleKnowsEveryFinding(t *testing.T) {
	words, err := os.ReadFile("../../agent/console/web/words/probe.js")
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range probe.Sentences() {
		if !strings.Contains(string(words), "'finding."+code+"'") {
			t.Errorf("agent/console/web/words/probe.js has no words for %s", code)
		}
	}
}
