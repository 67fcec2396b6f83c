package main

import (
	"context"
	"fmt"
	"time"

	"stationd/devices/onvif/onviftest"
	"stationd/video/videotest"
)

// One of the demo's cameras speaks ONVIF: it has a head that is turned from the pad,
// a still of its own, and sees something move now and then. It is recorded around
// that alone, so that the timeline shows what it looks like.

const (
	demoDome       = "gate"
	demoMoves      = 45 * time.Second // from one movement to the next
	demoMovesAbout = 6 * time.Second
)

// startDome serves the camera's device until ctx ends.
func startDome(cameras *videotest.Server) (*onviftest.Device, error) {
	still, err := videotest.Still()
	if err != nil {
		return nil, fmt.Errorf("start the ONVIF camera: %w", err)
	}
	d := onviftest.New(cameras.URL(demoDome), cameras.URL(demoDome))
	d.Name, d.Still = "小区北门", still
	d.Username, d.Password = "", ""
	d.Start()
	return d, nil
}

// playMotion lets something move before the camera, again and again.
func playMotion(ctx context.Context, d *onviftest.Device) error {
	say := func(on bool) {
		d.Emit(onviftest.Event{Topic: "tns1:RuleEngine/CellMotionDetector/Motion", Source: "VideoSourceConfigurationToken", Of: "cfg-src0", Item: "IsMotion", Value: fmt.Sprint(on)})
	}
	for {
		for _, x := range []struct {
			on   bool
			then time.Duration
		}{{false, demoMoves - demoMovesAbout}, {true, demoMovesAbout}} {
			say(x.on)
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(x.then):
			}
		}
	}
}
