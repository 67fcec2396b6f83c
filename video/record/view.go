package record

import (
	"bytes"
	"errors"

	"github.com/dgraph-io/badger/v4"

	"stationd/agent/store/disk"
)

type txn = *badger.Txn

// view is how a volume is read: the questions that playback asks.
type view struct{ txn txn }

// get copies a value; it is nil when there is none.
func (v view) get(key []byte) ([]byte, error) {
	item, err := v.txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return item.ValueCopy(nil)
}

// place is where a fragment lies and what its header says.
type place struct {
	start int64
	head  header
	size  disk.Bytes
}

func (p place) end() int64 { return p.start + int64(p.head.duration) }

// places lists the fragments of a camera that lie between from and to, in order
// of time, without reading them.
func (v view) places(camera string, from, to int64) []place {
	pre := prefix(kindFragment, camera)
	it := v.txn.NewIterator(badger.IteratorOptions{Prefix: pre})
	defer it.Close()
	var out []place
	// A fragment that began before from may reach into it.
	for it.Seek(timeKey(kindFragment, camera, max(from-int64(longestFragment), 0))); it.ValidForPrefix(pre); it.Next() {
		item := it.Item()
		_, start, ok := splitTimeKey(item.Key())
		if !ok {
			continue
		}
		if start >= to {
			break
		}
		var h header
		err := item.Value(func(value []byte) (err error) {
			h, err = readHeader(value)
			return err
		})
		if err != nil {
			// It did not reach the disk: what follows must begin with a key picture.
			out = append(out, place{start: start, head: header{duration: -1}})
			continue
		}
		if p := (place{start, h, disk.Bytes(item.ValueSize())}); p.end() > from {
			out = append(out, p)
		}
	}
	return out
}

// longestFragment is more than any fragment's duration: one picture may come
// maxFragment after the last, and then nothing for as long.
const longestFragment = 3 * maxFragment

// fragment reads and checks one fragment.
func (v view) fragment(camera string, start int64) (header, []byte, error) {
	key := timeKey(kindFragment, camera, start)
	value, err := v.get(key)
	if err != nil || value == nil {
		return header{}, nil, errors.Join(errCorrupt, err)
	}
	return openFragment(key, value)
}

// init reads the init segment of a generation.
func (v view) init(camera string, gen uint32) ([]byte, error) {
	b, err := v.get(initKey(camera, gen))
	if err == nil && len(bytes.TrimSpace(b)) == 0 {
		err = errCorrupt
	}
	return b, err
}
