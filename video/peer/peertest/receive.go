package peertest

import (
	"errors"
	"net"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v4"
)

// patience is how long a missing packet is waited for.
const patience = 500 * time.Millisecond

// receive puts packets in order and pictures together until the track ends.
func (v *Viewer) receive(track *webrtc.TrackRemote) {
	waiting := map[uint16]*rtp.Packet{}
	var (
		next    uint16
		started bool
		missing time.Time // since when next is missing
		depack  codecs.H264Packet
		unit    []byte
		whole   = true
	)
	for {
		deadline := time.Time{}
		if len(waiting) > 0 {
			deadline = time.Now().Add(20 * time.Millisecond)
		}
		_ = track.SetReadDeadline(deadline)
		p, _, err := track.ReadRTP()
		if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
			p = nil
		} else if err != nil {
			return
		}
		if p != nil && len(p.Payload) > 0 {
			v.mu.Lock()
			v.packets++
			v.mu.Unlock()
			if !started {
				started, next = true, p.SequenceNumber
			}
			if int16(p.SequenceNumber-next) >= 0 {
				waiting[p.SequenceNumber] = p
			}
		}
		for len(waiting) > 0 {
			p, ok := waiting[next]
			if !ok {
				if missing.IsZero() {
					missing = time.Now()
				}
				if time.Since(missing) < patience {
					break
				}
				next++ // given up
				whole = false
				continue
			}
			missing = time.Time{}
			delete(waiting, next)
			next++
			v.mu.Lock()
			v.sequences = append(v.sequences, p.SequenceNumber)
			v.mu.Unlock()
			part, err := depack.Unmarshal(p.Payload)
			if err != nil {
				whole = false
			}
			unit = append(unit, part...)
			if p.Marker {
				v.picture(unit, whole, p.Timestamp)
				unit, whole, depack = nil, true, codecs.H264Packet{}
			}
		}
	}
}

func (v *Viewer) picture(unit []byte, whole bool, ts uint32) {
	if v.cfg.OnPicture == nil {
		return
	}
	pic := Picture{NALUs: split(unit), Timestamp: ts, Whole: whole, At: time.Now()}
	for _, n := range pic.NALUs {
		pic.Key = pic.Key || n[0]&0x1f == 5
	}
	v.cfg.OnPicture(pic)
}
