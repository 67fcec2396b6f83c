package agent

import (
	"context"
	"time"

	"stationd/agent/station"
	"stationd/agent/store"
)

// BeginImport accepts a file and carries out its first lines only, as if the
// program had ended then.
func (a *Agent) BeginImport(ctx context.Context, actor station.Actor, raw []byte) error {
	body, err := marshalResult(station.ImportOrder{CSV: raw})
	if err != nil {
		return err
	}
	p, err := prepareImportSensors(a, station.Command{Type: station.CommandImportSensors, Actor: actor, Body: body})
	if err != nil {
		return err
	}
	err = a.store.Update(ctx, station.LaneNormal, func(tx *store.Tx) error {
		_, err := p.apply(tx)
		return err
	})
	if err != nil {
		return err
	}
	accepted, f, _, err := a.acceptedImport()
	if err != nil {
		return err
	}
	return a.store.Update(ctx, station.LaneNormal, func(tx *store.Tx) error {
		_, err := a.importSome(tx, accepted, f)
		return err
	})
}

// ReadLink reads a token of an answering link that is signed by key.
func ReadLink(key station.Secret, token string, now time.Time) (alarm, contact string, err error) {
	c, err := readLink(key, token, now)
	return c.alarm, c.contact, err
}

// SignLink makes one.
func SignLink(key station.Secret, alarm, contact string, expires time.Time) string {
	return signLink(key, linkClaim{alarm, contact, expires})
}
