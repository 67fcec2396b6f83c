package centre

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"stationd/agent/station"
	"stationd/uplink/linetest"
	"stationd/uplink/pki"
	"stationd/uplink/protocol"
)

// clipServer is the stations' HTTPS port. It takes clips in; the protocol is in the package comment.
type clipServer struct {
	cfg      Config
	store    ClipStore
	log      *slog.Logger
	listener net.Listener
	server   *http.Server
	mux      *http.ServeMux
	slots    chan struct{} // one for each piece in memory

	mu   sync.Mutex
	busy map[claim]bool         // clips that a request works on
	node map[station.NodeID]int // requests of one station
}

type claim struct {
	node station.NodeID
	id   string
}

// perNodeUploads is how many pieces one station may send at once; the program
// itself sends one. It keeps a station that drips from taking all the slots.
const perNodeUploads = 4

// listenClips opens the HTTPS port. Whoever shows a certificate must be let in;
// without one there is the enrolment alone.
func (c *Centre) listenClips(ctx context.Context, t *tls.Config, open *guests) (*clipServer, error) {
	cfg, deps := c.cfg, c.deps
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.ClipsListen)
	if err != nil {
		return nil, fmt.Errorf("listen for clips on %q: %w", cfg.ClipsListen, err)
	}
	s := &clipServer{cfg: cfg, store: deps.Clips, log: deps.Log, listener: ln, slots: make(chan struct{}, cfg.MaxUploads), busy: map[claim]bool{}, node: map[station.NodeID]int{}}
	mux := http.NewServeMux()
	s.mux = mux
	if deps.Clips != nil {
		mux.HandleFunc("HEAD "+protocol.ClipsPath+"{id}", open.admitted(s.serve))
		mux.HandleFunc("PATCH "+protocol.ClipsPath+"{id}", open.admitted(s.serve))
	}
	if deps.Enrolments != nil {
		c.mountEnrolment(mux, open.admitted)
	}
	mux.Handle(linetest.Path, open.admitted(linetest.NewHandler().ServeHTTP))
	s.server = &http.Server{
		Handler: mux, TLSConfig: t,
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
		// A piece is small; a line on which it takes longer sends it again.
		ReadTimeout: 2 * time.Minute, WriteTimeout: 3 * time.Minute,
		ErrorLog:    slog.NewLogLogger(deps.Log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return ctx },
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return open.with(linetest.ConnContext(ctx, c), c)
		}, ConnState: open.changed,
	}
	return s, nil
}

func (s *clipServer) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = s.server.Close() })
	defer stop()
	err := s.server.ServeTLS(s.listener, "", "")
	if errors.Is(err, http.ErrServerClosed) {
		// Close does not wait for handlers; the slots tell when they are done.
		for range cap(s.slots) {
			s.slots <- struct{}{}
		}
		return nil
	}
	return fmt.Errorf("serve clips: %w", err)
}

// upload is what a request says about a clip.
type upload struct {
	node   station.NodeID
	id     string
	size   int64
	sha256 string
}

func (s *clipServer) serve(w http.ResponseWriter, r *http.Request) {
	if err := s.take(w, r); err != nil {
		p := problemOf(err)
		if p.Status >= 500 {
			s.log.Error("clip not taken", "clip", r.PathValue("id"), "remote", r.RemoteAddr, "error", err)
		}
		writeProblem(w, p)
	}
}

func (s *clipServer) take(w http.ResponseWriter, r *http.Request) error {
	u, err := s.read(r)
	if err != nil {
		return err
	}
	c := claim{u.node, u.id}
	if err := s.claim(c); err != nil {
		w.Header().Set("Retry-After", "2")
		return err
	}
	defer s.release(c)
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		w.Header().Set("Retry-After", "2")
		return station.Errorf(503, "clip.busy", "the station tries again by itself", "too many clips are coming in")
	}
	in, err := s.store.Receive(r.Context(), u.node, u.id, u.size, u.sha256)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	if r.Method == http.MethodHead {
		w.Header().Set(protocol.HeaderOffset, strconv.FormatInt(in.Offset(), 10))
		return nil
	}
	return s.append(w, r, u, in)
}

// append takes one piece in, whole or not at all.
func (s *clipServer) append(w http.ResponseWriter, r *http.Request, u upload, in Receiving) error {
	have := in.Offset()
	w.Header().Set(protocol.HeaderOffset, strconv.FormatInt(have, 10))
	at, err := strconv.ParseInt(r.Header.Get(protocol.HeaderOffset), 10, 64)
	if err != nil {
		return station.Errorf(400, "clip.offset", "", "%s is no number", protocol.HeaderOffset)
	}
	if at != have {
		return station.Errorf(409, "clip.offset", "go on at the offset that is told", "the piece starts at %d, there are %d bytes", at, have)
	}
	piece, err := io.ReadAll(http.MaxBytesReader(w, r.Body, protocol.MaxChunk))
	if err != nil {
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			return station.Errorf(413, "clip.chunk-size", "send smaller pieces", "a piece has at most %d bytes", protocol.MaxChunk)
		}
		return station.Errorf(400, "clip.cut", "the station tries again by itself", "the piece did not come whole").Because(err)
	}
	if int64(len(piece)) > u.size-have {
		return station.Errorf(400, "clip.length", "", "the piece reaches beyond the clip's end")
	}
	if sum := sha256.Sum256(piece); hex.EncodeToString(sum[:]) != r.Header.Get(protocol.HeaderChunkSHA256) {
		return station.Errorf(400, "clip.chunk", "the station sends it again", "the piece was damaged on its way")
	}
	if len(piece) > 0 {
		if _, err := in.Write(piece); err != nil {
			return fmt.Errorf("store a piece of clip %s: %w", u.id, err)
		}
	}
	have = in.Offset()
	w.Header().Set(protocol.HeaderOffset, strconv.FormatInt(have, 10))
	if have < u.size {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	if err := in.Finish(); err != nil {
		return fmt.Errorf("finish clip %s: %w", u.id, err)
	}
	s.log.Info("clip received", "node", u.node, "clip", u.id, "size", u.size)
	w.WriteHeader(http.StatusCreated)
	return nil
}

func (s *clipServer) read(r *http.Request) (upload, error) {
	u := upload{id: r.PathValue("id"), sha256: r.Header.Get(protocol.HeaderSHA256)}
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return u, station.Errorf(401, "clip.stranger", "", "no certificate")
	}
	var err error
	if u.node, err = pki.NodeOf(r.TLS.PeerCertificates[0]); err != nil {
		return u, station.Errorf(403, "clip.stranger", "", "the certificate is no station's")
	}
	if !protocol.ValidClip(u.id) {
		return u, station.Errorf(400, "clip.id", "", "this cannot be a clip's ID")
	}
	if u.size, err = strconv.ParseInt(r.Header.Get(protocol.HeaderLength), 10, 64); err != nil || u.size <= 0 {
		return u, station.Errorf(400, "clip.length", "", "%s is missing", protocol.HeaderLength)
	}
	if u.size > s.cfg.MaxClip {
		return u, station.Errorf(413, "clip.size", "raise max_clip at the centre", "a clip has at most %d bytes here", s.cfg.MaxClip)
	}
	if b, err := hex.DecodeString(u.sha256); err != nil || len(b) != sha256.Size {
		return u, station.Errorf(400, "clip.digest", "", "%s is missing", protocol.HeaderSHA256)
	}
	return u, nil
}

// claim lets one request at a time work on a clip.
func (s *clipServer) claim(c claim) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.busy[c]:
		return station.Errorf(423, "clip.locked", "the station tries again by itself", "another connection is sending this clip")
	case s.node[c.node] >= perNodeUploads:
		return station.Errorf(429, "clip.greedy", "send one clip at a time", "this station sends %d pieces at once already", perNodeUploads)
	}
	s.busy[c] = true
	s.node[c.node]++
	return nil
}

func (s *clipServer) release(c claim) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.busy, c)
	if s.node[c.node]--; s.node[c.node] == 0 {
		delete(s.node, c.node)
	}
}
