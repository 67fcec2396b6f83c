package stream_test

import (
	"context"
	"fmt"
	"time"

	"github.com/pion/rtp"

	"stationd/video/stream"
)

// A sender copies a packet's header, numbers it anew, and shares the payload.
func Example() {
	s := stream.New(stream.Config{})
	s.Announce(stream.Params{SPS: sps360, PPS: pps360}) // from the camera's SDP
	r := s.Read(stream.ReadOptions{Name: "viewer", FromCache: true, Pace: true})
	defer r.Close()

	s.Write([][]byte{slice(5, 3000)}, 0, time.Now(), false)

	u, err := r.Next(context.Background())
	if err != nil {
		return // io.EOF: the camera was removed
	}
	var seq uint16
	for _, p := range u.Packets {
		out := rtp.Packet{Header: p.Header, Payload: p.Payload}
		out.SequenceNumber = seq
		seq++
		fmt.Println(out.SequenceNumber, len(out.Payload), out.Marker)
	}
	// Output:
	// 0 35 false
	// 1 1002 false
	// 2 1002 false
	// 3 1001 true
}
