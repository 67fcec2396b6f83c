package onviftest

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// answer is the body of the reply to one operation, or the code of a fault.
func (d *Device) answer(r *http.Request, op node, q Quirks) (reply, fault string) {
	newer := op.XMLName.Space == "http://www.onvif.org/ver20/media/wsdl"
	if newer && q.OldOnly {
		return "", "ActionNotSupported"
	}
	switch op.XMLName.Local {
	case "GetSystemDateAndTime":
		t := time.Now().Add(q.ClockOffset).UTC()
		return fmt.Sprintf(`<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime><tt:DateTimeType>NTP</tt:DateTimeType><tt:UTCDateTime>`+
			`<tt:Time><tt:Hour>%d</tt:Hour><tt:Minute>%d</tt:Minute><tt:Second>%d</tt:Second></tt:Time>`+
			`<tt:Date><tt:Year>%d</tt:Year><tt:Month>%d</tt:Month><tt:Day>%d</tt:Day></tt:Date></tt:UTCDateTime></tds:SystemDateAndTime></tds:GetSystemDateAndTimeResponse>`,
			t.Hour(), t.Minute(), t.Second(), t.Year(), t.Month(), t.Day()), ""
	case "GetServices":
		if q.OldOnly {
			return "", "ActionNotSupported"
		}
		var b strings.Builder
		for ns, path := range d.services() {
			fmt.Fprintf(&b, `<tds:Service><tds:Namespace>%s</tds:Namespace><tds:XAddr>%s</tds:XAddr></tds:Service>`, ns, d.here(r, q, path))
		}
		return `<tds:GetServicesResponse>` + b.String() + `</tds:GetServicesResponse>`, ""
	case "GetCapabilities":
		var ptz string
		if d.HasPTZ {
			ptz = `<tt:PTZ><tt:XAddr>` + d.here(r, q, "/onvif/ptz") + `</tt:XAddr></tt:PTZ>`
		}
		return `<tds:GetCapabilitiesResponse><tds:Capabilities><tt:Media><tt:XAddr>` + d.here(r, q, "/onvif/media") + `</tt:XAddr></tt:Media>` + ptz +
			`<tt:Events><tt:XAddr>` + d.here(r, q, "/onvif/events") + `</tt:XAddr></tt:Events></tds:Capabilities></tds:GetCapabilitiesResponse>`, ""
	case "GetDeviceInformation":
		return fmt.Sprintf(`<tds:GetDeviceInformationResponse><tds:Manufacturer>%s</tds:Manufacturer><tds:Model>%s</tds:Model><tds:FirmwareVersion>%s</tds:FirmwareVersion><tds:SerialNumber>%s</tds:SerialNumber></tds:GetDeviceInformationResponse>`,
			escape(d.Maker), escape(d.Model), escape(d.Firmware), escape(d.Serial)), ""
	case "GetProfiles":
		return d.profiles(newer), ""
	case "GetStreamUri":
		p, ok := d.profile(op)
		if !ok {
			return "", "NoProfile"
		}
		return uri("GetStreamUri", newer, withHost(p.URL, q.Host)), ""
	case "GetSnapshotUri":
		if _, ok := d.profile(op); !ok {
			return "", "NoProfile"
		}
		return uri("GetSnapshotUri", newer, d.here(r, q, "/snapshot")), ""
	case "SetSynchronizationPoint":
		if op.XMLName.Space == "http://www.onvif.org/ver10/events/wsdl" {
			return d.syncEvents(r)
		}
		if _, ok := d.profile(op); !ok {
			return "", "NoProfile"
		}
		d.mu.Lock()
		d.keys = append(d.keys, time.Now())
		d.mu.Unlock()
		return `<trt:SetSynchronizationPointResponse/>`, ""
	case "CreatePullPointSubscription", "PullMessages", "Renew", "Unsubscribe":
		return d.answerEvents(r, op, q)
	case "ContinuousMove", "Stop", "GetPresets", "GotoPreset", "SetPreset", "RemovePreset":
		if !d.HasPTZ {
			return "", "ActionNotSupported"
		}
		if _, ok := d.profile(op); !ok {
			return "", "NoProfile"
		}
		return d.answerHead(op, q)
	}
	return "", "ActionNotSupported"
}

func (d *Device) services() map[string]string {
	all := map[string]string{
		"http://www.onvif.org/ver10/device/wsdl": "/onvif/device_service", "http://www.onvif.org/ver10/media/wsdl": "/onvif/media",
		"http://www.onvif.org/ver20/media/wsdl": "/onvif/media2", "http://www.onvif.org/ver10/events/wsdl": "/onvif/events",
	}
	if d.HasPTZ {
		all["http://www.onvif.org/ver20/ptz/wsdl"] = "/onvif/ptz"
	}
	return all
}

func (d *Device) here(r *http.Request, q Quirks, path string) string {
	return withHost("http://"+r.Host+path, q.Host)
}

// withHost puts another host into an address; the port stays.
func withHost(address, host string) string {
	u, err := url.Parse(address)
	if err != nil || host == "" {
		return escape(address)
	}
	if port := u.Port(); port != "" {
		host += ":" + port
	}
	u.Host = host
	return escape(u.String())
}

func uri(op string, newer bool, address string) string {
	if newer {
		return `<tr2:` + op + `Response><tr2:Uri>` + address + `</tr2:Uri></tr2:` + op + `Response>`
	}
	return `<trt:` + op + `Response><trt:MediaUri><tt:Uri>` + address + `</tt:Uri><tt:InvalidAfterConnect>false</tt:InvalidAfterConnect></trt:MediaUri></trt:` + op + `Response>`
}

func (d *Device) profile(op node) (Profile, bool) {
	token := strings.TrimSpace(op.find("ProfileToken").Text)
	for _, p := range d.Profiles {
		if p.Token == token {
			return p, true
		}
	}
	return Profile{}, false
}

func (d *Device) profiles(newer bool) string {
	var b strings.Builder
	for _, p := range d.Profiles {
		if newer {
			fmt.Fprintf(&b, `<tr2:Profiles token="%s"><tr2:Name>%s</tr2:Name><tr2:Configurations><tr2:VideoSource token="cfg-%s"><tt:SourceToken>%s</tt:SourceToken></tr2:VideoSource>`+
				`<tr2:VideoEncoder token="enc-%s" GovLength="%d"><tt:Encoding>%s</tt:Encoding><tt:Resolution><tt:Width>%d</tt:Width><tt:Height>%d</tt:Height></tt:Resolution>`+
				`<tt:RateControl><tt:FrameRateLimit>%d.0</tt:FrameRateLimit><tt:BitrateLimit>%d</tt:BitrateLimit></tt:RateControl></tr2:VideoEncoder>`,
				p.Token, escape(p.Name), p.Source, p.Source, p.Token, p.GOP, p.Encoding, p.Width, p.Height, p.FrameRate, p.Kbps)
			if p.Audio != "" {
				fmt.Fprintf(&b, `<tr2:AudioEncoder><tt:Encoding>%s</tt:Encoding></tr2:AudioEncoder>`, p.Audio)
			}
			if d.HasPTZ {
				b.WriteString(`<tr2:PTZ token="ptz"/>`)
			}
			b.WriteString(`</tr2:Configurations></tr2:Profiles>`)
			continue
		}
		if p.Encoding == "H265" {
			continue // the older service cannot say it
		}
		fmt.Fprintf(&b, `<trt:Profiles token="%s"><tt:Name>%s</tt:Name><tt:VideoSourceConfiguration token="cfg-%s"><tt:SourceToken>%s</tt:SourceToken></tt:VideoSourceConfiguration>`+
			`<tt:VideoEncoderConfiguration token="enc-%s"><tt:Encoding>%s</tt:Encoding><tt:Resolution><tt:Width>%d</tt:Width><tt:Height>%d</tt:Height></tt:Resolution>`+
			`<tt:RateControl><tt:FrameRateLimit>%d</tt:FrameRateLimit><tt:BitrateLimit>%d</tt:BitrateLimit></tt:RateControl><tt:H264><tt:GovLength>%d</tt:GovLength></tt:H264></tt:VideoEncoderConfiguration>`,
			p.Token, escape(p.Name), p.Source, p.Source, p.Token, p.Encoding, p.Width, p.Height, p.FrameRate, p.Kbps, p.GOP)
		if d.HasPTZ {
			b.WriteString(`<tt:PTZConfiguration token="ptz"/>`)
		}
		b.WriteString(`</trt:Profiles>`)
	}
	if newer {
		return `<tr2:GetProfilesResponse>` + b.String() + `</tr2:GetProfilesResponse>`
	}
	return `<trt:GetProfilesResponse>` + b.String() + `</trt:GetProfilesResponse>`
}
