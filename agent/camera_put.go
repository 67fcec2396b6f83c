package agent

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"stationd/agent/account"
	"stationd/agent/station"
	"stationd/agent/store"
)

// A camera on its way into the store: what may stand in it, whose password it uses.

// checkCamera reports every fault that can be seen without the store, and returns
// the camera as it is kept: addresses without credentials.
func checkCamera(c station.Camera, password station.Secret) (station.Camera, station.Secret, error) {
	c.Node = ""
	faults := []error{checkID("id", c.ID), checkText("name", c.Name, 60), checkText("place", c.Place, 120), checkText("username", c.Username, 120)}
	if strings.TrimSpace(c.Name) == "" {
		faults = append(faults, invalid("name", "give the name that the screen shows", "the camera has no name"))
	}
	user, inURL, err := checkStreams(&c)
	faults = append(faults, err, checkRecording(c), checkOwner(c), checkONVIF(&c))
	if c.Recorder != "" {
		faults = append(faults, checkID("recorder", c.Recorder))
	}
	if err := errors.Join(faults...); err != nil {
		return c, "", err
	}
	if user != "" {
		c.Username = user
	}
	if inURL != "" && (password == "" || password.Unchanged()) {
		password = inURL
	}
	return c, password, nil
}

func checkRecording(c station.Camera) error {
	switch c.Recording {
	case "", station.RecordAlways, station.RecordEvents:
		if len(c.RecordHours) > 0 && c.Recording != station.RecordEvents {
			return invalid("recordHours", "set the recording to hours, or take the hours out", "hours are given, and it is recorded always")
		}
	case station.RecordHours:
		if len(c.RecordHours) == 0 {
			return invalid("recordHours", "give at least one span", "it is recorded in hours, and there are none")
		}
	default:
		return invalid("recording", "write always, hours or events", "the recording %q is not known", c.Recording)
	}
	if len(c.RecordHours) > 50 {
		return invalid("recordHours", "use at most 50 spans", "there are too many spans")
	}
	return station.Under("recordHours", station.CheckWindows(c.RecordHours))
}

// cameraOwners are the owners that there are; the empty one is the station.
func cameraOwners() []station.CameraOwner {
	return []station.CameraOwner{"", station.OwnerPolice, station.OwnerEnterprise, station.OwnerProperty, station.OwnerSite, station.OwnerOther}
}

func checkOwner(c station.Camera) error {
	faults := []error{checkText("ownerName", c.OwnerName, 60)}
	if !slices.Contains(cameraOwners(), c.Owner) {
		faults = append(faults, invalid("owner", "write police, enterprise, property, site or other; nothing for the station's own", "the owner %q is not known", c.Owner))
	}
	for i, role := range c.Roles {
		switch {
		case !slices.Contains(account.Roles(), role) && role != account.RoleDisplay:
			faults = append(faults, invalid("roles", "choose among "+strings.Join(append(account.Roles(), account.RoleDisplay), ", "), "there is no role %q", role))
		case slices.Contains(c.Roles[:i], role):
			faults = append(faults, invalid("roles", "name it once", "the role %q is named twice", role))
		}
	}
	return errors.Join(faults...)
}

// checkONVIF checks the address of the device service and completes it.
func checkONVIF(c *station.Camera) error {
	faults := []error{checkText("profile", c.Profile, 100), checkText("subProfile", c.SubProfile, 100), checkText("channel", c.Channel, 100)}
	if c.ONVIF != "" {
		var err error
		c.ONVIF, err = onvifAddress(c.ONVIF)
		faults = append(faults, err)
		if err == nil && !sameMachine(c.ONVIF, c.URL) {
			// One account is used for both, so both are one machine's.
			faults = append(faults, invalid("onvif", "write the ONVIF address of the machine that the pictures come from", "the ONVIF address is another machine's"))
		}
	}
	return errors.Join(faults...)
}

func onvifAddress(text string) (string, error) {
	text = strings.TrimSpace(text)
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil {
		return "", invalid("onvif", "write http://address/onvif/device_service, without an account", "this is no ONVIF address")
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/onvif/device_service"
	}
	u.Fragment = ""
	return u.String(), nil
}

// sameMachine tells whether two addresses are one host's, whatever the port.
func sameMachine(a, b string) bool {
	x, err1 := url.Parse(a)
	y, err2 := url.Parse(b)
	return err1 == nil && err2 == nil && strings.EqualFold(x.Hostname(), y.Hostname())
}

// putCamera stores a checked camera with its password, and tells of it. A channel of
// a recorder without a password of its own uses the recorder's, and must therefore
// be at the recorder's address.
func putCamera(tx *store.Tx, c station.Camera, password station.Secret, actor station.Actor, now time.Time) (station.Camera, error) {
	before, known, err := store.Get[station.Camera](tx, key(cameraTable, c.ID))
	if err != nil {
		return c, err
	}
	if known && before.Node != "" {
		return c, invalid("id", "change it at the station", "the camera belongs to the station %s", before.Node)
	}
	if err := checkPosition(tx, c.Position); err != nil {
		return c, err
	}
	if err := checkSight(tx, actor, c); err != nil {
		return c, err
	}
	mayKeep := before.HasPassword && sameHost(before.URL, c.URL) && before.Username == c.Username && (c.ONVIF == before.ONVIF || sameHost(before.ONVIF, c.ONVIF))
	if c.Recorder != "" {
		rec, ok, err := store.Get[station.Recorder](tx, key(recorderTable, c.Recorder))
		if err != nil {
			return c, err
		}
		if !ok {
			return c, invalid("recorder", "add the recorder first, or leave it out", "there is no recorder %q", c.Recorder)
		}
		if password == "" || password.Unchanged() && !before.HasPassword {
			if err := checkBehind(rec, c); err != nil {
				return c, err
			}
			password = ""
			c.Username = "" // the recorder's, whatever that will be
		}
	}
	if c.HasPassword, err = putSecret(tx, cameraSecret(c.ID), password, mayKeep); err != nil {
		return c, err
	}
	if err := store.Put(tx, key(cameraTable, c.ID), c); err != nil {
		return c, err
	}
	return c, appendEvent(tx, station.LaneNormal, station.EventCameraChanged, "camera/"+c.ID, actor.Account, now, c)
}

// removeCamera lets go of a camera; its record stays until its time.
func removeCamera(tx *store.Tx, c station.Camera, actor string, now time.Time) error {
	for _, k := range []store.Key{key(cameraTable, c.ID), key(camStTable, c.ID)} {
		if err := tx.Delete(k); err != nil {
			return err
		}
	}
	if err := errors.Join(tx.DeleteSecret(cameraSecret(c.ID)), endUp(tx, now, upCamera, c.ID)); err != nil {
		return err
	}
	if err := errors.Join(keepSight(tx, c), takeCameraFromWalls(tx, c.ID)); err != nil {
		return err
	}
	if err := takeCameraFromSensors(tx, c.ID, actor, now); err != nil {
		return err
	}
	return appendEvent(tx, station.LaneNormal, station.EventCameraRemoved, "camera/"+c.ID, actor, now, c)
}

// cameraLogin is a camera with the account that it is reached by: its own, or its
// recorder's.
func (a *Agent) cameraLogin(tx *store.Tx, c station.Camera) (station.Camera, station.Secret, error) {
	if c.Recorder != "" && !c.HasPassword {
		rec, ok, err := store.Get[station.Recorder](tx, key(recorderTable, c.Recorder))
		if err != nil {
			return c, "", err
		}
		if ok && checkBehind(rec, c) == nil {
			c.Username = rec.Username
			password, err := a.password(tx, recorderSecret(rec.ID))
			return c, password, err
		}
	}
	password, err := a.password(tx, cameraSecret(c.ID))
	return c, password, err
}

// CameraLink is a camera with the account that it is reached by.
func (a *Agent) CameraLink(id string) (CameraLink, error) {
	var link CameraLink
	err := a.store.View(func(tx *store.Tx) error {
		c, ok, err := store.Get[station.Camera](tx, key(cameraTable, id))
		if err != nil {
			return err
		}
		if !ok || c.Node != "" {
			return station.ErrNotFound.At("camera/" + id)
		}
		link.Camera, link.Password, err = a.cameraLogin(tx, c)
		return err
	})
	return link, err
}
