package protocol

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// Zstd is the compression that this program speaks: RFC 8878, one frame a batch.
const Zstd = "zstd"

// Compressions lists all that it speaks, the best first.
func Compressions() []string { return []string{Zstd} }

// ChooseCompression picks one that both ends speak; empty when there is none.
func ChooseCompression(theirs []string) string {
	for _, c := range Compressions() {
		if slices.Contains(theirs, c) {
			return c
		}
	}
	return ""
}

// zstdMagic begins every frame. A batch begins with '[', so each tells what it is.
var zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}

// coders are made once: both may be used by many at a time, and each costs memory.
var coders = sync.OnceValues(func() (*zstd.Encoder, *zstd.Decoder) {
	// The options are constants; the constructors fail on others alone.
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(256<<10), zstd.WithEncoderCRC(true))
	if err != nil {
		panic(err)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxMemory(MaxBatchBytes), zstd.WithDecoderMaxWindow(MaxBatchBytes))
	if err != nil {
		panic(err)
	}
	return enc, dec
})

// Compress makes a batch smaller in the way that was agreed upon. What would not
// become smaller stays as it is; a receiver takes both.
func Compress(how string, batch []byte) []byte {
	if how != Zstd || len(batch) < 256 {
		return batch
	}
	enc, _ := coders()
	if small := enc.EncodeAll(batch, make([]byte, 0, len(batch)/4)); len(small) < len(batch) {
		return small
	}
	return batch
}

// expand undoes Compress, up to MaxBatchBytes.
func expand(payload []byte) ([]byte, error) {
	if !bytes.HasPrefix(payload, zstdMagic) {
		return payload, nil
	}
	_, dec := coders()
	out, err := dec.DecodeAll(payload, nil)
	switch {
	case errors.Is(err, zstd.ErrDecoderSizeExceeded), errors.Is(err, zstd.ErrWindowSizeExceeded):
		return nil, ErrTooLarge
	case err != nil:
		return nil, malformed(fmt.Errorf("decompress: %w", err))
	}
	return out, nil
}
