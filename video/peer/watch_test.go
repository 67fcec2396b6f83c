package peer_test

import (
	"testing"
	"time"

	"stationd/video/stream"
)

func TestViewerSeesEveryPicture(t *testing.T) {
	h := hub(t, nil)
	s := stream.New(stream.Config{})
	f := play(t, s, 50, small)
	for n := 0; n < 20; {
		time.Sleep(10 * time.Millisecond)
		f.mu.Lock()
		n = f.n
		f.mu.Unlock()
	}

	v := watch(t, h, f, s, repairing)
	p := v.until(5*time.Second, "pictures", atLeast(60))
	if _, broken := v.seen(); broken != 0 {
		t.Errorf("%d pictures were broken", broken)
	}
	if !p[0].key {
		t.Error("the first picture is no key picture")
	}
	if d := p[0].at.Sub(v.began); d > 600*time.Millisecond {
		t.Errorf("the first picture came after %v", d)
	} else {
		t.Logf("first picture after %v", d)
	}
	for i := 1; i < len(p); i++ {
		if p[i].n != p[i-1].n+1 {
			t.Fatalf("picture %d follows %d", p[i].n, p[i-1].n)
		}
		if int32(p[i].ts-p[i-1].ts) <= 0 {
			t.Fatalf("timestamp %d follows %d", p[i].ts, p[i-1].ts)
		}
	}
	seqs, _ := v.Sequences()
	for i := 1; i < len(seqs); i++ {
		if seqs[i] != seqs[i-1]+1 {
			t.Fatalf("sequence number %d follows %d", seqs[i], seqs[i-1])
		}
	}

	v.sess.Close()
	wait(t, 3*time.Second, "session done", v.sess.Done())
}
