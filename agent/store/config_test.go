package store_test

import (
	"strings"
	"testing"

	"stationd/agent/store"
)

func TestConfig(t *testing.T) {
	cfg := store.DefaultConfig()
	cfg.Dir = "x"
	if err := cfg.Validate(); err != nil {
		t.Error(err)
	}
	err := store.Config{Node: "Ä"}.Validate()
	for _, key := range []string{"dir", "node", "keep_journal", "bulk_cap", "queue", "space.floor"} {
		if err == nil || !strings.Contains(err.Error(), key+": ") {
			t.Errorf("no fault names %q: %v", key, err)
		}
	}
}
