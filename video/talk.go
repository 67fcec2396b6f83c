package video

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"stationd/agent/station"
	"stationd/video/peer"
	"stationd/video/rtsp"
	"stationd/video/stream"
)

// Talking through a camera: a browser's voice comes in by WebRTC (WHIP: an offer
// is posted, the session deleted) and goes out by a session of its own at the
// camera. One person talks through a camera at a time, and not for ever.

// A talk is somebody's turn at a camera's loudspeaker.
type talk struct {
	id     string // the WebRTC session's; empty while the camera is being called
	camera string
	who    station.Actor
	began  time.Time
	until  time.Time
	life   context.Context
	end    context.CancelCauseFunc
	over   chan struct{} // closed when the loudspeaker is free
}

// Why a talk ended, as the audit has it.
var (
	errLetGo    = errors.New("the speaker let go")
	errLimit    = errors.New("the longest time for a talk was over")
	errNoRight  = errors.New("the speaker may no longer talk through this camera")
	errOtherCam = errors.New("the camera was removed, or its address changed")
	errProgram  = errors.New("the program ends")
	errAnew     = errors.New("the speaker began anew")
)

const (
	// callMost bounds reaching the camera and negotiating with the browser.
	callMost = 12 * time.Second
	// askRight is how often a speaker's right is asked for again.
	askRight = 2 * time.Second
	// noteMost bounds writing down that a talk has ended.
	noteMost = 10 * time.Second
)

var (
	errTalkOff = station.Errorf(http.StatusConflict, "talk.off", "set video.talk_most in the configuration",
		"talking through cameras is switched off at this station")
	errTalkRemote = station.Errorf(http.StatusConflict, "talk.remote", "ask the station to, by telephone or in a call",
		"only the station that a camera belongs to talks through it")
)

func errHeld(by string, until time.Time) error {
	return station.Errorf(http.StatusConflict, "talk.held", "wait until they have finished", "%s is talking through this camera", by).
		With(map[string]string{"name": by, "until": until.Format(time.RFC3339)})
}

func (s *Set) talkRoutes() []station.Route {
	return []station.Route{
		{
			Pattern:    "POST /api/v1/cameras/{id}/talk",
			Permission: station.PermAnswer,
			Resource:   "camera/{id}",
			Handler:    station.Handler(s.serveTalk),
			Summary:    "Talk through a camera's loudspeaker over WebRTC (WHIP): an offer of sound alone. CameraState.talking tells until when",
			BodyType:   sdpType,
			ReplyType:  sdpType,
			Status:     http.StatusCreated,
		},
		{
			Pattern:    "DELETE /api/v1/talk/{talk}",
			Permission: station.PermAnswer,
			Resource:   "talk/{talk}",
			Handler:    station.Handler(s.serveHangUp),
			Summary:    "Stop talking",
			Status:     http.StatusNoContent,
		},
	}
}

func (s *Set) serveTalk(w http.ResponseWriter, r *http.Request) error {
	offer, err := readOffer(w, r)
	if err != nil {
		return err
	}
	t, src, err := s.takeTurn(r.Context(), r.PathValue("id"), station.ActorFrom(r.Context()))
	if err != nil {
		return err
	}
	session, err := s.talk(r.Context(), t, src, offer)
	if err != nil {
		s.endTurn(t)
		return err
	}
	w.Header().Set("Content-Type", sdpType)
	w.Header().Set("Location", "/api/v1/talk/"+session.ID)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write([]byte(session.Answer)) // a browser that left lets the session time out
	return nil
}

// takeTurn is the camera's loudspeaker for who asks, if nobody else has it. It must
// be given back.
func (s *Set) takeTurn(ctx context.Context, id string, who station.Actor) (*talk, Source, error) {
	// Who asks may have it: by a key that was let go of a moment ago, or in a page
	// that is gone. That is over then.
	if before := s.turnOf(id, who); before != nil {
		before.end(errAnew)
		select {
		case <-before.over:
		case <-ctx.Done():
			return nil, Source{}, ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.cameras[id]
	switch _, remote := s.remotes[id]; {
	case s.cfg.TalkMost == 0:
		return nil, Source{}, errTalkOff
	case remote:
		return nil, Source{}, errTalkRemote
	case c == nil:
		return nil, Source{}, errUnknown
	case !s.runs():
		return nil, Source{}, errStopped
	case c.talk != nil:
		return nil, Source{}, errHeld(c.talk.name(), c.talk.until)
	}
	if c.asked {
		if err := c.speaker.NotSpoken(); err != nil {
			return nil, Source{}, err
		}
	}
	t := &talk{camera: id, who: who, began: time.Now(), until: time.Now().Add(s.cfg.TalkMost), over: make(chan struct{})}
	t.life, t.end = context.WithCancelCause(s.life)
	c.talk = t
	s.work.Add(1) // until endTurn
	return t, c.src, nil
}

// turnOf is the turn that somebody has at a camera, nil for none.
func (s *Set) turnOf(id string, who station.Actor) *talk {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.cameras[id]; c != nil && c.talk != nil && c.talk.who.Account == who.Account {
		return c.talk
	}
	return nil
}

// endTurn gives the loudspeaker back.
func (s *Set) endTurn(t *talk) {
	t.end(errLetGo)
	s.mu.Lock()
	delete(s.talks, t.id)
	if c := s.cameras[t.camera]; c != nil && c.talk == t {
		c.talk = nil
		s.settle(c)
	}
	s.mu.Unlock()
	close(t.over)
	s.work.Done()
}

// name is the speaker as shown.
func (t *talk) name() string {
	if t.who.Name != "" {
		return t.who.Name
	}
	return t.who.Account
}

// talk calls the camera, then answers the browser: what the camera takes is what
// is asked of it. From then on the turn is the conversation's to end.
func (s *Set) talk(ctx context.Context, t *talk, src Source, offer string) (_ *peer.Session, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, callMost, errNoAnswerFrom)
	defer cancel()
	defer context.AfterFunc(t.life, cancel)()
	voice, err := rtsp.Call(ctx, s.rtspConfig(src), s.log)
	if err != nil {
		return nil, t.why(err)
	}
	defer func() {
		if err != nil {
			voice.Close()
		}
	}()
	s.heardOf(t.camera, rtsp.Loudspeaker{Codec: voice.Codec})
	if err := s.note(ctx, t.who, "camera.talk", t.camera, "began, as "+voice.Codec); err != nil {
		return nil, err // nobody talks unnoticed
	}
	session, err := s.deps.Hub.Talk(ctx, offer, voice.Codec, voice.Say)
	if err != nil {
		s.noteEnd(t, err, voice.Count())
		return nil, t.why(err)
	}
	s.mu.Lock()
	t.id = session.ID
	t.began = time.Now()
	t.until = t.began.Add(s.cfg.TalkMost)
	s.talks[t.id] = t
	if c := s.cameras[t.camera]; c != nil {
		s.settle(c)
	}
	s.mu.Unlock()
	go s.converse(t, voice, session)
	return session, nil
}

var errNoAnswerFrom = station.Errorf(http.StatusGatewayTimeout, "camera.offline", "check the camera's power, its network cable and the address",
	"the camera does not answer")

// why is what is told instead of an end that came from within.
func (t *talk) why(err error) error {
	if t.life.Err() != nil {
		if p, ok := station.AsProblem(context.Cause(t.life)); ok {
			return p
		}
		return errStopped.Because(context.Cause(t.life))
	}
	return err
}

// converse holds both ends until one of them, the clock or somebody ends it.
func (s *Set) converse(t *talk, voice *rtsp.Voice, session *peer.Session) {
	defer s.endTurn(t)
	hush, quiet := context.WithCancel(context.Background())
	defer quiet()
	var speaks sync.WaitGroup
	hungUp := make(chan error, 1)
	speaks.Go(func() { hungUp <- voice.Run(hush) })
	limit := time.NewTimer(time.Until(t.until))
	defer limit.Stop()
	ask := time.NewTicker(askRight)
	defer ask.Stop()

	var why error
	for why == nil {
		select {
		case <-t.life.Done():
			if why = context.Cause(t.life); errors.Is(why, context.Canceled) {
				why = errProgram
			}
		case <-session.Done():
			if why = session.Err(); why == nil {
				why = errLetGo
			}
		case why = <-hungUp:
			if why == nil {
				why = errProgram
			}
		case <-limit.C:
			why = errLimit
		case <-ask.C:
			if s.deps.MayTalk != nil && !s.deps.MayTalk(t.who, t.camera) {
				why = errNoRight
			}
		}
	}
	session.Close()
	quiet()
	speaks.Wait()
	<-session.Done()
	s.noteEnd(t, why, voice.Count())
}

// noteEnd writes down how a talk was.
func (s *Set) noteEnd(t *talk, why error, count rtsp.VoiceCount) {
	now := time.Now()
	text := why.Error()
	if p, ok := station.AsProblem(why); ok {
		text = p.Message
	}
	s.log.Info("talk ended", "camera", t.camera, "account", t.who.Account, "cause", why, "took", now.Sub(t.began), "packets", count.Sent, "dropped", count.Dropped)
	ctx, cancel := context.WithTimeout(context.Background(), noteMost)
	defer cancel()
	const clock = "15:04:05"
	detail := fmt.Sprintf("%s to %s: %s", t.began.Format(time.DateOnly+" "+clock), now.Format(clock), text)
	if err := s.note(ctx, t.who, "camera.talk.end", t.camera, detail); err != nil {
		s.log.Error("the end of a talk is not in the audit", "camera", t.camera, "account", t.who.Account, "detail", detail, "err", err)
	}
}

func (s *Set) note(ctx context.Context, who station.Actor, action, camera, detail string) error {
	if s.deps.Note == nil {
		return nil
	}
	return s.deps.Note(ctx, who, action, "camera/"+camera, detail)
}

// serveHangUp ends a talk of one's own.
func (s *Set) serveHangUp(w http.ResponseWriter, r *http.Request) error {
	s.mu.Lock()
	t := s.talks[r.PathValue("talk")]
	s.mu.Unlock()
	if t == nil || t.who.Account != station.ActorFrom(r.Context()).Account {
		return station.ErrNotFound
	}
	t.end(errLetGo)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// TalkThrough is the camera that somebody talks through in a talk; "" where there
// is no such talk.
func (s *Set) TalkThrough(id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.talks[id]; t != nil {
		return t.camera
	}
	return ""
}

// endTalks ends the talks of those who may not talk any more.
func (s *Set) endTalks() {
	if s.deps.MayTalk == nil {
		return
	}
	s.mu.Lock()
	all := make([]*talk, 0, len(s.talks))
	for _, t := range s.talks {
		all = append(all, t)
	}
	s.mu.Unlock()
	for _, t := range all {
		if !s.deps.MayTalk(t.who, t.camera) {
			t.end(errNoRight)
		}
	}
}

// talking is what is told of who talks. s.mu is held.
func (c *camera) talking() station.Talking {
	if c.talk == nil || c.talk.id == "" {
		return station.Talking{}
	}
	// As it is when it has been stored, or it would count as changed.
	return station.Talking{Account: c.talk.who.Account, Name: c.talk.name(), Until: c.talk.until.UTC().Truncate(time.Millisecond)}
}

// spoken is what is told of a camera's loudspeaker. s.mu is held.
func (c *camera) spoken() string {
	if c.speaker.Codec != "" {
		return c.speaker.Codec
	}
	return c.speaker.Other
}

// CanTalk tells whether a voice can be sent to what CameraState.Talk names.
func CanTalk(codec string) bool {
	return codec == stream.PCMA || codec == stream.PCMU || codec == stream.Opus
}

// heardOf takes in what a camera is known to take.
func (s *Set) heardOf(id string, l rtsp.Loudspeaker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.cameras[id]; c != nil {
		c.speaker, c.asked = l, true
		s.settle(c)
	}
}

// How often a camera is asked whether it has a loudspeaker: when its picture is
// there, again when it has been away, since its settings may be others, and after
// a failure.
const (
	askAgain     = 10 * time.Minute
	askFailed    = time.Minute
	askFailedMax = time.Hour
)

// inquire asks a camera until ctx ends.
func (s *Set) inquire(ctx context.Context, c *camera, src Source) error {
	failed := askFailed
	due := time.NewTimer(0) // when it may be asked
	defer due.Stop()
	ready, away := false, true
	for {
		changed := c.main.stream.Changed()
		online, _, _ := c.main.stream.State()
		away = away || !online
		if online && away && ready {
			ready = false
			l, err := rtsp.Ask(ctx, s.rtspConfig(src), s.log)
			switch {
			case ctx.Err() != nil:
				return nil
			case err != nil:
				s.log.Debug("camera not asked for its loudspeaker", "camera", src.ID, "err", err)
				due.Reset(failed)
				failed = min(2*failed, askFailedMax)
			default:
				s.heardOf(src.ID, l)
				away, failed = false, askFailed
				due.Reset(askAgain)
			}
		}
		select {
		case <-changed:
		case <-due.C:
			ready = true
		case <-ctx.Done():
			return nil
		}
	}
}

// startInquiry begins asking a camera, or again where its address has changed.
// s.mu is held, and the set runs.
func (s *Set) startInquiry(c *camera) {
	if s.cfg.TalkMost == 0 || c.src.URL == "" || !strings.HasPrefix(c.src.URL, "rtsp") {
		return
	}
	src := c.src
	c.inquiry.stop()
	c.inquiry = s.begin(c.inquiry, s.log.With("camera", src.ID), "loudspeaker", func(ctx context.Context) error { return s.inquire(ctx, c, src) })
}
