package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"stationd/agent/station"
	"stationd/agent/store"
)

// A recorder is one machine with many cameras behind it. Its channels are imported
// as cameras, which use its password; a further import adds what is new and takes
// nothing away.

const (
	maxRecorders = 64
	maxChannels  = 128
)

func recorderSecret(id string) string { return "recorder/" + id }

// recorderPaths are the paths of a channel's main and smaller stream, as the
// makers' manuals give them. {ch} is the channel's number from 1.
func recorderPaths(r station.Recorder) (main, sub string) {
	switch r.Kind {
	case station.RecorderHikvision:
		return "/Streaming/Channels/{ch}01", "/Streaming/Channels/{ch}02"
	case station.RecorderDahua:
		return "/cam/realmonitor?channel={ch}&subtype=0", "/cam/realmonitor?channel={ch}&subtype=1"
	case station.RecorderUniview:
		return "/unicast/c{ch}/s0/live", "/unicast/c{ch}/s1/live"
	}
	return r.Main, r.Sub
}

// templateChannels are the channels of a recorder whose addresses follow a pattern.
func templateChannels(r station.Recorder) []station.RecorderChannel {
	main, sub := recorderPaths(r)
	at := func(path string, n int) string {
		if path == "" {
			return ""
		}
		number := strconv.Itoa(n)
		return "rtsp://" + r.Host + strings.NewReplacer("{ch}", number, "{ch2}", fmt.Sprintf("%02d", n)).Replace(path)
	}
	var out []station.RecorderChannel
	for n := 1; n <= r.Channels; n++ {
		out = append(out, station.RecorderChannel{Channel: strconv.Itoa(n), URL: at(main, n), Sub: at(sub, n)})
	}
	return out
}

// checkRecorder reports every fault, and completes the ONVIF address.
func checkRecorder(r *station.Recorder) error {
	faults := []error{checkID("id", r.ID), checkText("name", r.Name, 60), checkText("place", r.Place, 120), checkText("username", r.Username, 120), checkText("main", r.Main, 200), checkText("sub", r.Sub, 200)}
	if strings.TrimSpace(r.Name) == "" {
		faults = append(faults, invalid("name", "give the name that the screen shows", "the recorder has no name"))
	}
	u, err := url.Parse("rtsp://" + r.Host + "/")
	if err != nil || r.Host == "" || u.Host != r.Host || u.Hostname() == "" {
		faults = append(faults, invalid("host", "write 192.168.1.20, or 192.168.1.20:8554 with another port than 554", "this is no address of a recorder"))
	}
	if r.ONVIF != "" {
		if r.ONVIF, err = onvifAddress(r.ONVIF); err != nil {
			faults = append(faults, err)
		} else if u != nil && !sameMachine(r.ONVIF, u.String()) {
			faults = append(faults, invalid("onvif", "write the same address as above, with the port of its web page", "the ONVIF address is another machine's"))
		}
	}
	switch r.Kind {
	case station.RecorderONVIF:
		if r.ONVIF == "" {
			faults = append(faults, invalid("onvif", "write its address, or choose its maker", "a recorder that is asked for its channels needs an ONVIF address"))
		}
	case station.RecorderHikvision, station.RecorderDahua, station.RecorderUniview, station.RecorderOther:
		if r.Channels < 1 || r.Channels > maxChannels {
			faults = append(faults, invalid("channels", fmt.Sprintf("use 1 to %d", maxChannels), "the number of channels is out of range"))
		}
		if r.Kind != station.RecorderOther {
			break
		}
		for place, path := range map[string]string{"main": r.Main, "sub": r.Sub} {
			if path == "" && place == "sub" {
				continue
			}
			if !strings.HasPrefix(path, "/") || !strings.Contains(path, "{ch}") && !strings.Contains(path, "{ch2}") || strings.ContainsAny(path, " @\\") {
				faults = append(faults, invalid(place, "write it as /live/{ch}/main; {ch} stands for the number", "this is no path of a channel"))
			}
		}
	default:
		faults = append(faults, invalid("kind", "write onvif, hikvision, dahua, uniview or other", "the kind %q is not known", r.Kind))
	}
	return errors.Join(faults...)
}

// checkBehind tells whether a camera may be sent the recorder's password.
func checkBehind(r station.Recorder, c station.Camera) error {
	host := "rtsp://" + r.Host
	for place, address := range map[string]string{"url": c.URL, "sub": c.Sub, "onvif": c.ONVIF} {
		if address != "" && !sameMachine(host, address) {
			return invalid(place, "give it a password of its own, or the address of its recorder", "the camera uses the password of a recorder that is at another address")
		}
	}
	return nil
}

func preparePutRecorder(a *Agent, cmd station.Command) (plan, error) {
	o, err := decodeBody[station.RecorderOrder](cmd)
	if err != nil {
		return plan{}, err
	}
	r, password := o.Recorder, o.Password
	if err := checkRecorder(&r); err != nil {
		return plan{}, err
	}
	now := a.now()
	return plan{subject: "recorder/" + r.ID, lane: station.LaneNormal, registry: true, apply: func(tx *store.Tx) (any, error) {
		r := r
		list, err := recorders(tx)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(list, func(other station.Recorder) bool { return other.ID == r.ID })
		var before station.Recorder
		if i >= 0 {
			before = list[i]
		} else if len(list) >= maxRecorders {
			return nil, station.Errorf(http.StatusConflict, "recorder.many", "remove one that is not used", "there are %d recorders already", len(list))
		}
		mayKeep := before.HasPassword && before.Host == r.Host && before.Username == r.Username && (before.ONVIF == r.ONVIF || sameHost(before.ONVIF, r.ONVIF))
		if r.HasPassword, err = putSecret(tx, recorderSecret(r.ID), password, mayKeep); err != nil {
			return nil, err
		}
		if err := store.Put(tx, key(recorderTable, r.ID), r); err != nil {
			return nil, err
		}
		if before.ID != "" && (before.Host != r.Host || before.ONVIF != r.ONVIF) {
			// The machine has another address, and so have the cameras behind it.
			cameras, err := camerasOf(tx, r.ID)
			if err != nil {
				return nil, err
			}
			for _, c := range cameras {
				if c.HasPassword || checkBehind(before, c) != nil {
					continue // it has an account and an address of its own
				}
				c.URL, c.Sub = moved(c.URL, r.Host), moved(c.Sub, r.Host)
				if c.ONVIF != "" {
					c.ONVIF = r.ONVIF
				}
				if _, err := putCamera(tx, c, "", cmd.Actor, now); err != nil {
					return nil, err
				}
			}
		}
		return r, setupEvent(tx, "recorder/"+r.ID, cmd.Actor, now, r)
	}}, nil
}

// moved is an address at another host.
func moved(address, host string) string {
	u, err := url.Parse(address)
	if err != nil || address == "" {
		return address
	}
	u.Host = host
	return u.String()
}

func recorders(tx *store.Tx) (list []station.Recorder, err error) {
	err = store.Each(tx, recorderTable, func(_ store.Key, r station.Recorder) error {
		list = append(list, r)
		return nil
	})
	return list, err
}

func camerasOf(tx *store.Tx, recorder string) (list []station.Camera, err error) {
	err = store.Each(tx, cameraTable, func(_ store.Key, c station.Camera) error {
		if c.Node == "" && c.Recorder == recorder {
			list = append(list, c)
		}
		return nil
	})
	return list, err
}

func prepareRemoveRecorder(a *Agent, cmd station.Command) (plan, error) {
	var o station.RecorderRemoval
	if len(cmd.Body) > 0 {
		var err error
		if o, err = decodeBody[station.RecorderRemoval](cmd); err != nil {
			return plan{}, err
		}
	}
	now := a.now()
	return plan{subject: "recorder/" + cmd.Subject, lane: station.LaneNormal, registry: true, apply: func(tx *store.Tx) (any, error) {
		r, ok, err := store.Get[station.Recorder](tx, key(recorderTable, cmd.Subject))
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, station.ErrNotFound.At("recorder/" + cmd.Subject)
		}
		cameras, err := camerasOf(tx, r.ID)
		if err != nil {
			return nil, err
		}
		if len(cameras) > 0 && !o.Cameras {
			return nil, station.Errorf(http.StatusConflict, "recorder.cameras", "remove them first, or with it", "%d cameras are behind this recorder", len(cameras))
		}
		for _, c := range cameras {
			if err := a.authorizeSight(tx, cmd.Actor, "camera/"+c.ID); err != nil {
				return nil, err
			}
			if err := removeCamera(tx, c, cmd.Actor.Account, now); err != nil {
				return nil, err
			}
		}
		if err := errors.Join(tx.Delete(key(recorderTable, r.ID)), tx.DeleteSecret(recorderSecret(r.ID))); err != nil {
			return nil, err
		}
		return nil, setupEvent(tx, "recorder/"+r.ID, cmd.Actor, now, map[string]any{"id": r.ID, "removed": true})
	}}, nil
}

func prepareImportRecorder(a *Agent, cmd station.Command) (plan, error) {
	o, err := decodeBody[station.RecorderImport](cmd)
	if err != nil {
		return plan{}, err
	}
	if len(o.Channels) == 0 || len(o.Channels) > maxChannels {
		return plan{}, invalid("channels", fmt.Sprintf("choose 1 to %d", maxChannels), "no channel is chosen, or too many")
	}
	seen := map[string]bool{}
	for i, ch := range o.Channels {
		place := "channels." + strconv.Itoa(i)
		if ch.Channel == "" || seen[ch.Channel] {
			return plan{}, invalid(place, "name each channel once", "the channel has no name, or is named twice")
		}
		seen[ch.Channel] = true
	}
	now := a.now()
	return plan{subject: "recorder/" + cmd.Subject, lane: station.LaneNormal, registry: true, apply: func(tx *store.Tx) (any, error) {
		r, ok, err := store.Get[station.Recorder](tx, key(recorderTable, cmd.Subject))
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, station.ErrNotFound.At("recorder/" + cmd.Subject)
		}
		cameras, err := camerasOf(tx, r.ID)
		if err != nil {
			return nil, err
		}
		there := map[string]station.Camera{}
		for _, c := range cameras {
			there[c.Channel] = c
		}
		result := station.RecorderImported{Missing: []string{}}
		for i, ch := range o.Channels {
			c, known := there[ch.Channel]
			if !known {
				c = station.Camera{
					ID: channelID(r.ID, ch.Channel), Name: ch.Name, Place: r.Place, Recorder: r.ID, Channel: ch.Channel, Record: o.Record, OnDemand: o.OnDemand,
					Owner: o.Owner, OwnerName: o.OwnerName, Roles: o.Roles,
				}
				if c.Name == "" {
					c.Name = r.Name + " " + ch.Channel
				}
				if runes := []rune(c.Name); len(runes) > 60 {
					c.Name = string(runes[:60])
				}
				if _, taken, err := store.Get[station.Camera](tx, key(cameraTable, c.ID)); err != nil {
					return nil, err
				} else if taken {
					return nil, station.Errorf(http.StatusConflict, "recorder.taken", "give that camera another ID, or remove it", "there is a camera %q already that is no channel of this recorder", c.ID)
				}
			}
			delete(there, ch.Channel)
			if seen, err := sees(tx, cmd.Actor, c.ID); err != nil {
				return nil, err
			} else if known && !seen {
				result.Kept++ // as it is
				continue
			}
			before := c
			c.URL, c.Sub, c.Profile, c.SubProfile = ch.URL, ch.Sub, ch.Profile, ch.SubProfile
			if ch.Profile != "" || c.ONVIF != "" {
				c.ONVIF = r.ONVIF
			}
			c, password, err := checkCamera(c, "")
			if err == nil && c.HasPassword {
				password = station.SecretMask
			}
			if err == nil {
				err = checkBehind(r, c)
			}
			if err != nil {
				return nil, station.Under("channels."+strconv.Itoa(i), err)
			}
			if known {
				result.Kept++
				if equalRecords(before, c) {
					continue
				}
			} else {
				result.Added++
			}
			if _, err := putCamera(tx, c, password, cmd.Actor, now); err != nil {
				return nil, station.Under("channels."+strconv.Itoa(i), err)
			}
		}
		for _, c := range there {
			result.Missing = append(result.Missing, c.ID)
		}
		slices.Sort(result.Missing)
		return result, setupEvent(tx, "recorder/"+r.ID, cmd.Actor, now, r)
	}}, nil
}

// channelID is the ID of the camera of a recorder's channel.
func channelID(recorder, channel string) string {
	slug := strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, channel), "-")
	id := recorder + "-" + slug
	if slug == "" || len(id) > 64 {
		id = idOf(station.SensorSource{Broker: recorder, Topic: channel})
	}
	return id
}

func equalRecords(a, b any) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && string(x) == string(y)
}

// Recorders lists the recorders.
func (a *Agent) Recorders() ([]station.Recorder, error) {
	return all[station.Recorder](a, recorderTable)
}

// RecorderChannels lists a recorder's channels as they can be imported: by asking
// it, or by the pattern of its addresses.
func (a *Agent) RecorderChannels(ctx context.Context, id string) ([]station.RecorderChannel, error) {
	var r station.Recorder
	var password station.Secret
	var cameras []station.Camera
	err := a.store.View(func(tx *store.Tx) (err error) {
		var ok bool
		if r, ok, err = store.Get[station.Recorder](tx, key(recorderTable, id)); err != nil {
			return err
		}
		if !ok {
			return station.ErrNotFound.At("recorder/" + id)
		}
		if password, err = a.password(tx, recorderSecret(id)); err != nil {
			return err
		}
		cameras, err = camerasOf(tx, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	list := templateChannels(r)
	if r.Kind == station.RecorderONVIF {
		if a.channels == nil {
			return nil, station.Errorf(http.StatusConflict, "recorder.onvif", "choose its maker, and its channels follow the maker's pattern", "this node asks no recorder")
		}
		if list, err = a.channels(ctx, r, password); err != nil {
			return nil, err
		}
	}
	for i := range list {
		for _, c := range cameras {
			if c.Channel == list[i].Channel {
				list[i].Camera = c.ID
			}
		}
	}
	return list, nil
}

type (
	recorderList struct {
		Recorders []station.Recorder `json:"recorders"`
	}
	channelList struct {
		Channels []station.RecorderChannel `json:"channels"`
	}
)

func (a *Agent) cameraRoutes() []station.Route {
	const path, csvType = "/api/v1/recorders", "text/csv"
	return []station.Route{
		{Pattern: "GET " + path, Permission: station.PermWatch, Summary: "List the recorders", Reply: recorderList{}, Handler: list(a.Recorders, func(v []station.Recorder) any { return recorderList{v} })},
		{Pattern: "PUT " + path + "/{id}", Permission: station.PermConfigure, Resource: "recorder/{id}", Summary: "Add or change a recorder", Body: station.RecorderOrder{}, Reply: station.Recorder{}, Params: commandParams, Handler: a.put(station.CommandPutRecorder, "id")},
		{Pattern: "DELETE " + path + "/{id}", Permission: station.PermConfigure, Resource: "recorder/{id}", Summary: "Remove a recorder; with cameras=true those behind it too", Status: http.StatusNoContent, Params: append([]station.Param{{Name: "cameras", In: "query", Type: "boolean", Summary: "its cameras too"}}, commandParams...), Handler: station.Handler(a.deleteRecorder)},
		{Pattern: "POST " + path + "/{id}/channels", Permission: station.PermConfigure, Resource: "recorder/{id}", Summary: "List a recorder's channels; may ask the recorder", Reply: channelList{}, Handler: station.Handler(a.postChannels)},
		{Pattern: "POST " + path + "/{id}/import", Permission: station.PermConfigure, Resource: "recorder/{id}", Summary: "Make cameras of channels; adds, and removes nothing", Body: station.RecorderImport{}, Reply: station.RecorderImported{}, Params: commandParams, Handler: station.Handler(a.postRecorderImport)},
		{Pattern: "GET /api/v1/cameras.csv", Permission: station.PermConfigure, Resource: "cameras", Summary: "The cameras as a CSV file, without passwords", Params: []station.Param{{Name: "lang", In: "query", Type: "string", Summary: "of the header: zh or en"}}, ReplyType: csvType, Handler: station.Handler(a.getCamerasCSV)},
		{Pattern: "POST /api/v1/cameras.csv", Permission: station.PermConfigure, Resource: "cameras", Summary: "Add and change cameras by a CSV file: all lines or none", Params: append([]station.Param{{Name: "try", In: "query", Type: "boolean", Summary: "only tell what would become of it"}}, commandParams...), BodyType: csvType, Reply: station.ImportReport{}, Handler: station.Handler(a.postCamerasCSV)},
	}
}

func (a *Agent) deleteRecorder(w http.ResponseWriter, r *http.Request) error {
	with := r.URL.Query().Get("cameras")
	if err := a.command(r, station.CommandRemoveRecorder, r.PathValue("id"), station.RecorderRemoval{Cameras: with == "true" || with == "1"}, nil); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *Agent) postChannels(w http.ResponseWriter, r *http.Request) error {
	list, err := a.RecorderChannels(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	if list == nil {
		list = []station.RecorderChannel{}
	}
	return station.WriteJSON(w, http.StatusOK, channelList{list})
}

func (a *Agent) postRecorderImport(w http.ResponseWriter, r *http.Request) error {
	var o station.RecorderImport
	if err := station.ReadJSON(w, r, &o); err != nil {
		return err
	}
	var result station.RecorderImported
	if err := a.command(r, station.CommandImportRecorder, r.PathValue("id"), o, &result); err != nil {
		return err
	}
	return station.WriteJSON(w, http.StatusOK, result)
}
