package probe

import (
	"strconv"
	"time"

	"stationd/agent/station"
	"stationd/video/stream"
)

// measure is what was seen of one stream.
type measure struct {
	// code and cause are why there was no picture; empty where there was one.
	code, cause string
	status      station.CameraStatus
	skipped     bool // it was not looked at

	codec, sound  string
	width, height int
	bFrames       bool
	pictures      int
	damaged       int
	keys          int
	bytes         int
	span          time.Duration // from the first picture to the last
	gop           time.Duration // the longest between two key pictures
	atLeast       bool          // … and it may be longer
	transport     station.Transport
	clock         time.Duration
}

func (m measure) rate() float64 {
	if m.span <= 0 {
		return 0
	}
	return float64(m.pictures-1) / m.span.Seconds()
}

func (m measure) bits() float64 {
	if m.span <= 0 {
		return 0
	}
	return float64(m.bytes) * 8 / m.span.Seconds()
}

// state is the measure as it is told.
func (m measure) state() *station.StreamState {
	st := &station.StreamState{
		Status: station.CameraOnline, Codec: m.codec, Width: m.width, Height: m.height, BFrames: m.bFrames, Sound: m.sound, Transport: m.transport, ClockOffset: m.clock,
		Rate: station.StreamRate{Bits: int64(m.bits()), Pictures: float64(int(m.rate()*10)) / 10, KeyDistance: m.gop.Round(10 * time.Millisecond)},
	}
	if m.code != "" {
		st.Status, st.Cause = m.status, m.cause
		if st.Status == "" {
			st.Status = station.CameraOffline
		}
	}
	return st
}

// The bounds beyond which a setting is worth a word.
const (
	longGOP     = 4 * time.Second // a new viewer waits for half of it, a clip begins as much too early
	tooLongGOP  = 10 * time.Second
	slowMain    = 12.0 // pictures a second
	highMain    = 8e6  // bits a second: sixteen of them fill a disk and a line
	highSub     = 1.5e6
	largeSub    = 1280 * 720
	offClock    = 3 * time.Second
	farOffClock = time.Minute
)

// judge says what the measures mean for the station.
func judge(c station.Camera, main, sub measure) []station.Finding {
	out := judgeStream("main", c, main)
	hasSub := c.Sub != "" && sub.code == "" && !sub.skipped
	if c.Sub != "" && !sub.skipped {
		out = append(out, judgeStream("sub", c, sub)...)
	}
	if main.code != "" {
		return out
	}
	switch {
	case c.Sub == "":
		out = append(out, found("sub.none", station.FindingWarn, "sub", nil))
	case hasSub && sub.width*sub.height > largeSub:
		out = append(out, found("sub.large", station.FindingWarn, "sub", map[string]string{"width": strconv.Itoa(sub.width), "height": strconv.Itoa(sub.height)}))
	}
	if main.codec == stream.H265 {
		if hasSub && sub.codec == stream.H264 && !sub.bFrames {
			out = append(out, found("stream.h265", station.FindingInfo, "main", nil))
		} else {
			out = append(out, found("stream.h265-only", station.FindingBad, "main", nil))
		}
	}
	if main.bFrames && hasSub && sub.codec == stream.H264 && !sub.bFrames {
		for i := range out { // it is shown by the other one
			if out[i].Code == "stream.b-frames" && out[i].Stream == "main" {
				out[i].Severity = station.FindingWarn
			}
		}
	}
	if off := main.clock; off.Abs() >= offClock {
		out = append(out, clockOff(off, "main"))
	}
	return out
}

func clockOff(off time.Duration, where string) station.Finding {
	severity := station.FindingWarn
	if off.Abs() >= farOffClock {
		severity = station.FindingBad
	}
	return found("clock.off", severity, where, map[string]string{"offset": off.Round(time.Second).String()})
}

func judgeStream(name string, c station.Camera, m measure) []station.Finding {
	if m.code != "" {
		f := found("camera."+m.code, station.FindingBad, name, map[string]string{"cause": m.cause})
		if f.Code == "camera.failed" || f.Code == "camera.format" || f.Code == "camera.certificate" {
			f.Message = m.cause
		}
		return []station.Finding{f}
	}
	seconds := strconv.FormatFloat(m.gop.Seconds(), 'f', 1, 64)
	args := map[string]string{
		"codec": m.codec, "width": strconv.Itoa(m.width), "height": strconv.Itoa(m.height), "rate": strconv.FormatFloat(m.rate(), 'f', 0, 64),
		"kbps": strconv.Itoa(int(m.bits() / 1000)), "gop": seconds, "sound": m.sound,
	}
	out := []station.Finding{found("stream.ok", station.FindingOK, name, args)}
	add := func(code string, severity station.FindingSeverity) {
		out = append(out, found(code, severity, name, args))
	}
	if m.bFrames {
		add("stream.b-frames", station.FindingBad)
	}
	switch {
	case m.gop > tooLongGOP:
		add("stream.gop", station.FindingBad)
	case m.gop > longGOP || m.atLeast && m.gop > longGOP-time.Second:
		add("stream.gop", station.FindingWarn)
	}
	if r := m.rate(); name == "main" && r > 0 && r < slowMain {
		add("stream.slow", station.FindingWarn)
	}
	if b := m.bits(); name == "main" && b > highMain || name == "sub" && b > highSub {
		add("stream.bits", station.FindingWarn)
	}
	if m.sound == stream.AAC {
		add("sound.aac", station.FindingInfo)
	}
	if c.Transport == station.TransportAuto && m.transport == station.TransportTCP {
		add("udp.blocked", station.FindingInfo)
	}
	if m.pictures > 20 && m.damaged*20 > m.pictures {
		add("stream.loss", station.FindingWarn)
	}
	return out
}
