package record

import (
	"fmt"
	"io"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/pmp4"

	"stationd/video/stream"
)

// film is a clip that is being put together: the pictures, each at its moment
// on the wall, so that time in the file is time on the wall.
type film struct {
	params  *paramSets
	to      int64
	samples []*pmp4.Sample
	at      []int64 // decode time of each sample, index time in ticks
	lastEnd int64   // ns
	first   int64   // ns
	gaps    time.Duration
	size    int64
}

// add puts in the pictures of a fragment that begin before the film's end. load
// reads the fragment's pictures again when the file is written.
func (f *film) add(start, end int64, samples []*fmp4.Sample, load func() ([]*fmp4.Sample, error)) {
	if len(f.samples) == 0 {
		f.first = start
	} else if gap := start - f.lastEnd; gap >= int64(gapAtLeast) {
		f.gaps += time.Duration(gap)
	}
	at := stream.ToTicks(time.Duration(start))
	to := stream.ToTicks(time.Duration(f.to))
	for i, s := range samples {
		if at >= to {
			end = min(end, start+int64(stream.FromTicks(at-stream.ToTicks(time.Duration(start)))))
			break
		}
		// Following the camera's clock may make fragments overlap a little.
		if n := len(f.at); n > 0 && at <= f.at[n-1] {
			f.at = append(f.at, f.at[n-1]+1)
		} else {
			f.at = append(f.at, at)
		}
		size := len(s.Payload) // and not the payload: a clip is longer than memory
		f.samples = append(f.samples, &pmp4.Sample{
			Duration: s.Duration, PTSOffset: s.PTSOffset, IsNonSyncSample: s.IsNonSyncSample,
			PayloadSize: uint32(size),
			GetPayload: func() ([]byte, error) {
				again, err := load()
				if err != nil {
					return nil, err
				}
				if i >= len(again) || len(again[i].Payload) != size {
					return nil, errCorrupt
				}
				return again[i].Payload, nil
			},
		})
		f.size += int64(size)
		at += int64(s.Duration)
	}
	f.lastEnd = end
}

// write makes the file, the index in front.
func (f *film) write(w io.Writer) error {
	last := len(f.samples) - 1
	for i := range last {
		f.samples[i].Duration = uint32(f.at[i+1] - f.at[i])
	}
	end := stream.ToTicks(time.Duration(f.lastEnd))
	f.samples[last].Duration = uint32(max(end-f.at[last], 1))
	p := pmp4.Presentation{Tracks: []*pmp4.Track{{
		ID: 1, TimeScale: timeScale, Samples: f.samples,
		// With B-frames the first picture is shown later than it is decoded.
		TimeOffset: -f.samples[0].PTSOffset,
		Codec:      &mp4.CodecH264{SPS: f.params.sps, PPS: f.params.pps},
	}}}
	if err := p.Marshal(w); err != nil {
		return fmt.Errorf("make MP4: %w", err)
	}
	return nil
}

// fileSize is not less than what write will write.
func (f *film) fileSize() int64 { return f.size + 32*int64(len(f.samples)) + 8192 }

// samplesIn takes a stored fragment apart.
func samplesIn(data []byte) ([]*fmp4.Sample, error) {
	var parts fmp4.Parts
	if err := parts.Unmarshal(data); err != nil {
		return nil, fmt.Errorf("read fragment: %w", err)
	}
	if len(parts) != 1 || len(parts[0].Tracks) != 1 || len(parts[0].Tracks[0].Samples) == 0 {
		return nil, fmt.Errorf("read fragment: %w", errCorrupt)
	}
	return parts[0].Tracks[0].Samples, nil
}

// paramsIn reads the parameter sets of an init segment.
func paramsIn(segment io.ReadSeeker) (*paramSets, error) {
	var i fmp4.Init
	if err := i.Unmarshal(segment); err != nil {
		return nil, fmt.Errorf("read init segment: %w", err)
	}
	c, ok := i.Tracks[0].Codec.(*mp4.CodecH264)
	if !ok {
		return nil, fmt.Errorf("read init segment: %w", errCorrupt)
	}
	return &paramSets{sps: c.SPS, pps: c.PPS}, nil
}
