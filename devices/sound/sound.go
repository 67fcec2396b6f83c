package sound

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"stationd/agent/station"
)

// Deps is what the sound is handed.
type Deps struct {
	// Changed is told the state of the output at the start and whenever it is
	// another; what it returns an error for it is told again.
	Changed func(context.Context, station.SoundState) error
	Log     *slog.Logger
	// Now is the wall clock, by which alarms have waited; nil means time.Now.
	Now func() time.Time
}

const (
	// sureAfter is how often the output must fail before it counts as missing,
	// and sureIn how soon it is tried again: somebody else may have it just now.
	sureAfter = 2
	sureIn    = 2 * time.Second
	// mixerEvery is how often the mixer is asked while something sounds.
	mixerEvery = 10 * time.Second
)

// Sound is the output. Its methods may be called from any goroutine.
type Sound struct {
	cfg     Config
	out     alsa
	changed func(context.Context, station.SoundState) error
	log     *slog.Logger
	now     func() time.Time
	news    chan struct{} // something else is to be called
	turn    chan struct{} // held by whoever plays

	mu      sync.Mutex
	wanted  station.Sounding
	hushed  context.CancelFunc // ends what plays now
	state   station.SoundState
	told    bool
	fails   int
	askedAt time.Time // of the mixer
}

// New makes the output. It opens and starts nothing.
func New(cfg Config, deps Deps) *Sound {
	s := &Sound{
		cfg: cfg, out: newALSA(cfg), changed: deps.Changed, log: deps.Log, now: deps.Now,
		news: make(chan struct{}, 1), turn: make(chan struct{}, 1),
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.changed == nil {
		s.changed = func(context.Context, station.SoundState) error { return nil }
	}
	s.state = station.SoundState{Device: s.out.device, State: station.SoundMissing, Needed: cfg.Needed()}
	if cfg.Off {
		s.state.State = station.SoundOff
	}
	return s
}

// State is what is known of the output.
func (s *Sound) State() station.SoundState {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.state
	if s.wanted.Alarm != "" {
		playing := s.wanted
		st.Playing = &playing
	}
	return st
}

// Sound says what is to be called from now on. What plays is cut off when it is
// no longer wanted, or when something graver is.
func (s *Sound) Sound(wanted station.Sounding) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wanted == wanted {
		return
	}
	if s.wanted.Severity != wanted.Severity && s.hushed != nil {
		s.hushed()
	}
	s.wanted = wanted
	select {
	case s.news <- struct{}{}:
	default: // it is to look already
	}
}

func (s *Sound) want() station.Sounding {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wanted
}

// Test plays a short tone and reports why it could not.
func (s *Sound) Test(ctx context.Context) error {
	if s.cfg.Off {
		return station.Errorf(http.StatusConflict, "sound.off", "set sound.off to false and restart", "the sound is switched off")
	}
	err := s.play(ctx, trial())
	s.judge(ctx, err)
	if err != nil {
		return station.Errorf(http.StatusBadGateway, "sound.missing", "check loudspeaker, cable and the name of the device (aplay -L)", "%s does not play: %v", s.out.device, err)
	}
	if st := s.State(); st.Muted {
		return station.Errorf(http.StatusConflict, "sound.muted", "turn the volume up with alsamixer, or on the loudspeaker", "%s is muted", s.out.device)
	}
	return nil
}

// Run calls what is to be called and tries the output in between, until ctx ends.
func (s *Sound) Run(ctx context.Context) error {
	if s.cfg.Off {
		s.tell(ctx, station.SoundOff, "")
		<-ctx.Done()
		return nil
	}
	for ctx.Err() == nil {
		wanted := s.want()
		phrase, sounds := Insistence(wanted.Severity, s.now().Sub(wanted.Since))
		pause := s.cfg.Probe
		if !sounds {
			phrase = hush()
		}
		begun := time.Now()
		heard, hush := context.WithCancel(ctx)
		s.mu.Lock()
		s.hushed = hush
		still := s.wanted.Severity == wanted.Severity
		s.mu.Unlock()
		var err error
		if still {
			err = s.play(heard, phrase)
		}
		cut := heard.Err() != nil
		hush()
		if !cut && still {
			s.judge(ctx, err)
		}
		if sounds {
			// An output that takes everything at once must not make us fast.
			pause = phrase.Length() + phrase.Gap - time.Since(begun)
		}
		if s.unsure() {
			pause = sureIn
		}
		if cut || !still {
			pause = 0
		}
		s.rest(ctx, pause)
	}
	return nil
}

// rest waits; something graver, or silence, ends it early.
func (s *Sound) rest(ctx context.Context, pause time.Duration) {
	was := s.want().Severity
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			return
		case <-s.news:
			if s.want().Severity != was {
				return
			}
		}
	}
}

// play plays when nobody else does: one output, one tone.
func (s *Sound) play(ctx context.Context, p Phrase) error {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	return s.out.play(ctx, p, float64(s.cfg.Volume)/100)
}

// unsure tells that the output has failed, and not often enough to say so.
func (s *Sound) unsure() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fails > 0 && s.fails < sureAfter
}

// judge draws the conclusion from a try to play.
func (s *Sound) judge(ctx context.Context, failure error) {
	if failure != nil {
		if ctx.Err() != nil {
			return
		}
		s.mu.Lock()
		s.fails++
		sure := s.fails >= sureAfter
		s.mu.Unlock()
		if sure {
			s.tell(ctx, station.SoundMissing, failure.Error())
		}
		return
	}
	s.mu.Lock()
	s.fails = 0
	ask := time.Since(s.askedAt) >= min(mixerEvery, s.cfg.Probe/2) || s.state.State == station.SoundMissing
	muted := s.state.Muted
	s.mu.Unlock()
	if ask {
		muted = s.out.muted(ctx)
		s.mu.Lock()
		s.askedAt = time.Now()
		s.mu.Unlock()
	}
	if muted {
		s.tell(ctx, station.SoundMuted, "")
		return
	}
	s.tell(ctx, station.SoundOK, "")
}

// tell notes the state, and passes it on when it is another or was not taken.
func (s *Sound) tell(ctx context.Context, state, cause string) {
	s.mu.Lock()
	if s.told && s.state.State == state {
		s.state.Cause = cause
		s.mu.Unlock()
		return
	}
	s.state.State, s.state.Cause, s.state.Muted, s.state.Since = state, cause, state == station.SoundMuted, s.now()
	st := s.state
	s.mu.Unlock()
	s.log.Info("sound output", "device", st.Device, "state", state, "cause", cause)
	err := s.changed(ctx, st)
	if err != nil && ctx.Err() == nil {
		s.log.Error("state of the sound not noted", "err", err)
	}
	s.mu.Lock()
	s.told = err == nil
	s.mu.Unlock()
}
