package rtsp

import (
	"testing"
	"time"

	"github.com/pion/rtcp"
)

func TestWallTime(t *testing.T) {
	const from1900 = 2208988800
	for _, at := range []time.Time{
		time.Unix(0, 0), time.Date(2026, 12, 1, 8, 0, 0, 500_000_000, time.UTC), time.Date(2037, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		ntp := uint64(at.Unix()+from1900)<<32 | uint64(at.Nanosecond())<<32/1e9
		got, ok := wallTime(ntp)
		if d := got.Sub(at); !ok || d < -time.Microsecond || d > time.Microsecond {
			t.Errorf("%v is read as %v", at, got)
		}
	}
	if _, ok := wallTime(0); ok {
		t.Error("a camera without a clock has one")
	}
}

// Trap 8: where sound lies on the pictures' clock, ten hours after the last
// report too; and a camera whose two tracks tell nonsense is not believed.
func TestSoundByReports(t *testing.T) {
	wall := uint64(3_900_000_000) << 32
	var c clocks
	if _, ok := c.onVideo(0, 8000, 0); ok {
		t.Error("known without reports")
	}
	c.video.report(&rtcp.SenderReport{NTPTime: wall, RTPTime: 0xfffffff0}, 1000, 984) // a thousand ticks ago
	c.sound.report(&rtcp.SenderReport{NTPTime: wall + 1<<31, RTPTime: 500}, 40, 500)
	if c.video.ticks != 0 {
		t.Errorf("the report lies at %d", c.video.ticks)
	}
	// Frame 40 was heard half a second after the picture at 0.
	if at, ok := c.onVideo(40, 8000, 45_000); !ok || at != 45_000 {
		t.Errorf("at %d, %v", at, ok)
	}
	const hours = 10 * 3600
	if at, ok := c.onVideo(40+hours*8000, 8000, 45_000+hours*90_000); !ok || at != 45_000+hours*90_000 {
		t.Errorf("ten hours later: at %d, %v", at, ok)
	}
	c.sound.report(&rtcp.SenderReport{NTPTime: wall + 3600<<32, RTPTime: 500}, 40, 500)
	if _, ok := c.onVideo(40, 8000, 45_000); ok {
		t.Error("an hour between lips and words is believed")
	}
}
