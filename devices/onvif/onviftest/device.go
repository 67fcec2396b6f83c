package onviftest

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"
)

// Profile is one media profile of a device.
type Profile struct {
	Token, Name, Source, Encoding string
	Width, Height, FrameRate, GOP int
	Kbps                          int
	URL                           string // of its picture
	Audio                         string // AAC, G711; empty without
}

// Quirks are what devices get wrong. The zero value is a good device.
type Quirks struct {
	ClockOffset time.Duration // its clock minus ours
	DigestOnly  bool          // knows HTTP Digest alone, no tokens
	SHA256      bool          // … with that algorithm
	NoClock     bool          // wants a login for its time too
	OldOnly     bool          // knows neither GetServices nor the newer media service
	Host        string        // the host in all its addresses; empty is the right one
	Refuse      bool          // no password is right
	Slow        time.Duration // before each answer
	Endless     bool          // its answers never end
	Garbage     string        // in place of every answer
	BadTimeouts bool          // refuses moves with a time limit
	Redirect    string        // sends everybody there
}

// Device is a device. Its fields are to be set before it is used; what changes has
// methods.
type Device struct {
	Maker, Model, Firmware, Serial string
	Name                           string
	Username, Password             string
	Profiles                       []Profile
	Still                          []byte // the JPEG that it gives; without one it draws some colours
	HasPTZ                         bool
	Recorder                       bool

	mu     sync.Mutex
	quirks Quirks
	head   head
	events events
	calls  map[string]int
	denied int
	nonces map[string]bool
	keys   []time.Time
	server *httptest.Server

	searches []io.Closer // where it hears searches
	work     sync.WaitGroup
}

// New is a camera with two streams and a pan-tilt head.
func New(main, sub string) *Device {
	return &Device{
		Maker: "Testcam", Model: "TC-200", Firmware: "1.2.3", Serial: "SN0001", Name: "南门球机", Username: "admin", Password: "right-horse", HasPTZ: true,
		Profiles: []Profile{
			{Token: "main", Name: "主码流", Source: "src0", Encoding: "H264", Width: 1280, Height: 720, FrameRate: 25, GOP: 50, Kbps: 2048, URL: main},
			{Token: "sub", Name: "子码流", Source: "src0", Encoding: "H264", Width: 640, Height: 360, FrameRate: 15, GOP: 30, Kbps: 512, URL: sub},
		},
	}
}

// NewRecorder is a recorder with so many channels; url gives each stream's address.
func NewRecorder(channels int, url func(channel int, sub bool) string) *Device {
	d := &Device{Maker: "Testcam", Model: "NVR-8", Firmware: "4.0", Serial: "SN0008", Name: "值班室录像机", Username: "admin", Password: "right-horse", Recorder: true}
	for n := 1; n <= channels; n++ {
		source := fmt.Sprintf("VideoSource_%d", n)
		d.Profiles = append(d.Profiles,
			Profile{Token: fmt.Sprintf("Profile_%d_1", n), Name: fmt.Sprintf("通道 %d", n), Source: source, Encoding: "H264", Width: 1920, Height: 1080, FrameRate: 25, GOP: 50, Kbps: 4096, URL: url(n, false)},
			Profile{Token: fmt.Sprintf("Profile_%d_2", n), Name: fmt.Sprintf("通道 %d 子码流", n), Source: source, Encoding: "H264", Width: 640, Height: 360, FrameRate: 15, GOP: 30, Kbps: 512, URL: url(n, true)})
	}
	return d
}

// Start serves the device on a port of the loopback interface until Close.
func (d *Device) Start() string {
	d.server = httptest.NewServer(d)
	return d.URL()
}

// URL is the address of its device service.
func (d *Device) URL() string { return d.server.URL + "/onvif/device_service" }

// Close ends serving; whoever waits for events is answered.
func (d *Device) Close() {
	d.Hang()
	for _, c := range d.searches {
		_ = c.Close() // nothing is lost with it
	}
	d.work.Wait()
	d.server.CloseClientConnections()
	d.server.Close()
}

// Set changes its quirks.
func (d *Device) Set(q Quirks) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.quirks = q
}

// Calls is how often an operation was asked for with the right password; Denied how
// often with a wrong one.
func (d *Device) Calls(operation string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.calls[operation]
}

// Denied is how many requests were refused for their password or their clock.
func (d *Device) Denied() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.denied
}

// KeyPictures is when it was asked for a key picture.
func (d *Device) KeyPictures() []time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]time.Time{}, d.keys...)
}

// node is an element of a request.
type node struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Text     string     `xml:",chardata"`
	Children []node     `xml:",any"`
}

// find is the first element of that name anywhere below.
func (n node) find(name string) node {
	for _, c := range n.Children {
		if c.XMLName.Local == name {
			return c
		}
		if found := c.find(name); found.XMLName.Local != "" {
			return found
		}
	}
	return node{}
}

func (n node) attr(name string) string {
	for _, a := range n.Attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// ServeHTTP answers.
func (d *Device) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	q := d.quirks
	d.mu.Unlock()
	raw, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if q.Slow > 0 {
		select {
		case <-time.After(q.Slow):
		case <-r.Context().Done():
			return
		}
	}
	w.Header().Set("Date", time.Now().Add(q.ClockOffset).UTC().Format(http.TimeFormat))
	switch {
	case q.Redirect != "":
		http.Redirect(w, r, q.Redirect, http.StatusTemporaryRedirect)
		return
	case q.Garbage != "":
		_, _ = io.WriteString(w, q.Garbage)
		return
	case q.Endless:
		endless(w, r)
		return
	case r.URL.Path == "/snapshot":
		d.snapshot(w, r, q)
		return
	}
	var root node
	if err == nil {
		err = xml.Unmarshal(raw, &root)
	}
	body := root.find("Body")
	if err != nil || len(body.Children) == 0 {
		http.Error(w, "no SOAP", http.StatusBadRequest)
		return
	}
	op := body.Children[0]
	name := op.XMLName.Local
	if !(name == "GetSystemDateAndTime" && !q.NoClock) && !d.admitted(r, root, q) {
		d.refuse(w, q)
		return
	}
	d.mu.Lock()
	if d.calls == nil {
		d.calls = map[string]int{}
	}
	d.calls[name]++
	d.mu.Unlock()
	reply, fault := d.answer(r, op, q)
	if fault != "" {
		soap(w, http.StatusBadRequest, faultBody(fault))
		return
	}
	soap(w, http.StatusOK, reply)
}

func endless(w http.ResponseWriter, r *http.Request) {
	_, _ = io.WriteString(w, `<?xml version="1.0"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><x>`)
	filler := strings.Repeat("<y>filler</y>", 1000)
	for r.Context().Err() == nil {
		if _, err := io.WriteString(w, filler); err != nil {
			return
		}
	}
}

func soap(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/soap+xml; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, `<?xml version="1.0" encoding="UTF-8"?><env:Envelope xmlns:env="http://www.w3.org/2003/05/soap-envelope"`+
		` xmlns:tt="http://www.onvif.org/ver10/schema" xmlns:tds="http://www.onvif.org/ver10/device/wsdl" xmlns:trt="http://www.onvif.org/ver10/media/wsdl"`+
		` xmlns:tr2="http://www.onvif.org/ver20/media/wsdl" xmlns:tptz="http://www.onvif.org/ver20/ptz/wsdl" xmlns:tev="http://www.onvif.org/ver10/events/wsdl"`+
		` xmlns:wsnt="http://docs.oasis-open.org/wsn/b-2" xmlns:wsa5="http://www.w3.org/2005/08/addressing" xmlns:tns1="http://www.onvif.org/ver10/topics"`+
		` xmlns:ter="http://www.onvif.org/ver10/error"><env:Body>`+body+`</env:Body></env:Envelope>`)
}

func faultBody(code string) string {
	return `<env:Fault><env:Code><env:Value>env:Sender</env:Value><env:Subcode><env:Value>ter:` + code +
		`</env:Value></env:Subcode></env:Code><env:Reason><env:Text xml:lang="en">refused: ` + code + `</env:Text></env:Reason></env:Fault>`
}

func (d *Device) snapshot(w http.ResponseWriter, r *http.Request, q Quirks) {
	if d.Username != "" && !d.digestRight(r, q) {
		d.challenge(w, q)
		return
	}
	if len(d.Still) > 0 {
		w.Header().Set("Content-Type", "image/jpeg")
		_, _ = w.Write(d.Still)
		return
	}
	picture := image.NewRGBA(image.Rect(0, 0, 64, 36))
	for x := range 64 {
		for y := range 36 {
			picture.Set(x, y, color.RGBA{uint8(4 * x), uint8(7 * y), 90, 255})
		}
	}
	var b bytes.Buffer
	_ = jpeg.Encode(&b, picture, nil) // a Buffer takes all
	w.Header().Set("Content-Type", "image/jpeg")
	_, _ = w.Write(b.Bytes())
}

func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text))
	return b.String()
}
