package restream

import (
	"context"
	"net"
	"strings"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/headers"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"

	"stationd/agent/station"
)

// handler answers the requests of one address; its methods are no business of
// those who use the Server.
type handler struct {
	*Server
	rtsp *gortsplib.Server
}

// guest is who speaks over a connection. A connection is answered one request
// after the other, so nothing here is guarded.
type guest struct {
	address           string
	account, password string // as they were given last
	visit             string // empty before they were right
}

// pictureWait is how long a description waits for a camera to say what it sends.
const pictureWait = 8 * time.Second

func status(code base.StatusCode) *base.Response { return &base.Response{StatusCode: code} }

// OnConnOpen implements gortsplib.ServerHandlerOnConnOpen.
func (h *handler) OnConnOpen(ctx *gortsplib.ServerHandlerOnConnOpenCtx) {
	host, _, _ := net.SplitHostPort(ctx.Conn.NetConn().RemoteAddr().String())
	h.mu.Lock()
	h.guests[ctx.Conn] = &guest{address: host}
	h.mu.Unlock()
}

// OnConnClose implements gortsplib.ServerHandlerOnConnClose.
func (h *handler) OnConnClose(ctx *gortsplib.ServerHandlerOnConnCloseCtx) {
	h.mu.Lock()
	g := h.guests[ctx.Conn]
	delete(h.guests, ctx.Conn)
	h.mu.Unlock()
	if g == nil || g.visit == "" {
		return
	}
	leaving, cancel := context.WithTimeout(context.WithoutCancel(h.life), 5*time.Second)
	defer cancel()
	h.deps.Guard.Leave(leaving, g.visit)
}

// OnDescribe implements gortsplib.ServerHandlerOnDescribe.
func (h *handler) OnDescribe(ctx *gortsplib.ServerHandlerOnDescribeCtx) (*base.Response, *gortsplib.ServerStream, error) {
	camera, role, ok := split(ctx.Path)
	if !ok {
		return status(base.StatusNotFound), nil, nil
	}
	if _, res, err := h.admit(ctx.Conn, ctx.Request, camera); res != nil {
		return res, nil, err
	}
	c, res := h.open(camera, role)
	if res != nil {
		return res, nil, nil
	}
	defer c.release()
	sdp, err := c.sdp()
	if err != nil {
		return status(base.StatusInternalServerError), nil, err
	}
	return &base.Response{StatusCode: base.StatusOK, Body: sdp}, nil, nil
}

// OnSetup implements gortsplib.ServerHandlerOnSetup.
func (h *handler) OnSetup(ctx *gortsplib.ServerHandlerOnSetupCtx) (*base.Response, *gortsplib.ServerStream, error) {
	camera, role, ok := split(ctx.Path)
	if !ok {
		return status(base.StatusNotFound), nil, nil
	}
	g, res, err := h.admit(ctx.Conn, ctx.Request, camera)
	if res != nil {
		return res, nil, err
	}
	if ctx.Transport == gortsplib.TransportUDPMulticast {
		return status(base.StatusUnsupportedTransport), nil, nil
	}
	h.mu.Lock()
	c := h.consumers[ctx.Session]
	h.mu.Unlock()
	if c != nil {
		if c.camera != camera || c.role != role {
			return status(base.StatusBadRequest), nil, nil
		}
		return status(base.StatusOK), c.out, nil
	}
	if c, res = h.open(camera, role); res != nil {
		return res, nil, nil
	}
	c.session, c.spread = ctx.Session, ctx.Transport != gortsplib.TransportTCP
	c.visit, c.address = g.visit, g.address
	c.out = &gortsplib.ServerStream{Server: h.rtsp, Desc: c.description}
	if err := c.out.Initialize(); err != nil {
		c.release()
		return status(base.StatusInternalServerError), nil, err
	}
	h.mu.Lock()
	h.consumers[ctx.Session] = c
	h.mu.Unlock()
	return status(base.StatusOK), c.out, nil
}

// OnPlay implements gortsplib.ServerHandlerOnPlay.
func (h *handler) OnPlay(ctx *gortsplib.ServerHandlerOnPlayCtx) (*base.Response, error) {
	h.mu.Lock()
	c := h.consumers[ctx.Session]
	h.mu.Unlock()
	if c == nil {
		return status(base.StatusSessionNotFound), nil
	}
	if _, res, err := h.admit(ctx.Conn, ctx.Request, c.camera); res != nil {
		return res, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.life.Err() != nil {
		return status(base.StatusServiceUnavailable), nil
	}
	if c.cancel == nil { // a second PLAY goes on
		life, cancel := context.WithCancel(h.life)
		c.cancel = cancel
		h.work.Go(func() { h.serve(life, c) })
	}
	return status(base.StatusOK), nil
}

// OnSessionClose implements gortsplib.ServerHandlerOnSessionClose.
func (h *handler) OnSessionClose(ctx *gortsplib.ServerHandlerOnSessionCloseCtx) {
	h.mu.Lock()
	c := h.consumers[ctx.Session]
	delete(h.consumers, ctx.Session)
	playing := c != nil && c.cancel != nil
	if playing {
		c.cancel()
	}
	h.mu.Unlock()
	if c != nil && !playing {
		c.end()
	}
}

// OnStreamWriteError implements gortsplib.ServerHandlerOnStreamWriteError: the
// packet that is being written was not taken.
func (h *handler) OnStreamWriteError(ctx *gortsplib.ServerHandlerOnStreamWriteErrorCtx) {
	h.mu.Lock()
	c := h.consumers[ctx.Session]
	h.mu.Unlock()
	if c != nil {
		c.full.Store(true)
	}
}

// admit asks whether who sent the request may see the camera. The response is
// nil when they may.
func (h *handler) admit(conn *gortsplib.ServerConn, req *base.Request, camera string) (*guest, *base.Response, error) {
	h.mu.Lock()
	g, life := h.guests[conn], h.life
	h.mu.Unlock()
	if g == nil {
		return nil, status(base.StatusServiceUnavailable), nil
	}
	ctx, cancel := context.WithTimeout(life, 10*time.Second)
	defer cancel()
	var given headers.Authorization
	if err := given.Unmarshal(req.Header["Authorization"]); err != nil || given.Method != headers.AuthMethodBasic {
		if g.visit == "" {
			return nil, status(base.StatusUnauthorized), liberrors.ErrServerAuth{}
		}
	} else if g.visit == "" || given.Username != g.account || given.BasicPass != g.password {
		visit, err := h.deps.Guard.Enter(ctx, given.Username, station.Secret(given.BasicPass), g.address)
		if err != nil {
			h.refused("sign-in", camera, g, err)
			return nil, status(base.StatusUnauthorized), liberrors.ErrServerAuth{}
		}
		if g.visit != "" {
			h.deps.Guard.Leave(ctx, g.visit)
		}
		g.account, g.password, g.visit = given.Username, given.BasicPass, visit
	}
	if err := h.deps.Guard.May(ctx, g.visit, g.address, camera); err != nil {
		h.refused("camera", camera, g, err)
		return nil, status(base.StatusForbidden), nil
	}
	return g, nil, nil
}

func (h *handler) refused(what, camera string, g *guest, err error) {
	h.mu.Lock()
	h.usage.Refused++
	h.mu.Unlock()
	h.log.Info("consumer refused", "what", what, "camera", camera, "address", g.address, "err", err)
}

// open finds the camera's stream and waits until it is known what it sends.
func (h *handler) open(camera string, role station.StreamRole) (*consumer, *base.Response) {
	ctx, cancel := context.WithTimeout(h.life, pictureWait)
	defer cancel()
	from, release, err := h.deps.Cameras.Watch(ctx, camera, role)
	if err != nil {
		return nil, status(base.StatusNotFound)
	}
	for {
		changed := from.Changed()
		if p, ok := from.Params(); ok {
			c, err := newConsumer(camera, role, from, release, p)
			if err != nil {
				release()
				h.log.Warn("camera cannot be described", "camera", camera, "err", err)
				return nil, status(base.StatusUnsupportedMediaType)
			}
			return c, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			release()
			return nil, status(base.StatusServiceUnavailable)
		}
	}
}

// split takes a path apart: "/gate" or "/gate/sub".
func split(path string) (camera string, role station.StreamRole, ok bool) {
	camera, rest, more := strings.Cut(strings.Trim(path, "/"), "/")
	switch {
	case camera == "" || len(camera) > 200:
		return "", "", false
	case !more:
		return camera, station.RoleFocus, true
	case rest == "sub":
		return camera, station.RoleWall, true
	}
	return "", "", false
}
