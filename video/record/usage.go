package record

import (
	"time"

	"stationd/agent/station"
	"stationd/agent/store/disk"
)

// Usage is what the record and the clips take, and how long it will last.
type Usage struct {
	// Bytes of the rolling record, of the most that it may take.
	Bytes disk.Bytes `json:"bytes"`
	Most  disk.Bytes `json:"most"`
	// Free is what is free on the disk.
	Free    disk.Bytes `json:"free"`
	Volumes int        `json:"volumes"`
	// Oldest and Newest are the ends of the rolling record.
	Oldest time.Time `json:"oldest,omitzero"`
	Newest time.Time `json:"newest,omitzero"`
	// PerDay is how much is recorded in a day, as it was lately; zero when too
	// little is known.
	PerDay disk.Bytes `json:"perDay,omitempty"`
	// DaysKept is how many days the record reaches back once its space is used
	// up, at that rate; DaysLeft is how long until then, zero when it is.
	DaysKept float64 `json:"daysKept,omitempty"`
	DaysLeft float64 `json:"daysLeft"`
	// Stopped tells that there is no space left to record to.
	Stopped bool `json:"stopped,omitempty"`

	Clips      int        `json:"clips"`
	ClipBytes  disk.Bytes `json:"clipBytes"`
	ClipsMost  disk.Bytes `json:"clipsMost"`
	ClipsFull  bool       `json:"clipsFull,omitempty"`
	Receiving  int        `json:"receiving,omitempty"`
	AsideBytes disk.Bytes `json:"asideBytes,omitempty"` // of what could not be read
	Aside      int        `json:"aside,omitempty"`

	Stats Stats `json:"stats"`
}

// Usage is as of now.
func (a *Archive) Usage() Usage {
	spare := a.space.Spare()
	a.mu.Lock()
	defer a.mu.Unlock()
	u := Usage{
		Bytes: a.used(), Most: a.cfg.MaxBytes, Free: spare, Volumes: len(a.volumes), Stopped: a.stopped,
		Clips: len(a.clips), ClipsMost: a.cfg.ClipsMaxBytes, ClipsFull: a.clipsFull,
		Receiving: len(a.receiving), Aside: len(a.aside), Stats: a.stats,
	}
	for _, c := range a.clips {
		u.ClipBytes += c.volume.bytes
	}
	for _, size := range a.aside {
		u.AsideBytes += size
	}
	var bytes int64
	for _, v := range a.volumes {
		for _, t := range v.tracks {
			bytes += t.Bytes
			for _, s := range t.Spans {
				if u.Oldest.IsZero() || s.From.Before(u.Oldest) {
					u.Oldest = s.From
				}
				if s.To.After(u.Newest) {
					u.Newest = s.To
				}
			}
		}
	}
	span := u.Newest.Sub(u.Oldest)
	if span < time.Minute || bytes == 0 {
		return u
	}
	const day = 24 * time.Hour
	perDay := float64(bytes) / float64(span) * float64(day)
	u.PerDay = disk.Bytes(perDay)
	// Whatever is reached first bounds it: the quota, or the floor.
	room := min(a.cfg.MaxBytes, u.Bytes+max(spare-a.cfg.MinFree, 0))
	u.DaysKept = float64(room) / perDay
	if left := room - u.Bytes - volumeRoom(a.cfg.VolumeSize); left > 0 {
		u.DaysLeft = float64(left) / perDay
	}
	return u
}

// Lamps is the sign of health: whether recording goes on, whether clips still
// have room, and whether something could not be read.
func (a *Archive) Lamps() []station.Lamp {
	u := a.Usage()
	l := station.Lamp{ID: "storage", State: station.LampOK, Code: "storage.ok", Args: map[string]any{"daysLeft": u.DaysKept}}
	switch {
	case u.Stopped:
		l = station.Lamp{ID: "storage", State: station.LampBad, Code: "storage.video-stopped", Args: map[string]any{"free": u.Free}, Hint: "storage.free-space"}
	case u.ClipsFull:
		l = station.Lamp{ID: "storage", State: station.LampBad, Code: "storage.clips-full", Args: map[string]any{"clips": u.Clips, "bytes": u.ClipBytes}, Hint: "storage.remove-clips"}
	case u.Aside > 0:
		l = station.Lamp{ID: "storage", State: station.LampWarn, Code: "storage.video-damaged", Args: map[string]any{"count": u.Aside}, Hint: "storage.check-disk"}
	}
	return []station.Lamp{l}
}
