package record

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// The keys of a volume. A camera's fragments lie together, in order of time:
//
//	f<camera>\0<start, ns, big endian>    a fragment
//	i<camera>\0<generation, big endian>   the init segment of a generation
//	g<camera>\0<start, ns, big endian>    a gap, JSON
//	s<camera>\0<start, ns, big endian>    a setting of the clock, JSON
const (
	kindFragment = 'f'
	kindInit     = 'i'
	kindGap      = 'g'
	kindStep     = 's'
)

func prefix(kind byte, camera string) []byte {
	k := make([]byte, 0, len(camera)+10)
	k = append(k, kind)
	k = append(k, camera...)
	return append(k, 0)
}

func timeKey(kind byte, camera string, at int64) []byte {
	return binary.BigEndian.AppendUint64(prefix(kind, camera), uint64(at))
}

func initKey(camera string, gen uint32) []byte {
	return binary.BigEndian.AppendUint32(prefix(kindInit, camera), gen)
}

// splitTimeKey takes a fragment's or gap's key apart.
func splitTimeKey(key []byte) (camera string, at int64, ok bool) {
	if len(key) < 10 || key[len(key)-9] != 0 {
		return "", 0, false
	}
	return string(key[1 : len(key)-9]), int64(binary.BigEndian.Uint64(key[len(key)-8:])), true
}

func checkCamera(camera string) error {
	if camera == "" || len(camera) > 200 || strings.ContainsAny(camera, "\x00/") {
		return fmt.Errorf("camera id %q: want 1 to 200 characters without / and NUL", camera)
	}
	return nil
}
