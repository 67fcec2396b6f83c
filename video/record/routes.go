package record

import (
	"net/http"

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
	}}
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
