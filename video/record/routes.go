package record

import (
	"net/http"
	"time"

	"stationd/agent/station"
)

// Routes are the routes of the record.
func (a *Archive) Routes() []station.Route {
	return []station.Route{{
		Pattern:    "GET /api/v1/clips/{id}/video.mp4",
		Permission: station.PermVideo,
		Resource:   "clip/{id}",
		Handler:    station.Handler(a.serveClip),
		Summary:    "A clip as an MP4 file; byte ranges are served",
		ReplyType:  "video/mp4",
	}, {
		Pattern:    "GET /api/v1/storage",
		Permission: station.PermVideo,
		Handler:    station.Handler(a.serveStorage),
		Summary:    "What the record takes, class by class and camera by camera, and how long it will last",
		Reply:      Storage{},
	}}
}

// Storage is the reply to GET /api/v1/storage. Sizes are bytes, days those of the
// forecast.
type Storage struct {
	Free    int64 `json:"free"`
	Stopped bool  `json:"stopped"` // there is no space left to record to
	// EvidenceFull and EventsFull tell that something was refused for want of room.
	EvidenceFull bool            `json:"evidenceFull"`
	EventsFull   bool            `json:"eventsFull"`
	Classes      []StorageClass  `json:"classes"`
	Cameras      []StorageCamera `json:"cameras"`
	// Aside is how many volumes and clips could not be opened, and Damaged how many
	// pieces of the rest the scrub found damaged.
	Aside      int       `json:"aside"`
	AsideBytes int64     `json:"asideBytes"`
	Damaged    int       `json:"damaged"`
	Scrubbed   time.Time `json:"scrubbed,omitzero"` // everything was read once by then
	Skipped    uint64    `json:"skipped"`           // pieces that the disk did not take, since the start
	Gone       uint64    `json:"gone"`              // films of alarms that made room, since the start
}

// StorageClass is one class of the record: preroll, continuous, event, evidence.
type StorageClass struct {
	Class   Class     `json:"class"`
	Bytes   int64     `json:"bytes"`
	Most    int64     `json:"most"`
	MaxDays float64   `json:"maxDays,omitempty"` // it is kept at most so long
	Marks   int       `json:"marks"`
	Pending int       `json:"pending"`
	Oldest  time.Time `json:"oldest,omitzero"`
	Newest  time.Time `json:"newest,omitzero"`
	PerDay  int64     `json:"perDay"`
	// DaysKept is how far back it reaches once its room is used up, and DaysLeft
	// how long until then.
	DaysKept float64 `json:"daysKept"`
	DaysLeft float64 `json:"daysLeft"`
}

// StorageCamera is one camera in the rolling record.
type StorageCamera struct {
	Camera   string    `json:"camera"`
	Bytes    int64     `json:"bytes"`
	PerDay   int64     `json:"perDay"`
	Oldest   time.Time `json:"oldest,omitzero"`
	Newest   time.Time `json:"newest,omitzero"`
	Recorded float64   `json:"recorded"` // seconds
	DaysKept float64   `json:"daysKept"`
	Gaps     int       `json:"gaps"` // of the last day, without those of the schedule
	Lost     float64   `json:"lost"` // seconds
}

func (a *Archive) serveStorage(w http.ResponseWriter, r *http.Request) error {
	u := a.Usage()
	reply := Storage{
		Free: int64(u.Free), Stopped: u.Stopped, EvidenceFull: u.EvidenceFull, EventsFull: u.ClipsFull,
		Aside: u.Aside, AsideBytes: int64(u.AsideBytes), Damaged: u.Scrub.Damaged, Scrubbed: u.Scrub.Passed,
		Skipped: u.Stats.Skipped, Gone: u.Stats.Gone, Cameras: []StorageCamera{},
	}
	for _, c := range u.Classes {
		reply.Classes = append(reply.Classes, StorageClass{
			Class: c.Class, Bytes: int64(c.Bytes), Most: int64(c.Most), MaxDays: float64(c.MaxAge) / float64(day),
			Marks: c.Marks, Pending: c.Pending, Oldest: c.Oldest, Newest: c.Newest,
			PerDay: int64(c.PerDay), DaysKept: c.DaysKept, DaysLeft: c.DaysLeft,
		})
	}
	for _, c := range a.CameraUsage() {
		if station.MaySee(r.Context(), c.Camera) != nil {
			continue
		}
		reply.Cameras = append(reply.Cameras, StorageCamera{
			Camera: c.Camera, Bytes: int64(c.Bytes), PerDay: int64(c.PerDay), Oldest: c.Oldest, Newest: c.Newest,
			Recorded: c.Recorded.Seconds(), DaysKept: c.DaysKept, Gaps: c.Gaps, Lost: c.Lost.Seconds(),
		})
	}
	return station.WriteJSON(w, http.StatusOK, reply)
}

func (a *Archive) serveClip(w http.ResponseWriter, r *http.Request) error {
	clip, err := a.OpenClip(r.PathValue("id"))
	if err != nil {
		return err
	}
	defer clip.Close()
	h := w.Header()
	h.Set("Content-Type", "video/mp4")
	// A clip never changes; but who may see it does, so that the browser asks.
	h.Set("ETag", `"`+clip.Clip().SHA256+`"`)
	h.Set("Cache-Control", "private, no-cache")
	http.ServeContent(w, r, "", clip.Clip().End, clip)
	return nil
}
