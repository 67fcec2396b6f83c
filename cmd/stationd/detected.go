package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"stationd/agent"
	"stationd/agent/station"
	"stationd/devices/onvif"
	"stationd/devices/payload"
	"stationd/video/record"
)

// What moves before a camera that is recorded around events is kept: what the
// camera itself says by ONVIF, and what other analytics say of it (Frigate), whose
// sensor names the cameras that see the place. That what was said is stored does
// not hang on it.

// telling is what is worth the film of a camera.
var telling = []string{
	station.ClassMotion, payload.FieldTamper, onvif.FieldIntrusion, onvif.FieldLineCrossed, onvif.FieldPerson, onvif.FieldVehicle, onvif.FieldInput, "alert",
}

// detectedBy takes in what a camera said.
func (n *node) detectedBy(ctx context.Context, camera string, readings []payload.Reading) {
	for _, r := range readings {
		for field, value := range r.Values {
			if on, ok := value.(bool); ok && slices.Contains(telling, field) {
				_, behind, _ := strings.Cut(r.Device, "/")
				n.detected(ctx, camera, strings.TrimPrefix(behind+"/"+field, "/"), on, slices.Contains(r.Events, field))
			}
		}
	}
}

// sink hands on what sensors report, and has the film kept of what those detect
// that cameras see.
type sink struct {
	agent *agent.Agent
	node  *node
}

func (s sink) HandleReport(ctx context.Context, r station.Report) error {
	if err := s.agent.HandleReport(ctx, r); err != nil {
		return err
	}
	cameras := (*s.node.eyes.Load())[r.Sensor]
	if len(cameras) == 0 || r.Late || r.Retained {
		return nil
	}
	for field, value := range r.Values {
		if on, ok := value.(bool); ok && slices.Contains(telling, field) {
			for _, c := range cameras {
				s.node.detected(ctx, c, r.Sensor+"/"+field, on, false)
			}
		}
	}
	return nil
}

// eyesOf are the cameras behind the sensors that tell of movements.
func eyesOf(sensors []station.Sensor) *map[string][]string {
	eyes := map[string][]string{}
	for _, sn := range sensors {
		if sn.Class == station.ClassMotion && sn.Source.Family != onvif.FamilyName && len(sn.Cameras) > 0 {
			eyes[sn.ID] = sn.Cameras
		}
	}
	return &eyes
}

func (n *node) detected(ctx context.Context, camera, what string, on, moment bool) {
	err := n.archive.Detected(ctx, record.Detection{
		Camera: camera, What: what, Active: on, Moment: moment, At: time.Now(), Before: n.cfg.Station.ClipBefore, After: n.cfg.Station.ClipAfter,
	})
	if err != nil {
		n.log.Warn("the film of a detection could not be marked", "camera", camera, "what", what, "err", err)
	}
}
