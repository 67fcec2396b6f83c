package onvif

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/kerberos-io/onvif/ptz"
	"github.com/kerberos-io/onvif/xsd"
	lib "github.com/kerberos-io/onvif/xsd/onvif"

	"stationd/agent/station"
)

// Velocity is how fast a camera turns and zooms, -1 to 1 each: to the right, up and
// closer are positive.
type Velocity struct {
	Pan  float64 `json:"pan"`
	Tilt float64 `json:"tilt"`
	Zoom float64 `json:"zoom"`
}

func (v Velocity) still() bool { return v == Velocity{} }

// Preset is a place that a camera knows.
type Preset struct {
	Token string `json:"token"`
	Name  string `json:"name,omitempty"`
}

// continuousMove is written here: the library leaves out a coordinate that is zero,
// which the schema asks for.
type continuousMove struct {
	XMLName      string `xml:"tptz:ContinuousMove"`
	ProfileToken string `xml:"tptz:ProfileToken"`
	PanTilt      *axes  `xml:"tptz:Velocity>onvif:PanTilt"`
	Zoom         *axis  `xml:"tptz:Velocity>onvif:Zoom"`
	Timeout      string `xml:"tptz:Timeout,omitempty"`
}

type axes struct {
	X string `xml:"x,attr"`
	Y string `xml:"y,attr"`
}

type axis struct {
	X string `xml:"x,attr"`
}

// Move makes the camera turn and zoom, for at most as long as given: the device
// stops by itself then, whatever has become of us. A device that cannot do that is
// asked without a limit.
func (c *Client) Move(ctx context.Context, profile string, v Velocity, most time.Duration) error {
	num := func(x float64) string { return strconv.FormatFloat(max(-1, min(1, x)), 'f', 2, 64) }
	move := continuousMove{ProfileToken: profile, Timeout: fmt.Sprintf("PT%.1fS", most.Seconds())}
	if v.Pan != 0 || v.Tilt != 0 || v.Zoom == 0 {
		move.PanTilt = &axes{num(v.Pan), num(v.Tilt)}
	}
	if v.Zoom != 0 {
		move.Zoom = &axis{num(v.Zoom)}
	}
	c.mu.Lock()
	if c.noLimit {
		move.Timeout = ""
	}
	c.mu.Unlock()
	err := c.call(ctx, nsPTZ, move, nil)
	if p, ok := station.AsProblem(err); ok && p.Code == "onvif.fault" && move.Timeout != "" {
		move.Timeout = ""
		if err = c.call(ctx, nsPTZ, move, nil); err == nil {
			c.mu.Lock()
			c.noLimit = true
			c.mu.Unlock()
		}
	}
	return err
}

// Stop stops every movement.
func (c *Client) Stop(ctx context.Context, profile string) error {
	return c.call(ctx, nsPTZ, ptz.Stop{ProfileToken: lib.ReferenceToken(profile), PanTilt: true, Zoom: true}, nil)
}

// maxPresets bounds how many presets are listed; devices have up to 300.
const maxPresets = 400

// Presets lists the places that the camera knows.
func (c *Client) Presets(ctx context.Context, profile string) ([]Preset, error) {
	var reply struct {
		Preset []struct {
			Token string `xml:"token,attr"`
			Name  string
		}
	}
	if err := c.call(ctx, nsPTZ, ptz.GetPresets{ProfileToken: lib.ReferenceToken(profile)}, &reply); err != nil {
		return nil, err
	}
	out := []Preset{}
	for _, p := range reply.Preset[:min(len(reply.Preset), maxPresets)] {
		if p.Token != "" {
			out = append(out, Preset{Token: p.Token, Name: plainText(p.Name)})
		}
	}
	return out, nil
}

// GoTo turns the camera to a preset.
func (c *Client) GoTo(ctx context.Context, profile, preset string) error {
	p, t := lib.ReferenceToken(profile), lib.ReferenceToken(preset)
	return c.call(ctx, nsPTZ, ptz.GotoPreset{ProfileToken: &p, PresetToken: &t}, nil)
}

// SetPreset keeps where the camera looks now, under a name.
func (c *Client) SetPreset(ctx context.Context, profile, name string) (Preset, error) {
	var reply struct {
		Token string `xml:"PresetToken"`
	}
	p, n := lib.ReferenceToken(profile), xsd.String(name)
	if err := c.call(ctx, nsPTZ, ptz.SetPreset{ProfileToken: &p, PresetName: &n}, &reply); err != nil {
		return Preset{}, err
	}
	if reply.Token = strings.TrimSpace(reply.Token); reply.Token == "" {
		return Preset{}, station.Errorf(502, "onvif.answer", "look at the list of its places", "the device does not tell what it has kept")
	}
	return Preset{Token: reply.Token, Name: name}, nil
}

// RemovePreset lets the camera forget a place.
func (c *Client) RemovePreset(ctx context.Context, profile, preset string) error {
	return c.call(ctx, nsPTZ, ptz.RemovePreset{ProfileToken: lib.ReferenceToken(profile), PresetToken: lib.ReferenceToken(preset)}, nil)
}
