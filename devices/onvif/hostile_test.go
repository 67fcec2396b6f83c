package onvif_test

import (
	"bytes"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"stationd/devices/onvif"
	"stationd/devices/onvif/onviftest"
)

const wrap = `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:tt="t" xmlns:wsnt="w"><s:Body>`

// hostile are answers that are made to do harm.
func hostile() map[string]string {
	deep := strings.Repeat("<a>", 100_000)
	return map[string]string{
		"entities":      `<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>` + wrap + `<x>&c;</x></s:Body></s:Envelope>`,
		"a file":        `<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>` + wrap + `<r><Profiles token="a"><Name>&f;</Name></Profiles></r></s:Body></s:Envelope>`,
		"deep":          wrap + deep,
		"deep profiles": wrap + `<r>` + strings.Repeat(`<Profiles token="x">`, 20_000),
		"many profiles": wrap + `<r>` + strings.Repeat(`<Profiles token="x"><Name>n</Name></Profiles>`, 30_000) + `</r></s:Body></s:Envelope>`,
		"many events":   wrap + `<r>` + strings.Repeat(`<NotificationMessage><Topic>VideoSource/MotionAlarm</Topic><Message><Message><Data><SimpleItem Name="State" Value="true"/></Data></Message></Message></NotificationMessage>`, 10_000) + `</r></s:Body></s:Envelope>`,
		"numbers":       wrap + `<r><Profiles token="x"><VideoEncoderConfiguration><Resolution><Width>99999999999999999999</Width><Height>-1</Height></Resolution><RateControl><FrameRateLimit>NaN</FrameRateLimit></RateControl></VideoEncoderConfiguration></Profiles></r></s:Body></s:Envelope>`,
		"attributes":    wrap + `<r ` + strings.Repeat(`a="b" `, 50_000) + `/></s:Body></s:Envelope>`,
		"control":       wrap + "<s:Fault><s:Reason><s:Text>\x1b[31m\u202edenied</s:Text></s:Reason></s:Fault></s:Body></s:Envelope>",
		"encoding":      `<?xml version="1.0" encoding="utf-7"?>` + wrap,
		"no end":        wrap + `<r><Profiles`,
	}
}

// A hostile answer is refused or read within bounds: no crash, no growth.
func TestHostileAnswers(t *testing.T) {
	for name, answer := range hostile() {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			began := time.Now()
			profiles, err := onvif.ReadProfiles([]byte(answer))
			if _, eventErr := onvif.ReadEvents([]byte(answer)); (name == "entities" || name == "a file") && (err == nil || eventErr == nil) {
				t.Error("a document type was let in")
			}
			runtime.ReadMemStats(&after)
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 400<<20 {
				t.Errorf("%d MB for %d bytes", grown>>20, len(answer))
			}
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("it took %s", took)
			}
			for _, p := range profiles {
				if p.Width < 0 || p.Height < 0 || !(p.FrameRate >= 0) {
					t.Errorf("%+v", p)
				}
			}
			if err != nil && strings.ContainsAny(err.Error(), "\x1b\u202e") {
				t.Errorf("it is told as %q", err)
			}

			dev := camera(t)
			dev.Set(onviftest.Quirks{Garbage: answer})
			cfg := config()
			cfg.Timeout = 2 * time.Second
			if _, err := onvif.Dial(t.Context(), cfg, login(dev)); err == nil && name != "numbers" && name != "many profiles" && name != "many events" && name != "attributes" && name != "control" {
				t.Error("it was taken for a device")
			}
		})
	}
}

// What is not an answer to a search is nobody's.
func TestSearch(t *testing.T) {
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	cam := camera(t)
	cam.Set(onviftest.Quirks{Host: "192.168.1.64"})
	nvr := start(t, onviftest.NewRecorder(8, func(int, bool) string { return mainURL }))
	for _, d := range []*onviftest.Device{cam, nvr} {
		if err := d.Answer(lo); err != nil {
			t.Fatal(err)
		}
	}
	cfg := config()
	cfg.Interface, cfg.DiscoverFor = "lo", time.Second
	list, err := onvif.Discover(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ours := map[string]onvif.Found{}
	for _, f := range list {
		ours[f.Name] = f
	}
	if f := ours["南门球机"]; f.Address != cam.URL() || f.Model != "TC-200" || f.Place != "南门" || f.Recorder {
		t.Errorf("the camera is found as %+v", f)
	}
	if f := ours["值班室录像机"]; f.Address != nvr.URL() || !f.Recorder {
		t.Errorf("the recorder is found as %+v", f)
	}
	cfg.Interface = "no-such0"
	if _, err := onvif.Discover(t.Context(), cfg); code(err) != "onvif.interface" {
		t.Errorf("%v", err)
	}
}

func FuzzProfiles(f *testing.F) {
	f.Add([]byte(wrap + `<r><Profiles token="main"><Name>主</Name><VideoSourceConfiguration token="v"><SourceToken>s</SourceToken></VideoSourceConfiguration><VideoEncoderConfiguration><Encoding>H264</Encoding><Resolution><Width>1920</Width><Height>1080</Height></Resolution><H264><GovLength>50</GovLength></H264></VideoEncoderConfiguration></Profiles></r></s:Body></s:Envelope>`))
	f.Add([]byte(wrap + `<r><Profiles token="m"><Configurations><VideoEncoder GovLength="50"><Encoding>H265</Encoding></VideoEncoder><PTZ/></Configurations></Profiles></r></s:Body></s:Envelope>`))
	f.Add([]byte(`<?xml version="1.0" encoding="gb2312"?>` + wrap + "<r><Profiles token='x'><Name>\xc4\xcf\xc3\xc5</Name></Profiles></r></s:Body></s:Envelope>"))
	f.Add([]byte(wrap + `<s:Fault><s:Code><s:Subcode><s:Value>ter:NotAuthorized</s:Value></s:Subcode></s:Code></s:Fault></s:Body></s:Envelope>`))
	for _, answer := range hostile() {
		if len(answer) < 2000 {
			f.Add([]byte(answer))
		}
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		list, _ := onvif.ReadProfiles(answer)
		for _, p := range list {
			if p.Width < 0 || p.Height < 0 || p.GOP < 0 || p.BitRate < 0 || !(p.FrameRate >= 0) {
				t.Errorf("%+v", p)
			}
		}
	})
}

func FuzzEvents(f *testing.F) {
	f.Add([]byte(wrap + `<r><wsnt:NotificationMessage><wsnt:Topic>tns1:RuleEngine/CellMotionDetector/Motion</wsnt:Topic><wsnt:Message><tt:Message UtcTime="2026-12-01T08:00:00Z" PropertyOperation="Changed"><tt:Source><tt:SimpleItem Name="Source" Value="s"/></tt:Source><tt:Data><tt:SimpleItem Name="IsMotion" Value="true"/></tt:Data></tt:Message></wsnt:Message></wsnt:NotificationMessage></r></s:Body></s:Envelope>`))
	f.Add([]byte(wrap + `<r><wsnt:NotificationMessage><wsnt:Topic>tns1:Device/Trigger/DigitalInput</wsnt:Topic><wsnt:Message><tt:Message PropertyOperation="Initialized"><tt:Source><tt:SimpleItem Name="InputToken" Value="1"/></tt:Source><tt:Data><tt:SimpleItem Name="LogicalState" Value="0"/></tt:Data></tt:Message></wsnt:Message></wsnt:NotificationMessage></r></s:Body></s:Envelope>`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		list, _ := onvif.ReadEvents(answer)
		for _, r := range list {
			if len(r.Values) != 1 {
				t.Errorf("%+v", r)
			}
		}
	})
}

func FuzzMatches(f *testing.F) {
	f.Add([]byte(wrap + `<ProbeMatches><ProbeMatch><EndpointReference><Address>urn:uuid:1</Address></EndpointReference><Types>dn:NetworkVideoTransmitter</Types><Scopes>onvif://www.onvif.org/name/%E5%8D%97</Scopes><XAddrs>http://192.0.2.9:8080/onvif/device_service http://[fe80::1]/x</XAddrs></ProbeMatch></ProbeMatches></s:Body></s:Envelope>`))
	f.Fuzz(func(t *testing.T, datagram []byte) {
		for _, d := range onvif.ReadMatches(datagram) {
			if !strings.Contains(d.Address, "192.0.2.9") {
				t.Errorf("%+v", d)
			}
		}
	})
}

func FuzzChallenge(f *testing.F) {
	f.Add(`realm="a, b", nonce="c", qop="auth,auth-int", algorithm=MD5`)
	f.Add(`=,=,="`)
	f.Fuzz(func(t *testing.T, text string) {
		for name, value := range onvif.ReadParams(text) {
			if bytes.ContainsAny([]byte(name), "=") || len(value) > len(text) {
				t.Errorf("%q: %q", name, value)
			}
		}
	})
}
