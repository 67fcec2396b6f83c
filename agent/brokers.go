package agent

import (
	"stationd/agent/account"
	"stationd/agent/station"
	"stationd/agent/store"
)

// Where sensors are heard: outside brokers, and who may publish to the built-in
// one.

func preparePutBroker(a *Agent, cmd station.Command) (plan, error) {
	o, err := decodeBody[station.BrokerOrder](cmd)
	if err != nil {
		return plan{}, err
	}
	b, password := o.Broker, o.Password
	if err := checkID("id", b.ID); err != nil {
		return plan{}, err
	}
	var clean, user string
	var inURL station.Secret
	if b.ID != station.EmbeddedBroker { // of the built-in one only the families are set
		if clean, user, inURL, err = splitCredentials(b.URL); err != nil {
			return plan{}, err
		}
		b.URL = clean
	}
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
