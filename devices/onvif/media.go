package onvif

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kerberos-io/onvif/media"
	lib "github.com/kerberos-io/onvif/xsd/onvif"

	"stationd/agent/station"
)

// Profile is one of a device's media profiles: a picture in one encoding.
type Profile struct {
	Token string `json:"token"`
	Name  string `json:"name,omitempty"`
	// Source is the video source that it shows: a recorder's channel.
	Source string `json:"source,omitempty"`
	// Encoding is "H264", "H265", "JPEG"; Width and Height are pixels.
	Encoding  string  `json:"encoding,omitempty"`
	Width     int     `json:"width,omitempty"`
	Height    int     `json:"height,omitempty"`
	FrameRate float64 `json:"frameRate,omitempty"`
	BitRate   int     `json:"bitRate,omitempty"` // bit/s, the limit that is set
	GOP       int     `json:"gop,omitempty"`     // pictures from key picture to key picture
	// Audio is the encoding of the sound, empty without: "G711", "AAC".
	Audio string `json:"audio,omitempty"`
	// PTZ tells that it can be turned by this profile.
	PTZ bool `json:"ptz,omitempty"`
	// URL is where its picture is, as it can be reached from here; Problem says why
	// there is none.
	URL     string           `json:"url,omitempty"`
	Problem *station.Problem `json:"problem,omitempty"`

	configuration string // of its video source: events name this
	media2        bool   // told by the newer service
}

// maxProfiles bounds how many profiles are looked at: a recorder of 64 channels has
// three each.
const maxProfiles = 256

// answeredProfile is a profile as either media service tells it. Devices are free
// with their numbers, so that they are read as text.
type answeredProfile struct {
	Token string `xml:"token,attr"`
	Name  string
	Old   struct {
		Token       string `xml:"token,attr"`
		SourceToken string
	} `xml:"VideoSourceConfiguration"`
	OldEncoder *answeredEncoder `xml:"VideoEncoderConfiguration"`
	OldAudio   *struct {
		Encoding string
	} `xml:"AudioEncoderConfiguration"`
	OldPTZ *struct{} `xml:"PTZConfiguration"`
	New    *struct {
		Source struct {
			Token       string `xml:"token,attr"`
			SourceToken string
		} `xml:"VideoSource"`
		Encoder *answeredEncoder `xml:"VideoEncoder"`
		Audio   *struct {
			Encoding string
		} `xml:"AudioEncoder"`
		PTZ *struct{} `xml:"PTZ"`
	} `xml:"Configurations"`
}

type answeredEncoder struct {
	GovLength string `xml:"GovLength,attr"` // of the newer service
	Encoding  string
	Width     string `xml:"Resolution>Width"`
	Height    string `xml:"Resolution>Height"`
	FrameRate string `xml:"RateControl>FrameRateLimit"`
	BitRate   string `xml:"RateControl>BitrateLimit"` // kbit/s
	H264Gov   string `xml:"H264>GovLength"`
}

func (a answeredProfile) profile() Profile {
	p := Profile{Token: a.Token, Name: plainText(a.Name), Source: a.Old.SourceToken, configuration: a.Old.Token, PTZ: a.OldPTZ != nil}
	encoder := a.OldEncoder
	if a.OldAudio != nil {
		p.Audio = codec(a.OldAudio.Encoding)
	}
	if n := a.New; n != nil {
		p.media2 = true
		p.Source, p.configuration, p.PTZ = n.Source.SourceToken, n.Source.Token, n.PTZ != nil
		encoder = n.Encoder
		if n.Audio != nil {
			p.Audio = codec(n.Audio.Encoding)
		}
	}
	if encoder != nil {
		p.Encoding = codec(encoder.Encoding)
		p.Width, p.Height = int(number(encoder.Width)), int(number(encoder.Height))
		p.FrameRate = number(encoder.FrameRate)
		p.BitRate = int(number(encoder.BitRate)) * 1000
		p.GOP = int(number(cmp.Or(encoder.GovLength, encoder.H264Gov)))
	}
	return p
}

// codec is an encoding's name in our spelling.
func codec(name string) string {
	switch name = strings.ToUpper(strings.TrimSpace(name)); name {
	case "H.264", "AVC", "H264":
		return "H264"
	case "H.265", "HEVC", "H265":
		return "H265"
	case "MP4A-LATM", "MPEG4-GENERIC":
		return "AAC"
	case "PCMU", "PCMA", "G711":
		return "G711"
	}
	return plainText(name)
}

func number(text string) float64 {
	v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || !(v >= 0 && v < 1e9) {
		return 0
	}
	return v
}

// Requests of the newer media service, which the library does not have.
type (
	getProfiles2 struct {
		XMLName string   `xml:"tr2:GetProfiles"`
		Type    []string `xml:"tr2:Type"`
	}
	getStreamURI2 struct {
		XMLName      string `xml:"tr2:GetStreamUri"`
		Protocol     string `xml:"tr2:Protocol"`
		ProfileToken string `xml:"tr2:ProfileToken"`
	}
	getSnapshotURI2 struct {
		XMLName      string `xml:"tr2:GetSnapshotUri"`
		ProfileToken string `xml:"tr2:ProfileToken"`
	}
	syncPoint2 struct {
		XMLName      string `xml:"tr2:SetSynchronizationPoint"`
		ProfileToken string `xml:"tr2:ProfileToken"`
	}
)

// Profiles lists the device's profiles, without the addresses of their pictures.
// The newer service alone tells of H.265; where it fails the older one is asked.
func (c *Client) Profiles(ctx context.Context) ([]Profile, error) {
	var reply struct {
		Profiles []answeredProfile
	}
	var err error
	if _, newer := c.service(nsMedia2); newer {
		err = c.call(ctx, nsMedia2, getProfiles2{Type: []string{"All"}}, &reply)
		if p, ok := station.AsProblem(err); ok && (p.Code == errDenied.Code || p.Code == "onvif.timeout") {
			return nil, err
		}
	}
	if err != nil || len(reply.Profiles) == 0 {
		if err = c.call(ctx, nsMedia, media.GetProfiles{}, &reply); err != nil {
			return nil, err
		}
	}
	var out []Profile
	for _, a := range reply.Profiles[:min(len(reply.Profiles), maxProfiles)] {
		if a.Token != "" {
			out = append(out, a.profile())
		}
	}
	if len(out) == 0 {
		return nil, station.Errorf(502, "onvif.profiles", "make a media profile in the device's settings, or enter the video address by hand", "the device has no media profile")
	}
	c.mu.Lock()
	c.profiles = out
	c.mu.Unlock()
	return slices.Clone(out), nil
}

// StreamURL is where a profile's picture is, as it can be reached from here.
func (c *Client) StreamURL(ctx context.Context, p Profile) (string, error) {
	raw, err := c.mediaURI(ctx, p, getStreamURI2{Protocol: "RTSP", ProfileToken: p.Token}, streamURI(p.Token))
	if err != nil {
		return "", err
	}
	return c.rewrite(raw, "rtsp", "rtsps")
}

func streamURI(token string) any {
	stream, protocol, profile := lib.StreamType("RTP-Unicast"), lib.TransportProtocol("RTSP"), lib.ReferenceToken(token)
	return media.GetStreamUri{StreamSetup: &lib.StreamSetup{Stream: &stream, Transport: &lib.Transport{Protocol: &protocol}}, ProfileToken: &profile}
}

// SnapshotURL is where a still picture of a profile can be fetched, with the
// device's account.
func (c *Client) SnapshotURL(ctx context.Context, p Profile) (string, error) {
	raw, err := c.mediaURI(ctx, p, getSnapshotURI2{ProfileToken: p.Token}, media.GetSnapshotUri{ProfileToken: lib.ReferenceToken(p.Token)})
	if err != nil {
		return "", err
	}
	return c.rewrite(raw, "http", "https")
}

// mediaURI asks the service that told of the profile, and then the other.
func (c *Client) mediaURI(ctx context.Context, p Profile, newer, older any) (string, error) {
	var reply struct {
		New string `xml:"Uri"`
		Old string `xml:"MediaUri>Uri"`
	}
	var err error = errUnsupported
	if p.media2 {
		err = c.call(ctx, nsMedia2, newer, &reply)
	}
	if err != nil {
		if d, ok := station.AsProblem(err); ok && d.Code == errDenied.Code {
			return "", err
		}
		err = c.call(ctx, nsMedia, older, &reply)
	}
	return strings.TrimSpace(cmp.Or(reply.New, reply.Old)), err
}

// rewrite gives an address of an answer the host that the device was reached by. A
// device often tells the address that it has in its own network, that of its other
// network card, or what the factory set.
func (c *Client) rewrite(raw string, schemes ...string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || !slices.Contains(schemes, strings.ToLower(u.Scheme)) {
		return "", station.Errorf(502, "onvif.uri", "enter the address by hand; the device's manual has it", "the device tells no address that can be used")
	}
	host := c.base.Hostname()
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port := u.Port(); port != "" {
		host += ":" + port
	}
	u.Host, u.User, u.Fragment = host, nil, ""
	return u.String(), nil
}

// Snapshot fetches a still picture of a profile. It returns its media type.
func (c *Client) Snapshot(ctx context.Context, p Profile) ([]byte, string, error) {
	address, err := c.SnapshotURL(ctx, p)
	if err != nil {
		return nil, "", err
	}
	return c.fetch(ctx, address)
}

// maxPicture bounds a still picture.
const maxPicture = 16 << 20

func (c *Client) fetch(ctx context.Context, address string) ([]byte, string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*c.cfg.Timeout)
	defer cancel()
	at, err := url.Parse(address)
	if err != nil {
		return nil, "", err
	}
	var authorization string
	for range 2 {
		resp, err := c.send(ctx, http.MethodGet, at, nil, authorization)
		if err != nil {
			return nil, "", err
		}
		if resp.StatusCode == http.StatusUnauthorized {
			_ = resp.Body.Close() // it says nothing
			ch := readChallenge(resp.Header)
			if ch == nil || authorization != "" || c.login.Username == "" {
				return nil, "", errDenied
			}
			authorization = ch.answer(http.MethodGet, at.RequestURI(), c.login.Username, c.login.Password.Reveal())
			continue
		}
		picture, err := readAtMost(resp, maxPicture)
		if err != nil {
			return nil, "", err
		}
		kind := http.DetectContentType(picture)
		if resp.StatusCode != http.StatusOK || !strings.HasPrefix(kind, "image/") {
			return nil, "", station.Errorf(502, "onvif.snapshot", "the picture of the stream serves instead", "the device gives no still picture (HTTP %d)", resp.StatusCode)
		}
		return picture, kind, nil
	}
	return nil, "", errDenied
}

// KeyPicture asks for a key picture of a profile soon.
func (c *Client) KeyPicture(ctx context.Context, p Profile) error {
	if p.media2 {
		return c.call(ctx, nsMedia2, syncPoint2{ProfileToken: p.Token}, nil)
	}
	return c.call(ctx, nsMedia, media.SetSynchronizationPoint{ProfileToken: lib.ReferenceToken(p.Token)}, nil)
}

// Description is all that is told of a device to whoever sets it up.
type Description struct {
	Information
	// Address is the device service that was spoken to.
	Address string `json:"address"`
	// ClockOffset is the device's clock minus ours; nil where it does not tell.
	ClockOffset *time.Duration `json:"clockOffset,omitempty"`
	Profiles    []Profile      `json:"profiles"`
	Channels    []Channel      `json:"channels"`
	PTZ         bool           `json:"ptz"`
	Events      bool           `json:"events"`
}

// Channel is one video source with the profiles that fit a camera of it: the
// larger picture to record and look at, a smaller one for walls.
type Channel struct {
	Source string `json:"source"`
	Name   string `json:"name,omitempty"`
	Main   string `json:"main"`          // the profile's token
	Sub    string `json:"sub,omitempty"` // empty where there is none that serves
}

// Describe asks a device for all that its set-up needs.
func (c *Client) Describe(ctx context.Context) (Description, error) {
	d := Description{Address: c.base.String(), Profiles: []Profile{}, Channels: []Channel{}}
	if offset, known := c.ClockOffset(); known {
		d.ClockOffset = &offset
	}
	_, d.PTZ = c.service(nsPTZ)
	_, d.Events = c.service(nsEvents)
	info, err := c.Information(ctx)
	if p, ok := station.AsProblem(err); ok && p.Code == errDenied.Code {
		return d, err // every further question would count as a try
	}
	d.Information = info // a device that hides it is a device all the same
	profiles, err := c.Profiles(ctx)
	if err != nil {
		return d, err
	}
	for i := range profiles {
		p := &profiles[i]
		p.URL, err = c.StreamURL(ctx, *p)
		problem, ok := station.AsProblem(err)
		switch {
		case err == nil:
		case ok && problem.Code != errDenied.Code && ctx.Err() == nil:
			p.Problem = problem
		default:
			return d, err
		}
	}
	d.Profiles = profiles
	d.Channels = channels(profiles)
	return d, nil
}

// channels chooses two profiles for each video source.
func channels(profiles []Profile) []Channel {
	out := []Channel{}
	bySource := map[string][]Profile{}
	var order []string
	for _, p := range profiles {
		if p.URL == "" || p.Encoding != "" && p.Encoding != "H264" && p.Encoding != "H265" {
			continue
		}
		if _, known := bySource[p.Source]; !known {
			order = append(order, p.Source)
		}
		bySource[p.Source] = append(bySource[p.Source], p)
	}
	for _, source := range order {
		list := bySource[source]
		pixels := func(p Profile) int { return p.Width * p.Height }
		main := slices.MaxFunc(list, func(a, b Profile) int { return cmp.Compare(pixels(a), pixels(b)) })
		c := Channel{Source: source, Name: main.Name, Main: main.Token}
		// For walls and for browsers without H.265: H.264 first, then the largest
		// that is at most a quarter of full HD's width by height.
		best := -1
		for i, p := range list {
			if p.Token == main.Token || p.URL == main.URL || pixels(p) >= pixels(main) && p.Encoding == main.Encoding {
				continue
			}
			if best < 0 || better(p, list[best]) {
				best = i
			}
		}
		if best >= 0 {
			c.Sub = list[best].Token
		}
		out = append(out, c)
	}
	return out
}

// better tells whether a serves a wall better than b.
func better(a, b Profile) bool {
	if (a.Encoding == "H264") != (b.Encoding == "H264") {
		return a.Encoding == "H264"
	}
	const fits = 1280 * 720
	pa, pb := a.Width*a.Height, b.Width*b.Height
	if (pa <= fits) != (pb <= fits) {
		return pa <= fits
	}
	if pa <= fits {
		return pa > pb
	}
	return pa < pb
}
