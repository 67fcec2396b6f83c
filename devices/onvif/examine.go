package onvif

import (
	"context"
	"time"

	"stationd/agent/station"
)

// offClock is how far a device's clock may be off without a word.
const offClock = 3 * time.Second

// Examine tells an installer what a camera's ONVIF side is like.
func (s *Set) Examine(ctx context.Context, c station.Camera, password station.Secret) []station.Finding {
	d, err := s.Describe(ctx, Login{URL: c.ONVIF, Username: c.Username, Password: password, Fingerprint: c.Fingerprint})
	if err != nil {
		p, ok := station.AsProblem(err)
		if !ok {
			return nil
		}
		severity := station.FindingWarn // the pictures do not need it
		if p.Code == errDenied.Code {
			severity = station.FindingBad
		}
		return []station.Finding{{Code: p.Code, Severity: severity, Stream: "onvif", Message: p.Message, Hint: p.Hint}}
	}
	out := []station.Finding{{
		Code: "onvif.ok", Severity: station.FindingOK, Stream: "onvif", Message: "ONVIF: " + d.Maker + " " + d.Model + ", firmware " + d.Firmware,
		Args: map[string]string{"maker": d.Maker, "model": d.Model, "firmware": d.Firmware, "serial": d.Serial},
	}}
	if d.ClockOffset != nil && d.ClockOffset.Abs() >= offClock {
		off := d.ClockOffset.Round(time.Second).String()
		severity := station.FindingWarn
		if d.ClockOffset.Abs() >= time.Minute {
			severity = station.FindingBad
		}
		out = append(out, station.Finding{
			Code: "clock.off", Severity: severity, Stream: "onvif", Message: "the camera's clock is off by " + off,
			Hint: "let it take the time from the station or the network (NTP), and set its time zone", Args: map[string]string{"offset": off},
		})
	}
	known := map[string]bool{}
	for _, p := range d.Profiles {
		known[p.Token] = true
	}
	for _, token := range []string{c.Profile, c.SubProfile} {
		if token != "" && !known[token] {
			out = append(out, station.Finding{
				Code: "onvif.profile", Severity: station.FindingWarn, Stream: "onvif", Message: "the camera no longer has the media profile " + plainText(token),
				Hint: "look for the camera again and choose one of its profiles", Args: map[string]string{"profile": plainText(token)},
			})
		}
	}
	return out
}
