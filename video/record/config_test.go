package record_test

import (
	"strings"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/agent/store/disk"
	"stationd/video/record"
)

// The station's guard of the disk is what the archive asks.
var _ record.Space = (*disk.Guard)(nil)

func TestConfigNamesEveryFault(t *testing.T) {
	t.Parallel()
	if err := record.DefaultConfig().Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	bad := record.Config{
		VolumeSize: 3 * disk.GiB, MaxBytes: 1, MinFree: 1, ClipsMaxBytes: -1, ClipsMinFree: 2, SyncEvery: time.Hour, ClipGrace: -1, QueueBytes: 1,
		MaxAge: 1, PreRoll: 1, PreRollMaxBytes: 1, EventsMaxBytes: -1, EventsMaxAge: 1, EvidenceMaxBytes: -1, ScrubRate: -1,
	}
	err := bad.Validate()
	for _, key := range []string{
		"volume_size", "max_bytes", "min_free", "clips_max_bytes", "clips_min_free", "sync_every", "clip_grace", "queue_bytes",
		"max_age", "pre_roll", "pre_roll_max_bytes", "events_max_bytes", "events_max_age", "evidence_max_bytes", "scrub_rate",
	} {
		if err == nil || !strings.Contains(err.Error(), key+": ") {
			t.Errorf("%s is not named: %v", key, err)
		}
	}
	if p, ok := station.AsProblem(err); !ok || p.Code != "config.invalid" {
		t.Errorf("problem %v", p)
	}
	if _, err := record.Open(bad, nil); err == nil {
		t.Error("it was opened")
	}
}
