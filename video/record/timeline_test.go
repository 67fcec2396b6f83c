package record

import (
	"testing"
	"time"
)

func TestTimelineFollowsTheEarliestArrivals(t *testing.T) {
	t.Parallel()
	var l timeline
	const frame = 40 * time.Millisecond
	pts, wall := time.Duration(0), int64(1e18)
	start := wall
	late := func(i int) int64 { // jitter of up to 30 ms, and a stall of 3 s once
		if i > 500 && i < 575 {
			return int64(time.Duration(575-i) * frame)
		}
		return int64(time.Duration(i*7%31) * time.Millisecond)
	}
	for i := range 25 * 60 {
		l.see(pts, wall+late(i))
		if i%50 == 49 {
			l.settle(2 * time.Second)
		}
		if off := l.place(pts) - wall; time.Duration(off).Abs() > 150*time.Millisecond {
			t.Fatalf("picture %d is placed %v off", i, time.Duration(off))
		}
		pts += frame
		wall += int64(frame)
	}
	if wall-start != int64(time.Minute) {
		t.Fatal("the test counts wrongly")
	}
	// A piece of the stream's time is lost: the timeline jumps, within a fragment.
	wall += int64(10 * time.Second)
	for range 50 {
		l.see(pts, wall)
		pts += frame
		wall += int64(frame)
	}
	l.settle(2 * time.Second)
	if off := l.place(pts) - wall; time.Duration(off).Abs() > 150*time.Millisecond {
		t.Errorf("after the jump it is %v off", time.Duration(off))
	}
}

func TestHeader(t *testing.T) {
	t.Parallel()
	key := timeKey(kindFragment, "cam1", 12345)
	h := header{flags: flagKey, gen: 7, pts: time.Hour, duration: 2 * time.Second, samples: 50}
	value := append(make([]byte, headerSize), "fragment"...)
	putHeader(key, value, h)
	got, data, err := openFragment(key, value)
	if err != nil || got != h || string(data) != "fragment" {
		t.Fatalf("%+v %q %v", got, data, err)
	}
	for i := range value {
		value[i] ^= 0x10
		if _, _, err := openFragment(key, value); err == nil {
			t.Errorf("a change of byte %d is not seen", i)
		}
		value[i] ^= 0x10
	}
	if _, _, err := openFragment(timeKey(kindFragment, "cam2", 12345), value); err == nil {
		t.Error("another camera's fragment is taken")
	}
	if camera, at, ok := splitTimeKey(key); camera != "cam1" || at != 12345 || !ok {
		t.Errorf("%q %d %v", camera, at, ok)
	}
}

func FuzzReadHeader(f *testing.F) {
	f.Add([]byte{1}, []byte("f"))
	f.Add(make([]byte, 40), timeKey(kindFragment, "c", 1))
	f.Fuzz(func(t *testing.T, value, key []byte) {
		_, _, _ = openFragment(key, value)
		_, _, _ = splitTimeKey(key)
	})
}
