package store

import (
	"encoding/binary"
	"fmt"
	"os"

	"github.com/dgraph-io/badger/v4/fb"
	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/badger/v4/y"
	"google.golang.org/protobuf/proto"
)

// tableInfo is what a table file says of itself.
type tableInfo struct {
	newest uint64 // version
	fault  string // empty when every checksum is right
}

// readTable checks a table file without Badger, which ends the process over a
// file that is cut off. From the end: length of the checksum, checksum, length of
// the index, index; the index names the blocks, each of which ends the same way.
func readTable(path string) (tableInfo, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return tableInfo{}, err
	}
	rest, sum, ok := cutChecksum(b)
	if !ok || len(rest) < 4 {
		return tableInfo{fault: "its end is missing"}, nil
	}
	n := int64(binary.BigEndian.Uint32(rest[len(rest)-4:]))
	rest = rest[:len(rest)-4]
	if n == 0 || n > int64(len(rest)) {
		return tableInfo{fault: "its index is missing"}, nil
	}
	text := rest[int64(len(rest))-n:]
	if !sumsUp(text, sum) {
		return tableInfo{fault: "its index is wrong"}, nil
	}
	index := fb.GetRootAsTableIndex(text, 0)
	info := tableInfo{newest: index.MaxVersion()}
	var block fb.BlockOffset
	for i := range index.OffsetsLength() {
		if !index.Offsets(&block, i) {
			return tableInfo{fault: "its index is short"}, nil
		}
		from, to := uint64(block.Offset()), uint64(block.Offset())+uint64(block.Len())
		if to > uint64(len(b)) {
			return tableInfo{fault: "it is cut off"}, nil
		}
		data, sum, ok := cutChecksum(b[from:to])
		if !ok || !sumsUp(data, sum) {
			return tableInfo{newest: info.newest, fault: fmt.Sprintf("block %d is wrong", i)}, nil
		}
	}
	return info, nil
}

// cutChecksum takes the checksum and its length off the end of b.
func cutChecksum(b []byte) (rest, sum []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	n := int64(binary.BigEndian.Uint32(b[len(b)-4:]))
	b = b[:len(b)-4]
	if n == 0 || n > int64(len(b)) {
		return nil, nil, false
	}
	at := int64(len(b)) - n
	return b[:at], b[at:], true
}

func sumsUp(data, sum []byte) bool {
	var want pb.Checksum
	return proto.Unmarshal(sum, &want) == nil && want.Sum != 0 && y.VerifyChecksum(data, &want) == nil
}
