package enrol

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"stationd/agent/station"
	"stationd/uplink/pki"
	"stationd/uplink/protocol"
)

const (
	// lookEvery is how often it is looked whether the certificate is old, give or
	// take a half, so that stations which enrolled together do not come together.
	lookEvery = 6 * time.Hour
	// triedAgain is the pause after a renewal that failed; a third of a certificate's
	// life is long.
	triedAgain = 15 * time.Minute
)

// Keep renews the certificate in the last third of its life, until ctx ends.
func (e Enrolment) Keep(ctx context.Context, log *slog.Logger) error {
	pause := time.Minute
	for {
		t := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-t.C:
		}
		pause = lookEvery
		switch renewed, err := e.Renew(ctx); {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			log.Warn("the uplink's certificate is not renewed", "err", err)
			pause = triedAgain
		case renewed:
			log.Info("the uplink's certificate is renewed")
		}
	}
}

// Renew gets the next certificate if the one that is there is in its last third, and
// tells whether it did.
func (e Enrolment) Renew(ctx context.Context) (bool, error) {
	r, err := e.Place.Record()
	if err != nil {
		return false, err
	}
	files := e.Place.Files(r)
	leaf, err := pki.Leaf(files.Certificate)
	if err != nil {
		return false, fmt.Errorf("read the certificate: %w", err)
	}
	if e.now().Before(pki.Renewable(leaf)) {
		return false, nil
	}
	return true, e.renew(ctx, r, files)
}

func (e Enrolment) renew(ctx context.Context, r Record, files pki.Files) error {
	t, err := pki.ClientTLS(files, "")
	if err != nil {
		return err
	}
	t.Time = e.now
	authority, err := os.ReadFile(files.Authority)
	if err != nil {
		return err
	}
	req, err := pki.NewRequest()
	if err != nil {
		return err
	}
	var got protocol.Enrolled
	if err := e.post(ctx, t, r.Address, protocol.CertificatePath, protocol.Renewal{Request: string(req.Request)}, &got, time.Time{}); err != nil {
		return err
	}
	if _, err := pki.Check([]byte(got.Certificate), req.Key, authority, r.Node); err != nil {
		return station.Errorf(502, "enrol.answer", "look at the centre's log; update the older program", "the centre's certificate cannot be used").Because(err)
	}
	return pki.WriteFile(filepath.Join(string(e.Place), r.Folder, identityFile), pki.Identity([]byte(got.Certificate), req.Key), 0o600)
}
