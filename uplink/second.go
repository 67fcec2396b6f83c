package uplink

import "context"

// runSecond serves the urgent lane on the second line while the first is down.
// The first is dialled all the while. As soon as the parent has greeted it there,
// the parent answers this session's batches with "no session", so that no event
// travels on both; and this one hangs up.
func (u *Uplink) runSecond(ctx context.Context) {
	for ctx.Err() == nil {
		since, down := u.state.down()
		wait := u.cfg.RetryMin
		if down {
			if left := u.cfg.Second.After - u.deps.Now().Sub(since); left > 0 {
				wait = left
			} else {
				u.onSecond(ctx)
				wait = jitter(max(u.cfg.RetryMax, 2*u.cfg.RetryMin))
			}
		}
		if !sleep(ctx, wait) {
			return
		}
	}
}

// onSecond is one session on the second line; it ends with the first one's
// coming back.
func (u *Uplink) onSecond(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		for sleep(ctx, u.cfg.RetryMin) {
			if _, down := u.state.down(); !down {
				cancel()
			}
		}
	}()
	err := u.session(ctx, u.second, true)
	if ctx.Err() != nil {
		err = nil
	}
	u.state.secondDown(err, u.deps.Now())
	cancel()
	<-watching
}
