package main

import (
	"context"
	"crypto/tls"

	"stationd/agent"
	"stationd/agent/station"
	"stationd/video/restream"
)

// openRestream prepares to serve the cameras to other software.
func (n *node) openRestream() (err error) {
	var certs *tls.Config
	if n.cfg.Video.Restream.ListenTLS != "" {
		if certs, err = serverTLS(n.cfg); err != nil {
			return err
		}
	}
	n.copies = restream.New(n.cfg.Video.Restream, restream.Deps{
		Guard: consumers{n.agent}, Cameras: n.video, TLS: certs, Log: n.log.With("room", "restream"),
	})
	return nil
}

// consumers are other software, signed in with an account as people are.
type consumers struct{ agent *agent.Agent }

func (c consumers) Enter(ctx context.Context, name string, password station.Secret, address string) (string, error) {
	token, _, err := c.agent.Login(ctx, name, password, address)
	return token, err
}

func (c consumers) May(ctx context.Context, visit, address, camera string) error {
	actor, err := c.agent.Session(ctx, visit, address)
	if err != nil {
		return err
	}
	return c.agent.Authorize(actor, station.PermVideo, "camera/"+camera)
}

func (c consumers) Leave(ctx context.Context, visit string) {
	// A session that stays is worth nothing: nobody knows its token any more.
	_ = c.agent.Logout(ctx, visit)
}
