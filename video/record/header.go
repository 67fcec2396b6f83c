package record

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"
)

// A fragment is stored with a header of 32 bytes in front, so that a reader can
// find its way without parsing MP4, and knows that it reads what was written:
//
//	 0  version (1)      1  flags        2  reserved
//	 4  generation of the parameter sets; their init segment has the same
//	 8  place on the stream's timeline, ns
//	16  duration, ns
//	24  number of pictures
//	28  CRC-32C of the key, bytes 0 to 27 and the fragment
const (
	headerSize    = 32
	headerVersion = 1
)

const (
	flagKey     = 1 << iota // the first picture is a key picture
	flagDamaged             // a picture in it was damaged on its way here
	flagSound               // there is sound in it
)

type header struct {
	flags    uint8
	gen      uint32
	pts      time.Duration
	duration time.Duration
	samples  uint32
}

func (h header) key() bool { return h.flags&flagKey != 0 }

var errCorrupt = errors.New("the stored bytes are not what was written")

func crcTable() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

func checksum(key, value []byte) uint32 {
	t := crcTable()
	c := crc32.Update(0, t, key)
	c = crc32.Update(c, t, value[:28])
	return crc32.Update(c, t, value[headerSize:])
}

// putHeader fills the first headerSize bytes of value, the rest of which is the
// fragment.
func putHeader(key, value []byte, h header) {
	value[0], value[1], value[2], value[3] = headerVersion, h.flags, 0, 0
	binary.BigEndian.PutUint32(value[4:], h.gen)
	binary.BigEndian.PutUint64(value[8:], uint64(h.pts))
	binary.BigEndian.PutUint64(value[16:], uint64(h.duration))
	binary.BigEndian.PutUint32(value[24:], h.samples)
	binary.BigEndian.PutUint32(value[28:], checksum(key, value))
}

// readHeader reads the header without looking at the fragment behind it.
func readHeader(value []byte) (header, error) {
	if len(value) < headerSize || value[0] != headerVersion {
		return header{}, errCorrupt
	}
	h := header{
		flags:    value[1],
		gen:      binary.BigEndian.Uint32(value[4:]),
		pts:      time.Duration(binary.BigEndian.Uint64(value[8:])),
		duration: time.Duration(binary.BigEndian.Uint64(value[16:])),
		samples:  binary.BigEndian.Uint32(value[24:]),
	}
	if h.duration < 0 || h.duration > time.Hour {
		return header{}, errCorrupt
	}
	return h, nil
}

// openFragment checks the whole value and returns what is behind the header.
func openFragment(key, value []byte) (header, []byte, error) {
	h, err := readHeader(value)
	if err != nil {
		return header{}, nil, err
	}
	if checksum(key, value) != binary.BigEndian.Uint32(value[28:]) {
		return header{}, nil, errCorrupt
	}
	return h, value[headerSize:], nil
}
