package playback

import (
	"stationd/agent/station"
)

// What several routes take.
var (
	fromParam = station.Param{Name: "from", In: "query", Type: "string", Summary: "the beginning, RFC 3339"}
	toParam   = station.Param{Name: "to", In: "query", Type: "string", Summary: "the end, RFC 3339"}
	atParam   = station.Param{Name: "at", In: "query", Type: "string", Summary: "the moment, RFC 3339"}
)

// Routes are the routes of playback.
func (p *Playback) Routes() []station.Route {
	of := func(pattern, summary string, h station.Handler, params ...station.Param) station.Route {
		return station.Route{Pattern: pattern, Permission: station.PermVideo, Resource: "camera/{id}", Summary: summary, Handler: h, Params: params}
	}
	json := func(r station.Route, reply any) station.Route { r.Reply = reply; return r }
	media := func(r station.Route, kind string) station.Route { r.ReplyType = kind; return r }
	return []station.Route{
		json(of("GET /api/v1/cameras/{id}/timeline", "What is recorded of a camera: stretches, gaps with their reasons, steps of the clock, alarms; at most 32 days", p.serveTimeline, fromParam, toParam), Timeline{}),
		json(of("GET /api/v1/cameras/{id}/days", "Which days of a month have a record", p.serveDays,
			station.Param{Name: "month", In: "query", Type: "string", Summary: "2026-11"}, station.Param{Name: "zone", In: "query", Type: "string", Summary: "the time zone of the days, Asia/Shanghai; the station's without it"}), Month{}),
		media(of("GET /api/v1/cameras/{id}/media", "The record as a stream of fragmented MP4 from the key picture before from; 204 where there is none. At most a minute, or two hours of key pictures", p.serveMedia, fromParam, toParam,
			station.Param{Name: "sound", In: "query", Type: "string", Summary: "0 for pictures alone"}, station.Param{Name: "keys", In: "query", Type: "string", Summary: "1 for key pictures alone"}, station.Param{Name: "every", In: "query", Type: "integer", Summary: "least distance of key pictures in milliseconds"}), "video/mp4"),
		media(of("GET /api/v1/cameras/{id}/playlist.m3u8", "The record as an HLS playlist, at most six hours; without to it grows while the camera is recorded, without from it begins just now", p.servePlaylist, fromParam, toParam), playlistType),
		media(of("GET /api/v1/cameras/{id}/init/{name}", "An init segment that a playlist names", p.serveInit), "video/mp4"),
		media(of("GET /api/v1/cameras/{id}/segment/{name}", "A segment that a playlist names", p.serveSegment), "video/mp4"),
		media(of("GET /api/v1/cameras/{id}/preview", "The key picture before a moment as MP4 of one picture", p.servePreview, atParam), "video/mp4"),
		media(of("GET /api/v1/cameras/{id}/snapshot", "A still picture. Without a moment it is the camera's own, where it gives one; else the key picture before, as JPEG where the machine has ffmpeg and as MP4 of one picture where not. Picture-Source tells which: camera, ffmpeg, record", p.serveSnapshot, atParam), "image/jpeg"),
		media(of("GET /api/v1/cameras/{id}/snapshot.jpg", "The same as JPEG or not at all", p.serveJPEG, atParam), "image/jpeg"),
		json(of("GET /api/v1/cameras/{id}/exports", "The exports of a camera, the newest first", p.listExports), exportList{}),
		media(of("GET /api/v1/cameras/{id}/exports/{export}/video.mp4", "The file of an export; byte ranges are served", p.serveExport), "video/mp4"),
		{Pattern: "GET /api/v1/exports", Permission: station.PermVideo, Summary: "The exports of all cameras that the asker may see, the newest first", Reply: exportList{}, Handler: station.Handler(p.listExports)},
	}
}
