package agent

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"stationd/agent/account"
	"stationd/agent/station"
	"stationd/agent/store"
)

// The commands that set up sensors, cameras, brokers and devices. All of it is
// data: it is edited live and takes effect without a restart.

func invalid(place, hint, format string, args ...any) error {
	return station.Errorf(http.StatusBadRequest, "setup.invalid", hint, format, args...).At(place)
}

// checkID accepts what can stand in a path, a topic and a qualified ID.
func checkID(place, id string) error {
	if len(id) == 0 || len(id) > 64 || strings.ContainsFunc(id, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}) {
		return invalid(place, "use 1 to 64 of a-z, 0-9, '-' and '_'", "the ID %q cannot be used", id)
	}
	return nil
}

func checkText(place, text string, most int) error {
	if n := utf8.RuneCountInString(text); n > most {
		return invalid(place, fmt.Sprintf("use at most %d characters", most), "the text has %d characters", n)
	}
	return nil
}

func (a *Agent) validSensor(s station.Sensor) error {
	if err := checkText("name", s.Name, 60); err != nil {
		return err
	}
	if strings.TrimSpace(s.Name) == "" {
		return invalid("name", "give the name that the desk shows", "the sensor has no name")
	}
	if err := checkText("place", s.Place, 120); err != nil {
		return err
	}
	if s.Source.Broker == "" {
		return invalid("source.broker", "name the broker; the built-in one is "+station.EmbeddedBroker, "the sensor has no broker")
	}
	return a.checkSensor(s)
}

func preparePutSensor(a *Agent, cmd station.Command) (plan, error) {
	s, err := decodeBody[station.Sensor](cmd)
	if err != nil {
		return plan{}, err
	}
	s.Node = ""
	if err := a.validSensor(s); err != nil {
		return plan{}, err
	}
	now := a.now()
	return plan{subject: "sensor/" + s.ID, lane: station.LaneNormal, registry: true, apply: func(tx *store.Tx) (any, error) {
		// A device that appeared by itself keeps the ID it came with.
		_, known, err := store.Get[station.Sensor](tx, key(sensorTable, s.ID))
		if err != nil {
			return nil, err
		}
		if !known {
			if err := checkID("id", s.ID); err != nil {
				return nil, err
			}
		}
		for i, c := range s.Cameras {
			if _, ok, err := store.Get[station.Camera](tx, key(cameraTable, c)); err != nil {
				return nil, err
			} else if !ok {
				return nil, invalid(fmt.Sprintf("cameras[%d]", i), "add the camera first", "there is no camera %q", c)
			}
		}
		s.Adopted = true
		if err := store.Put(tx, key(sensorTable, s.ID), s); err != nil {
			return nil, err
		}
		return s, appendEvent(tx, station.LaneNormal, station.EventSensorChanged, "sensor/"+s.ID, cmd.Actor.Account, now, s)
	}}, nil
}

func prepareRemoveSensor(a *Agent, cmd station.Command) (plan, error) {
	now := a.now()
	return plan{subject: "sensor/" + cmd.Subject, lane: station.LaneNormal, registry: true, apply: func(tx *store.Tx) (any, error) {
		s, ok, err := store.Get[station.Sensor](tx, key(sensorTable, cmd.Subject))
		if err != nil {
			return nil, err
		}
		if !ok || s.Node != "" {
			return nil, station.ErrNotFound.At("sensor/" + cmd.Subject)
		}
		if err := tx.Delete(key(sensorTable, s.ID)); err != nil {
			return nil, err
		}
		if err := tx.Delete(key(stateTable, s.ID)); err != nil {
			return nil, err
		}
		return nil, appendEvent(tx, station.LaneNormal, station.EventSensorRemoved, "sensor/"+s.ID, cmd.Actor.Account, now, s)
	}}, nil
}

// splitCredentials takes user name and password out of an address.
func splitCredentials(raw string) (clean, user string, password station.Secret, err error) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", "", "", invalid("url", "check the address", "the address cannot be read")
	}
	if u.User != nil {
		p, _ := u.User.Password()
		user, password = u.User.Username(), station.Secret(p)
		u.User = nil
	}
	return u.String(), user, password, nil
}

func cameraSecret(id string) string { return "camera/" + id }
func brokerSecret(id string) string { return "broker/" + id }

func preparePutCamera(a *Agent, cmd station.Command) (plan, error) {
	o, err := decodeBody[station.CameraOrder](cmd)
	if err != nil {
		return plan{}, err
	}
	c, password := o.Camera, o.Password
	c.Node = ""
	if err := checkID("id", c.ID); err != nil {
		return plan{}, err
	}
	if strings.TrimSpace(c.Name) == "" {
		return plan{}, invalid("name", "give the name that the screen shows", "the camera has no name")
	}
	if err := checkText("name", c.Name, 60); err != nil {
		return plan{}, err
	}
	if err := checkText("place", c.Place, 120); err != nil {
		return plan{}, err
	}
	clean, user, inURL, err := splitCredentials(c.URL)
	if err != nil {
		return plan{}, err
	}
	if u, err := url.Parse(clean); err != nil || (u.Scheme != "rtsp" && u.Scheme != "rtsps") || u.Host == "" {
		return plan{}, invalid("url", "write rtsp://address/path", "the address %q is no RTSP address", clean)
	}
	c.URL = clean
	if user != "" {
		c.Username = user
	}
	if inURL != "" && (password == "" || password.Unchanged()) {
		password = inURL
	}
	now := a.now()
	return plan{subject: "camera/" + c.ID, lane: station.LaneNormal, registry: true, apply: func(tx *store.Tx) (any, error) {
		c := c
		before, _, err := store.Get[station.Camera](tx, key(cameraTable, c.ID))
		if err != nil {
			return nil, err
		}
		has, err := putSecret(tx, cameraSecret(c.ID), password, before.HasPassword && sameHost(before.URL, c.URL) && before.Username == c.Username)
		if err != nil {
			return nil, err
		}
		c.HasPassword = has
		if err := store.Put(tx, key(cameraTable, c.ID), c); err != nil {
			return nil, err
		}
		return c, appendEvent(tx, station.LaneNormal, station.EventCameraChanged, "camera/"+c.ID, cmd.Actor.Account, now, c)
	}}, nil
}

// sameHost tells whether a kept password still goes where it was given for. A
// changed address asks for the password anew: otherwise whoever may edit a
// camera could have its password sent to a machine of theirs.
func sameHost(a, b string) bool {
	x, err1 := url.Parse(a)
	y, err2 := url.Parse(b)
	return err1 == nil && err2 == nil && x.Host == y.Host && x.Scheme == y.Scheme
}

// putSecret keeps, replaces or removes a password, and tells whether there is
// one now. The mask keeps what is kept, where that may still be used.
func putSecret(tx *store.Tx, name string, password station.Secret, mayKeep bool) (bool, error) {
	switch {
	case password.Unchanged() && mayKeep:
		return true, nil
	case password.Unchanged():
		return false, invalid("password", "type the password again", "the kept password belongs to another address or user name")
	case password == "":
		return false, tx.DeleteSecret(name)
	}
	return true, tx.PutSecret(name, password)
}

func prepareRemoveCamera(a *Agent, cmd station.Command) (plan, error) {
	now := a.now()
	return plan{subject: "camera/" + cmd.Subject, lane: station.LaneNormal, registry: true, apply: func(tx *store.Tx) (any, error) {
		c, ok, err := store.Get[station.Camera](tx, key(cameraTable, cmd.Subject))
		if err != nil {
			return nil, err
		}
		if !ok || c.Node != "" {
			return nil, station.ErrNotFound.At("camera/" + cmd.Subject)
		}
		for _, k := range []store.Key{key(cameraTable, c.ID), key(camStTable, c.ID)} {
			if err := tx.Delete(k); err != nil {
				return nil, err
			}
		}
		if err := tx.DeleteSecret(cameraSecret(c.ID)); err != nil {
			return nil, err
		}
		return nil, appendEvent(tx, station.LaneNormal, station.EventCameraRemoved, "camera/"+c.ID, cmd.Actor.Account, now, c)
	}}, nil
}

func preparePutBroker(a *Agent, cmd station.Command) (plan, error) {
	o, err := decodeBody[station.BrokerOrder](cmd)
	if err != nil {
		return plan{}, err
	}
	b, password := o.Broker, o.Password
	if err := checkID("id", b.ID); err != nil {
		return plan{}, err
	}
	clean, user, inURL, err := splitCredentials(b.URL)
	if err != nil {
		return plan{}, err
	}
	b.URL = clean
	if user != "" {
		b.Username = user
	}
	if inURL != "" && (password == "" || password.Unchanged()) {
		password = inURL
	}
	if err := a.checkBroker(b); err != nil {
		return plan{}, err
	}
	return plan{subject: "broker/" + b.ID, lane: station.LaneNormal, registry: true, apply: func(tx *store.Tx) (any, error) {
		b := b
		before, _, err := store.Get[station.Broker](tx, key(brokerTable, b.ID))
		if err != nil {
			return nil, err
		}
		has, err := putSecret(tx, brokerSecret(b.ID), password, before.HasPassword && sameHost(before.URL, b.URL) && before.Username == b.Username)
		if err != nil {
			return nil, err
		}
		b.HasPassword = has
		return b, store.Put(tx, key(brokerTable, b.ID), b)
	}}, nil
}

func prepareRemoveBroker(_ *Agent, cmd station.Command) (plan, error) {
	return plan{subject: "broker/" + cmd.Subject, lane: station.LaneNormal, registry: true, apply: func(tx *store.Tx) (any, error) {
		if _, ok, err := store.Get[station.Broker](tx, key(brokerTable, cmd.Subject)); err != nil {
			return nil, err
		} else if !ok {
			return nil, station.ErrNotFound.At("broker/" + cmd.Subject)
		}
		if err := tx.DeleteSecret(brokerSecret(cmd.Subject)); err != nil {
			return nil, err
		}
		return nil, tx.Delete(key(brokerTable, cmd.Subject))
	}}, nil
}

// preparePutDevice makes, or makes anew, an account of the built-in broker.
func preparePutDevice(_ *Agent, cmd station.Command) (plan, error) {
	if err := checkID("username", cmd.Subject); err != nil {
		return plan{}, err
	}
	password, digest := account.NewToken()
	acc := station.BrokerAccount{Username: cmd.Subject, Digest: digest}
	return plan{
		subject: "device/" + cmd.Subject, lane: station.LaneNormal, registry: true,
		kept: station.DeviceCredential{Username: cmd.Subject, Password: station.SecretMask},
		apply: func(tx *store.Tx) (any, error) {
			return station.DeviceCredential{Username: cmd.Subject, Password: password}, store.Put(tx, key(deviceTable, cmd.Subject), acc)
		},
	}, nil
}

func prepareRemoveDevice(_ *Agent, cmd station.Command) (plan, error) {
	return plan{subject: "device/" + cmd.Subject, lane: station.LaneNormal, registry: true, apply: func(tx *store.Tx) (any, error) {
		if _, ok, err := store.Get[station.BrokerAccount](tx, key(deviceTable, cmd.Subject)); err != nil {
			return nil, err
		} else if !ok {
			return nil, station.ErrNotFound.At("device/" + cmd.Subject)
		}
		return nil, tx.Delete(key(deviceTable, cmd.Subject))
	}}, nil
}

func preparePutAccount(a *Agent, cmd station.Command) (plan, error) {
	o, err := decodeBody[station.AccountOrder](cmd)
	if err != nil {
		return plan{}, err
	}
	acc := account.Account{Account: o.Account, Name: strings.TrimSpace(o.Name), Role: o.Role, Disabled: o.Disabled}
	if err := acc.Validate(); err != nil {
		return plan{}, err
	}
	var hash string
	if o.Password != "" && !o.Password.Unchanged() {
		if err := account.CheckPassword(acc.Account, o.Password); err != nil {
			return plan{}, err
		}
		hash = account.Hash(o.Password)
	}
	now := a.now()
	return plan{subject: "account/" + acc.Account, lane: station.LaneNormal, apply: func(tx *store.Tx) (any, error) {
		acc := acc
		before, known, err := store.Get[account.Account](tx, key(accountTable, acc.Account))
		if err != nil {
			return nil, err
		}
		if acc.Role == account.RoleAdmin && cmd.Actor.Role != account.RoleAdmin && cmd.Actor.Role != account.RoleSystem {
			return nil, station.Errorf(http.StatusForbidden, "account.rank", "ask an administrator", "only an administrator makes administrators").At("role")
		}
		if known && before.Role == account.RoleAdmin && cmd.Actor.Role != account.RoleAdmin && cmd.Actor.Role != account.RoleSystem {
			return nil, station.Errorf(http.StatusForbidden, "account.rank", "ask an administrator", "only an administrator changes an administrator").At("account")
		}
		switch {
		case hash != "":
			acc.Hash = hash
		case known:
			acc.Hash = before.Hash
		default:
			return nil, invalid("password", "give a first password", "a new account needs a password")
		}
		acc.Created = now
		if known {
			acc.Created = before.Created
		}
		if err := store.Put(tx, key(accountTable, acc.Account), acc); err != nil {
			return nil, err
		}
		if err := keepAnAdmin(tx); err != nil {
			return nil, err
		}
		if acc.Disabled || hash != "" {
			if err := endSessions(tx, acc.Account); err != nil {
				return nil, err
			}
		}
		return acc.Public(), auditEvent(tx, station.EventAccountChanged, cmd.Actor, cmd.Type, acc.Account, now)
	}}, nil
}

func prepareRemoveAccount(a *Agent, cmd station.Command) (plan, error) {
	now := a.now()
	return plan{subject: "account/" + cmd.Subject, lane: station.LaneNormal, apply: func(tx *store.Tx) (any, error) {
		acc, ok, err := store.Get[account.Account](tx, key(accountTable, cmd.Subject))
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, station.ErrNotFound.At("account/" + cmd.Subject)
		}
		if acc.Role == account.RoleAdmin && cmd.Actor.Role != account.RoleAdmin && cmd.Actor.Role != account.RoleSystem {
			return nil, station.Errorf(http.StatusForbidden, "account.rank", "ask an administrator", "only an administrator removes an administrator").At("account")
		}
		if err := tx.Delete(key(accountTable, acc.Account)); err != nil {
			return nil, err
		}
		if err := keepAnAdmin(tx); err != nil {
			return nil, err
		}
		if err := endSessions(tx, acc.Account); err != nil {
			return nil, err
		}
		return nil, auditEvent(tx, station.EventAccountChanged, cmd.Actor, cmd.Type, acc.Account, now)
	}}, nil
}

// auditEvent journals, for the parent, that an account was changed.
func auditEvent(tx *store.Tx, kind string, actor station.Actor, action, subject string, at time.Time) error {
	row := station.Audit{At: at, Actor: actor, Action: action, Subject: "account/" + subject, Result: "ok"}
	return appendEvent(tx, station.LaneNormal, kind, row.Subject, actor.Account, at, row)
}

// keepAnAdmin refuses the change after which nobody could administer the node.
func keepAnAdmin(tx *store.Tx) error {
	found := false
	err := store.Each(tx, accountTable, func(_ store.Key, acc account.Account) error {
		if acc.Role == account.RoleAdmin && !acc.Disabled {
			found = true
			return store.ErrStop
		}
		return nil
	})
	if err == nil && !found {
		err = station.Errorf(http.StatusConflict, "account.last-admin", "make another administrator first", "this is the last administrator")
	}
	return err
}

func endSessions(tx *store.Tx, name string) error {
	var gone []store.Key
	err := store.Each(tx, sessionTable, func(k store.Key, s account.Session) error {
		if s.Account == name {
			gone = append(gone, k)
		}
		return nil
	})
	for _, k := range gone {
		if err == nil {
			err = tx.Delete(k)
		}
	}
	return err
}
