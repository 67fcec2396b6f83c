package probe

import (
	"net/http"
	"net/url"

	"stationd/agent/station"
)

// Routes are the routes of probing.
func (p *Prober) Routes() []station.Route {
	return []station.Route{
		{Pattern: "POST /api/v1/cameras/probe", Permission: station.PermConfigure, Summary: "Connect to a camera as the station would, and tell what is wrong; takes up to half a minute", Body: station.CameraOrder{}, Reply: station.ProbeReport{}, Handler: station.Handler(p.postProbe)},
		{Pattern: "POST /api/v1/cameras/{id}/probe", Permission: station.PermConfigure, Resource: "camera/{id}", Summary: "Tell what is wrong with a camera that is set up", Reply: station.ProbeReport{}, Handler: station.Handler(p.postProbeKept)},
	}
}

func (p *Prober) postProbe(w http.ResponseWriter, r *http.Request) error {
	var o station.CameraOrder
	if err := station.ReadJSON(w, r, &o); err != nil {
		return err
	}
	src := Source{Camera: o.Camera, Password: o.Password}
	for _, address := range []*string{&src.URL, &src.Sub} {
		if *address == "" {
			continue
		}
		u, err := url.Parse(*address)
		if err != nil || u.Hostname() == "" || u.Scheme != "rtsp" && u.Scheme != "rtsps" {
			return station.Errorf(http.StatusBadRequest, "setup.invalid", "write rtsp://address/path", "this is no RTSP address").At("url")
		}
		if u.User != nil { // it may have been pasted with its account
			password, _ := u.User.Password()
			src.Username, src.Password = u.User.Username(), station.Secret(password)
			u.User = nil
			*address = u.String()
		}
	}
	if src.Password.Unchanged() || src.Password == "" && src.Recorder != "" {
		if err := station.MaySee(r.Context(), src.ID); err != nil {
			return err // its password is not lent to who may not see it
		}
		kept, err := p.keptFor(src)
		if err != nil {
			return err
		}
		src.Username, src.Password = kept.Username, kept.Password
	}
	report, err := p.Probe(r.Context(), src, false)
	if err != nil {
		return err
	}
	return station.WriteJSON(w, http.StatusOK, report)
}

// keptFor is the kept camera whose password may be used for src: the same one at
// the same address.
func (p *Prober) keptFor(src Source) (Source, error) {
	again := station.Errorf(http.StatusBadRequest, "setup.invalid", "type the password again", "the kept password belongs to another address or user name").At("password")
	if p.deps.Kept == nil || src.ID == "" {
		return Source{}, again
	}
	kept, err := p.deps.Kept(src.ID)
	if err != nil {
		return Source{}, again
	}
	for _, pair := range [][2]string{{kept.URL, src.URL}, {kept.URL, src.Sub}, {kept.ONVIF, src.ONVIF}} {
		a, err1 := url.Parse(pair[0])
		b, err2 := url.Parse(pair[1])
		if err1 != nil || err2 != nil || pair[1] != "" && (a.Host != b.Host || a.Scheme != b.Scheme) {
			return Source{}, again
		}
	}
	if src.Username != "" && src.Username != kept.Username {
		return Source{}, again
	}
	return kept, nil
}

func (p *Prober) postProbeKept(w http.ResponseWriter, r *http.Request) error {
	if p.deps.Kept == nil {
		return station.ErrNotFound
	}
	src, err := p.deps.Kept(r.PathValue("id"))
	if err != nil {
		return err
	}
	report, err := p.Probe(r.Context(), src, true)
	if err != nil {
		return err
	}
	return station.WriteJSON(w, http.StatusOK, report)
}
