package rtsp

import (
	"time"

	"github.com/pion/rtcp"
)

// clocks are what a camera's sender reports tell: which moment of its wall clock
// belongs to which timestamp of each track. That puts sound on the pictures'
// clock, and shows how wrong the camera's own time is. It is metadata: neither a
// picture nor a recording ever depends on it.
type clocks struct {
	video, sound track
}

// track is one track's last report.
type track struct {
	known bool
	wall  time.Time // by the camera
	ticks int64     // then, on the track's clock without wraps
}

// believable is how far two tracks of one camera may say they are apart, before
// their reports are taken for nonsense.
const believable = 10 * time.Second

// report takes one in; at is a place on the track's clock and its timestamp.
func (t *track) report(sr *rtcp.SenderReport, ticks int64, timestamp uint32) {
	wall, ok := wallTime(sr.NTPTime)
	if !ok {
		return
	}
	t.known, t.wall = true, wall
	t.ticks = ticks + int64(int32(sr.RTPTime-timestamp))
}

// onVideo is where a moment of the sound lies on the pictures' clock of 90 kHz,
// if the reports tell.
func (c *clocks) onVideo(ticks int64, rate int, newest int64) (int64, bool) {
	if !c.video.known || !c.sound.known {
		return 0, false
	}
	heard := c.sound.wall.Add(span(ticks-c.sound.ticks, int64(rate)))
	at := c.video.ticks + int64(heard.Sub(c.video.wall)/time.Microsecond)*90/1000
	if off := span(at-newest, 90000); off > believable || off < -believable {
		return 0, false
	}
	return at, true
}

// span is how long ticks last.
func span(ticks, rate int64) time.Duration {
	return time.Duration(ticks/rate)*time.Second + time.Duration(ticks%rate)*time.Second/time.Duration(rate)
}

// wallTime reads an NTP timestamp (RFC 5905), era 0 until 2036 and then era 1.
// A camera without a clock sends zeros, or counts from its start.
func wallTime(ntp uint64) (time.Time, bool) {
	const from1900 = 2208988800
	seconds := int64(ntp >> 32)
	if seconds == 0 {
		return time.Time{}, false
	}
	if seconds < 1<<31 && seconds < from1900/2 {
		seconds += 1 << 32
	}
	return time.Unix(seconds-from1900, int64(ntp&0xffffffff)*1e9>>32), true
}
