package onvif

import (
	"context"
	"net/http"
	"strings"
	"unicode/utf8"

	"stationd/agent/station"
)

// The HTTP routes: looking for devices, asking one what it is, and turning cameras.

type (
	foundList struct {
		Devices []Found `json:"devices"`
	}
	// describeOrder is whom to ask.
	describeOrder struct {
		Onvif       string         `json:"onvif"`
		Username    string         `json:"username,omitempty"`
		Password    station.Secret `json:"password,omitempty"`
		Fingerprint string         `json:"fingerprint,omitempty"`
	}
	// headState is how a camera's head is.
	headState struct {
		// Moving names who turns it now; empty is nobody.
		Moving  string   `json:"moving,omitempty"`
		Presets []Preset `json:"presets"`
	}
	presetOrder struct {
		Name string `json:"name"`
	}
)

// Routes are the room's routes.
func (s *Set) Routes() []station.Route {
	return []station.Route{
		{Pattern: "POST /api/v1/onvif/discover", Permission: station.PermConfigure, Summary: "Look for cameras and recorders on the network; takes some seconds", Reply: foundList{}, Handler: station.Handler(s.postDiscover)},
		{Pattern: "POST /api/v1/onvif/describe", Permission: station.PermConfigure, Summary: "Ask a device what it is and which pictures it gives", Body: describeOrder{}, Reply: Description{}, Handler: station.Handler(s.postDescribe)},

		{Pattern: "GET /api/v1/cameras/{id}/ptz", Permission: station.PermVideo, Resource: "camera/{id}", Summary: "The places that a camera knows, and who turns it", Reply: headState{}, Handler: station.Handler(s.getHead)},
		{Pattern: "POST /api/v1/cameras/{id}/ptz", Permission: station.PermAnswer, Resource: "camera/{id}", Summary: "Turn and zoom: -1 to 1 each, zero stops. It goes on for one second unless the order is sent again", Body: Velocity{}, Status: http.StatusNoContent, Handler: station.Handler(s.postMove)},
		{Pattern: "POST /api/v1/cameras/{id}/presets", Permission: station.PermConfigure, Resource: "camera/{id}", Summary: "Keep where the camera looks now", Body: presetOrder{}, Reply: Preset{}, Handler: station.Handler(s.postPreset)},
		{Pattern: "POST /api/v1/cameras/{id}/presets/{preset}", Permission: station.PermAnswer, Resource: "camera/{id}", Summary: "Turn the camera to a place that it knows", Status: http.StatusNoContent, Handler: station.Handler(s.postGoTo)},
		{Pattern: "DELETE /api/v1/cameras/{id}/presets/{preset}", Permission: station.PermConfigure, Resource: "camera/{id}", Summary: "Let the camera forget a place", Status: http.StatusNoContent, Handler: station.Handler(s.deletePreset)},
	}
}

func (s *Set) postDiscover(w http.ResponseWriter, r *http.Request) error {
	list, err := Discover(r.Context(), s.cfg)
	if err != nil {
		return err
	}
	return station.WriteJSON(w, http.StatusOK, foundList{list})
}

func (s *Set) postDescribe(w http.ResponseWriter, r *http.Request) error {
	var o describeOrder
	if err := station.ReadJSON(w, r, &o); err != nil {
		return err
	}
	d, err := s.Describe(r.Context(), Login{URL: o.Onvif, Username: o.Username, Password: o.Password, Fingerprint: o.Fingerprint})
	if err != nil {
		return err
	}
	return station.WriteJSON(w, http.StatusOK, d)
}

func (s *Set) getHead(w http.ResponseWriter, r *http.Request) error {
	report, err := s.Turn(r.Context(), r.PathValue("id"), station.TurnOrder{Look: true}, station.ActorFrom(r.Context()))
	if err != nil {
		return err
	}
	st := headState{Moving: report.Moving, Presets: []Preset{}}
	for _, p := range report.Presets {
		st.Presets = append(st.Presets, Preset(p))
	}
	return station.WriteJSON(w, http.StatusOK, st)
}

func (s *Set) postMove(w http.ResponseWriter, r *http.Request) error {
	var v Velocity
	if err := station.ReadJSON(w, r, &v); err != nil {
		return err
	}
	return s.turn(w, r, station.TurnOrder{Pan: v.Pan, Tilt: v.Tilt, Zoom: v.Zoom})
}

func (s *Set) turn(w http.ResponseWriter, r *http.Request, o station.TurnOrder) error {
	if _, err := s.Turn(r.Context(), r.PathValue("id"), o, station.ActorFrom(r.Context())); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Set) postPreset(w http.ResponseWriter, r *http.Request) error {
	var o presetOrder
	if err := station.ReadJSON(w, r, &o); err != nil {
		return err
	}
	o.Name = strings.TrimSpace(o.Name)
	if n := utf8.RuneCountInString(o.Name); n == 0 || n > 40 {
		return station.Errorf(400, "ptz.name", "give it a name of at most 40 characters", "the place has no name, or a long one").At("name")
	}
	id := r.PathValue("id")
	var kept Preset
	err := s.with(r.Context(), id, func(ctx context.Context, c *Client, profile string) (err error) {
		kept, err = c.SetPreset(ctx, profile, o.Name)
		return err
	})
	if err == nil {
		err = s.noted(r, "camera.preset.put", id, o.Name)
	}
	if err != nil {
		return err
	}
	return station.WriteJSON(w, http.StatusOK, kept)
}

func (s *Set) postGoTo(w http.ResponseWriter, r *http.Request) error {
	return s.turn(w, r, station.TurnOrder{Preset: r.PathValue("preset")})
}

func (s *Set) deletePreset(w http.ResponseWriter, r *http.Request) error {
	id, preset := r.PathValue("id"), r.PathValue("preset")
	err := s.with(r.Context(), id, func(ctx context.Context, c *Client, profile string) error {
		return c.RemovePreset(ctx, profile, preset)
	})
	if err == nil {
		err = s.noted(r, "camera.preset.remove", id, preset)
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// noted writes down what was done to a camera.
func (s *Set) noted(r *http.Request, action, camera, detail string) error {
	if s.deps.Note == nil {
		return nil
	}
	return s.deps.Note(r.Context(), station.ActorFrom(r.Context()), action, "camera/"+camera, detail)
}
