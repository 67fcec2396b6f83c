package uplink_test

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"stationd/agent/station"
	"stationd/uplink"
	"stationd/uplink/protocol"
	"stationd/uplink/uplinktest"
)

// A parent that asks is told how the station is, at once and then evenly; one that
// does not ask, as an older one, is told nothing. A station that stops says so.
func TestHealthIsToldToWhoAsks(t *testing.T) {
	for name, every := range map[string]int{"asks": 30, "does not ask": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := uplinktest.NewParent()
				p.Welcome = func(h protocol.Hello) (protocol.Welcome, bool) {
					return protocol.Welcome{Protocol: protocol.Version, Versions: protocol.Versions(), Session: h.Session, Time: time.Now(), HealthEvery: every}, true
				}
				cfg := uplink.DefaultConfig()
				cfg.URL = "mqtts://parent.example:8883"
				stop := uplinktest.Run(t, uplink.New(cfg, uplink.Deps{
					Journal: uplinktest.NewJournal("village-1"), Dialer: p, Log: slog.New(slog.DiscardHandler),
					Health: func() station.NodeHealth { return station.NodeHealth{At: time.Now(), DiskFree: 7} },
				}))
				time.Sleep(5*time.Minute + time.Second)
				synctest.Wait()
				stop()
				told, bye := 0, station.Bye("")
				for len(p.Heard) > 0 {
					m := <-p.Heard
					switch m.Channel {
					case protocol.ChannelHealth:
						h, err := protocol.Decode[protocol.Health](m.Payload)
						if err != nil || h.Health.DiskFree != 7 {
							t.Fatalf("%+v %v", h, err)
						}
						told++
					case protocol.ChannelStatus:
						s, err := protocol.Decode[protocol.Status](m.Payload)
						if err != nil {
							t.Fatal(err)
						}
						bye = s.Bye
					}
				}
				if want := map[int]int{0: 0, 30: 11}[every]; told != want {
					t.Errorf("told %d times, want %d", told, want)
				}
				if bye != station.ByeStop {
					t.Errorf("its last word was %q", bye)
				}
			})
		})
	}
}

// At a real centre: health arrives, a station that stops is told from one that is cut off.
func TestTheCentreHearsHowStationsAre(t *testing.T) {
	w := uplinktest.NewWorld(t)
	w.Config.HealthEvery = time.Second
	w.Start()
	u := uplink.New(w.Station("village-1"), uplink.Deps{
		Journal: uplinktest.NewJournal("village-1"), Log: w.Log,
		Health: func() station.NodeHealth { return station.NodeHealth{At: time.Now(), DiskFree: 7} },
	})
	stop := uplinktest.Run(t, u)
	uplinktest.Eventually(t, 20*time.Second, "health comes", func() bool { _, known := w.Inbox.Health("village-1"); return known })
	stop()
	uplinktest.Eventually(t, 20*time.Second, "the station is gone", func() bool { return !w.Inbox.Online("village-1") })
	if bye := w.Inbox.Bye("village-1"); bye != station.ByeStop {
		t.Errorf("it stopped, and the centre heard %q", bye)
	}
}
