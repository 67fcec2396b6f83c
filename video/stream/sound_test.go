package stream_test

import (
	"bytes"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"stationd/video/stream"
)

var (
	alaw = &stream.Sound{Codec: stream.PCMA, Rate: 8000, Channels: 1}
	aac  = &stream.Sound{Codec: stream.AAC, Rate: 16000, Channels: 1, Config: []byte{0x14, 0x08}}
	opus = &stream.Sound{Codec: stream.Opus, Rate: 48000, Channels: 2}
)

var sounds = []*stream.Sound{alaw, aac, opus}

// talk feeds pictures and 40 ms of G.711 with each, with clocks that may differ.
type talk struct {
	*feed
	shift time.Duration // of the sound's clock
}

func newTalk(shift time.Duration) *talk {
	t := &talk{feed: newFeed(stream.Config{}), shift: shift}
	t.s.Announce(stream.Params{Codec: stream.H264, SPS: sps360, PPS: pps360, Sound: alaw})
	return t
}

func (f *talk) say() {
	f.s.WriteSound(make([]byte, 320), f.pts+f.shift, time.Now())
}

func (f *talk) keys(n int) {
	for range n {
		f.say()
		f.key()
	}
}

func (f *talk) others(n int) {
	for range n {
		f.say()
		f.other(1)
	}
}

// mixed shows units in short, s for sound.
func mixed(units []*stream.Unit) string {
	var b []byte
	for _, u := range units {
		if u.Sound != nil {
			b = append(b, 's')
		} else {
			b = append(b, pattern([]*stream.Unit{u})...)
		}
	}
	return string(b)
}

func TestSoundComesBetweenThePictures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTalk(0)
		hears := f.s.Read(stream.ReadOptions{Sound: true})
		sees := f.s.Read(stream.ReadOptions{})
		f.others(2) // nothing before the first key picture
		f.keys(1)
		f.others(3)
		late := f.s.Read(stream.ReadOptions{Sound: true, FromCache: true})
		f.others(1)
		for name, c := range map[string]struct {
			r    *stream.Reader
			want string
		}{
			"who asks for it":     {hears, "Ks.s.s.s."},
			"who does not":        {sees, "K...."},
			"from the cache":      {late, "Ks.s.s.s."},
			"who begins just now": {f.s.Read(stream.ReadOptions{Sound: true}), ""},
		} {
			if got := mixed(drain(t, c.r)); got != c.want {
				t.Errorf("%s got %s, want %s", name, got, c.want)
			}
		}
		if st := f.s.Stats(); st.Sounds != 4 || st.SoundsRefused != 3 || st.SoundsSkipped != 0 || st.Skipped != 0 {
			t.Errorf("stats %+v", st)
		}
	})
}

// Whatever the two clocks count from, sound lies beside the picture with which
// it came.
func TestSoundOnThePicturesTimeline(t *testing.T) {
	for name, shift := range map[string]time.Duration{
		"one clock": 0, "a fifth of a second apart": 200 * time.Millisecond, "hours apart": -5 * time.Hour, "years apart": 20 * 365 * 24 * time.Hour,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newTalk(shift)
				r := f.s.Read(stream.ReadOptions{Sound: true})
				f.keys(1)
				f.others(50)
				want := time.Duration(0)
				if shift < time.Second && shift > 0 {
					want = shift // the camera says so
				}
				var picture time.Duration
				var next uint32
				for i, u := range drain(t, r) {
					if u.Sound == nil {
						picture = u.PTS
						continue
					}
					if d := u.PTS - picture - frame - want; d < -time.Millisecond || d > time.Millisecond {
						t.Errorf("unit %d: sound at %v after the picture at %v", i, u.PTS, picture)
					}
					if len(u.Packets) != 2 {
						t.Fatalf("%d packets for 40 ms", len(u.Packets))
					}
					for _, p := range u.Packets {
						if next != 0 && p.Timestamp != next || len(p.Payload) != 160 {
							t.Errorf("unit %d: timestamp %d, want %d; %d bytes", i, p.Timestamp, next, len(p.Payload))
						}
						next = p.Timestamp + 160
					}
				}
			})
		})
	}
}

// A camera whose clocks jump, together or one alone, is heard on.
func TestSoundSurvivesJumps(t *testing.T) {
	for name, jump := range map[string]func(*talk){
		"both clocks":         func(f *talk) { f.pts += 3 * 365 * 24 * time.Hour },
		"both back":           func(f *talk) { f.pts -= 59 * time.Minute },
		"the sound's alone":   func(f *talk) { f.shift += 7 * time.Hour },
		"the pictures' alone": func(f *talk) { f.pts += time.Hour; f.shift -= time.Hour },
		"a loss": func(f *talk) {
			f.s.Lost("off")
			f.pts, f.shift = 0, 0
			f.keys(1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newTalk(0)
				r := f.s.Read(stream.ReadOptions{Sound: true})
				f.keys(1)
				f.others(20)
				jump(f)
				f.others(200)
				last, sounds := time.Duration(-1), 0
				began := time.Now().Add(-time.Hour)
				for _, u := range drain(t, r) {
					if u.Sound == nil {
						if u.PTS == 0 {
							began = u.Arrival
						}
						continue
					}
					sounds++
					if u.PTS < last {
						t.Errorf("sound at %v after %v", u.PTS, last)
					}
					if off := u.Arrival.Sub(began) - u.PTS; off < -100*time.Millisecond || off > 100*time.Millisecond {
						t.Errorf("sound is placed %v off", off)
					}
					last = u.PTS
				}
				if sounds < 215 {
					t.Errorf("%d of 220 frames came through", sounds)
				}
			})
		})
	}
}

// Who is slow skips the sound of the pictures that it skips, and what is kept
// for nobody is bounded.
func TestSlowReaderOfSound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTalk(0)
		slow := f.s.Read(stream.ReadOptions{Sound: true, Capacity: 10})
		f.keys(1)
		for range 5 {
			f.others(9)
			f.keys(1)
		}
		f.others(2)
		if got := mixed(drain(t, slow)); got != "Ks.s." {
			t.Errorf("got %s", got)
		}
		if n := f.s.Stats().Skipped; n != 50 {
			t.Errorf("%d pictures skipped", n)
		}
		before := stream.HeldSounds(f.s)
		if before > 20 {
			t.Errorf("%d frames of sound are kept", before)
		}
		for range 20_000 { // the pictures have stopped
			f.s.WriteSound(make([]byte, 80), f.pts, time.Now())
			f.pts += 10 * time.Millisecond
			time.Sleep(10 * time.Millisecond)
		}
		if n := stream.HeldSounds(f.s); n > 8192 {
			t.Errorf("%d frames of sound are kept", n)
		}
		if got := len(drain(t, slow)); got > 8192 {
			t.Errorf("%d units", got)
		}
		if f.s.Stats().SoundsSkipped == 0 {
			t.Error("what was not kept is not counted")
		}
	})
}

// The damage of pictures is none of the sound's.
func TestSoundGoesOnOverDamage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTalk(0)
		r := f.s.Read(stream.ReadOptions{Sound: true})
		f.keys(1)
		f.say()
		f.write(true, slice(1, 100))
		f.others(2)
		f.keys(1)
		if got := mixed(drain(t, r)); got != "KssssK" {
			t.Errorf("got %s", got)
		}
	})
}

func TestAnnounceSound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTalk(0)
		r := f.s.Read(stream.ReadOptions{Sound: true})
		f.keys(1)
		f.others(2)
		same := *alaw
		changed := f.s.Changed()
		f.s.Announce(stream.Params{Codec: stream.H264, Sound: &same})
		select {
		case <-changed:
			t.Error("speaks although nothing has changed")
		default:
		}
		f.s.Announce(stream.Params{Codec: stream.H264, Sound: opus})
		f.s.WriteSound([]byte{0x78, 1, 2, 3}, f.pts, time.Now()) // CELT, 20 ms
		f.other(1)
		got := drain(t, r)
		last := got[len(got)-2]
		if last.Params.Sound != opus || got[0].Params.Sound != alaw || len(last.Packets) != 1 || !bytes.Equal(last.Packets[0].Payload, last.Sound) {
			t.Errorf("the new sound %+v", last)
		}
		if want := uint32(last.PTS * 48000 / time.Second); last.Packets[0].Timestamp-want > 1 {
			t.Errorf("timestamp %d at %v", last.Packets[0].Timestamp, last.PTS)
		}
		for _, bad := range []*stream.Sound{{}, {Codec: "MP2", Rate: 48000, Channels: 2}, {Codec: stream.PCMA}, {Codec: stream.PCMA, Rate: 1 << 40, Channels: 1}} {
			f.s.Announce(stream.Params{Codec: stream.H264, Sound: bad})
			if p, _ := f.s.Params(); p.Sound != nil {
				t.Errorf("%+v is taken for sound", bad)
			}
		}
		refused := f.s.Stats().SoundsRefused
		f.say()
		if f.s.Stats().SoundsRefused != refused+1 {
			t.Error("sound that was not announced is taken")
		}
	})
}

func TestSamples(t *testing.T) {
	for name, c := range map[string]struct {
		sound stream.Sound
		frame []byte
		want  int
	}{
		"A-law":                   {*alaw, make([]byte, 160), 160},
		"µ-law stereo":            {stream.Sound{Codec: stream.PCMU, Rate: 8000, Channels: 2}, make([]byte, 320), 160},
		"AAC-LC":                  {*aac, make([]byte, 99), 1024},
		"AAC of short frames":     {stream.Sound{Codec: stream.AAC, Config: []byte{0x14, 0x0c}}, nil, 960},
		"AAC with SBR":            {stream.Sound{Codec: stream.AAC, Config: []byte{0x2b, 0x92, 0x08, 0x00}}, nil, 2048},
		"AAC without a config":    {stream.Sound{Codec: stream.AAC}, nil, 1024},
		"Opus 20 ms":              {*opus, []byte{0x78}, 960},
		"Opus CELT 20 ms":         {*opus, []byte{0xf8}, 960},
		"Opus SILK 60 ms":         {*opus, []byte{0x18}, 2880},
		"Opus two frames":         {*opus, []byte{0xf9}, 1920},
		"Opus of six frames":      {*opus, []byte{0xfb, 6}, 5760},
		"Opus of too many frames": {*opus, []byte{0xfb, 63}, 5760},
		"Opus, cut":               {*opus, []byte{0xfb}, 0},
		"Opus, nothing":           {*opus, nil, 0},
	} {
		if got := c.sound.Samples(c.frame); got != c.want {
			t.Errorf("%s: %d samples, want %d", name, got, c.want)
		}
	}
}

// G.711 is cut into even pieces of at most 20 ms, whatever comes.
func TestPacketsOfSound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTalk(0)
		r := f.s.Read(stream.ReadOptions{Sound: true})
		f.keys(1)
		var want []int
		for _, n := range []int{1, 80, 160, 161, 240, 512, 1400, 8000} {
			f.s.WriteSound(make([]byte, n), f.pts, time.Now())
			want = append(want, n)
			f.pts += time.Duration(n) * time.Second / 8000
		}
		var seq uint16
		for _, u := range drain(t, r)[1:] {
			total := 0
			for _, p := range u.Packets {
				if len(p.Payload) > 160 || p.SequenceNumber != seq {
					t.Errorf("packet of %d bytes, number %d, want %d", len(p.Payload), p.SequenceNumber, seq)
				}
				seq++
				total += len(p.Payload)
			}
			if i := slices.Index(want, total); i < 0 || total != len(u.Sound) {
				t.Errorf("%d bytes out of %d", total, len(u.Sound))
			}
		}
	})
}

// Sound costs who does not ask for it nothing: neither a wake nor an allocation.
func TestSoundAllocatesNothing(t *testing.T) {
	key, other := prepared(t)
	s := stream.New(stream.Config{})
	readers := make([]*stream.Reader, 100)
	for i := range readers {
		readers[i] = s.Read(stream.ReadOptions{Sound: i%2 == 0})
	}
	ctx := t.Context()
	i := 0
	var sound [50]*stream.Unit
	for i := range sound {
		sound[i] = &stream.Unit{Sound: make([]byte, 160)}
	}
	step := func() {
		u := other
		if i%50 == 0 {
			u = key
		}
		stream.Publish(s, u)
		stream.PublishSound(s, sound[i%len(sound)])
		i++
		for n, r := range readers {
			for range 2 - n%2 {
				if _, err := r.Next(ctx); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for range 200 {
		step()
	}
	if n := testing.AllocsPerRun(500, step); n != 0 {
		t.Errorf("%v allocations per unit for 100 readers", n)
	}
}
