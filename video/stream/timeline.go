package stream

import "time"

// A camera's timestamps cannot be trusted: they start again when it reconnects,
// jump by hours when its clock is set, stand still, and drift. The timeline
// turns them into one that a browser and a recording can follow for months:
//
//   - It starts at 0 with the first picture and only grows.
//   - Steps forward of at most maxStep are taken as they are, so that the
//     spacing of the pictures stays the camera's, free of the network's jitter.
//     So is a longer one in which as much time passed here: that is a pause.
//   - Any other step is a jump. The picture is placed by its arrival; only after
//     settle pictures that agree with each other is the camera's new base
//     taken, so that one stray timestamp moves nothing.
//   - A timeline that runs ahead of this machine's clock by more than maxAhead (a
//     camera that counts too fast) is held back in the same way.
//   - After a loss the next picture comes when it came by this machine's clock,
//     and at least one picture's distance after the last one.
//   - A camera's clock runs up to 100 ppm fast or slow, nine seconds a day. The
//     timeline is pulled towards this machine's clock by at most slew (500 ppm:
//     0.02 ms per picture at 25 pictures a second, which nobody sees). What it
//     is pulled to is the smallest delay in each window, since the network only
//     ever adds.
//
// It counts in ticks of 90 kHz, so that RTP timestamps are exact.
type timeline struct {
	// mayReorder is false when the stream promises that there are no B-frames.
	mayReorder bool
	// reordered is set once there were B-frames.
	reordered bool

	started bool
	lost    bool
	epoch   time.Time // arrival of tick 0
	arrived time.Time // of the last picture
	offset  int64     // out = in + offset
	in, out int64     // the last trusted timestamp, and the newest on the timeline
	spacing int64     // of the pictures, smoothed

	// A new base that is not yet trusted: its last timestamp and how many agree.
	newIn    int64
	newCount int

	// The newest two timestamps in the order of showing; a B-frame lies between.
	top, below int64
	backsteps  int
	sinceBack  int

	// The clock's error: what is still to be corrected, in millionths of a tick,
	// and the smallest delay of the running window.
	debt      int64
	fraction  int64
	windowEnd time.Time
	windowMin int64
	windowHas bool

	jumps uint64
}

const (
	maxStep         = 5 * ClockRate
	maxAhead        = 10 * ClockRate
	settle          = 3
	slew            = 500 // millionths
	slewWindow      = 10 * time.Second
	slewTolerance   = ClockRate / 50 // 20 ms of error are let be
	defaultSpacing  = ClockRate / 25
	enoughBacksteps = 3
	forgetBacksteps = 250
)

// breakOff tells that the source was lost: the next timestamp has a new base.
func (t *timeline) breakOff() {
	t.lost = true
	t.reordered = false
	t.backsteps = 0
}

// place returns the tick of a picture with the source's timestamp in ticks.
func (t *timeline) place(in int64, arrival time.Time) int64 {
	switch {
	case !t.started:
		t.started = true
		t.epoch = arrival
		t.spacing = defaultSpacing
		t.rebase(in, 0, arrival)
		t.out = 0
		t.lost = false
	case t.lost:
		t.lost = false
		t.rebase(in, max(t.out+t.spacing, ToTicks(arrival.Sub(t.epoch))), arrival)
		t.out = in + t.offset
	default:
		return t.follow(in, arrival)
	}
	return t.out
}

// rebase makes in lie at tick out.
func (t *timeline) rebase(in, out int64, arrival time.Time) {
	t.offset = out - in
	t.in, t.top, t.below = in, in, in
	t.arrived = arrival
	t.newCount = 0
	t.debt, t.fraction = 0, 0
	t.windowHas = false
	t.windowEnd = arrival.Add(slewWindow)
}

func (t *timeline) follow(in int64, arrival time.Time) int64 {
	step := in - t.in
	passed := ToTicks(arrival.Sub(t.arrived))
	t.sinceBack++
	if t.sinceBack > forgetBacksteps {
		t.backsteps = 0
	}

	if step < 0 && t.mayReorder && in > t.below && in < t.top {
		t.backsteps++
		t.sinceBack = 0
		if t.backsteps >= enoughBacksteps {
			t.reordered = true
		}
	} else if step <= 0 || step > maxStep && !similar(step, passed) || t.ahead(in, arrival) {
		return t.jump(in, passed, arrival)
	}
	t.newCount = 0
	t.in, t.arrived = in, arrival
	if in > t.top {
		if !t.reordered && step < ClockRate {
			t.spacing += (step - t.spacing) / 8
		}
		t.below, t.top = t.top, in
	}
	t.pull(max(step, 0), arrival)

	out := in + t.offset
	if out <= t.out && !t.reordered {
		out = t.out + 1
	}
	t.out = max(t.out, out)
	return out
}

// jump places a picture whose timestamp does not follow from the one before.
func (t *timeline) jump(in, passed int64, arrival time.Time) int64 {
	agree := in - t.newIn
	if t.newCount > 0 && agree > 0 && agree <= maxStep {
		t.newCount++
	} else {
		t.newCount = 1
	}
	t.newIn = in
	t.arrived = arrival
	t.out += min(max(passed, t.spacing/2, 1), maxStep)
	if t.newCount >= settle {
		t.jumps++
		t.rebase(in, t.out, arrival)
	}
	return t.out
}

// ahead tells whether the picture would lie too far in the future.
func (t *timeline) ahead(in int64, arrival time.Time) bool {
	return in+t.offset-ToTicks(arrival.Sub(t.epoch)) > maxAhead
}

// similar tells whether a long step is a pause: as much time passed here.
func similar(step, passed int64) bool {
	d := step - passed
	return max(d, -d) <= ClockRate/2+step/4
}

// pull corrects the clock's error, step being how far the timeline goes on.
func (t *timeline) pull(step int64, arrival time.Time) {
	late := ToTicks(arrival.Sub(t.epoch)) - (t.in + t.offset)
	if !t.windowHas || late < t.windowMin {
		t.windowHas, t.windowMin = true, late
	}
	if arrival.After(t.windowEnd) {
		t.debt = 0
		if m := t.windowMin; m > slewTolerance || m < -slewTolerance {
			t.debt = min(max(m, -3600*ClockRate), 3600*ClockRate) * 1e6
		}
		t.windowHas = false
		t.windowEnd = arrival.Add(slewWindow)
	}
	if t.debt == 0 {
		return
	}
	most := min(step, ClockRate) * slew
	part := min(max(t.debt, -most), most)
	t.debt -= part
	t.fraction += part
	t.offset += t.fraction / 1e6
	t.fraction %= 1e6
}
