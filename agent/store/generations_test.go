package store

import (
	"fmt"
	"testing"
)

func TestCacheForgetsWhatNobodyAsksFor(t *testing.T) {
	c := newCache(1000)
	for i := range 500 {
		c.put(fmt.Sprintf("s/%d", i), make([]byte, 20))
		if c.get("s/0") == nil {
			t.Fatalf("after %d: what is asked for all the time is gone", i)
		}
	}
	if n := len(c.young) + len(c.old); n > 60 {
		t.Errorf("%d records are kept in two generations of 1000 bytes", n)
	}
	if c.get("s/1") != nil {
		t.Error("what nobody asked for is still there")
	}
	if e := c.get("s/499"); e == nil || len(e.raw) != 20 {
		t.Errorf("the newest is %v", e)
	}
}
