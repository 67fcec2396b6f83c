//go:build unix

package record

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"stationd/agent/store/disk"
)

// syncDir makes new names in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// blocksOf is what a file really takes; Badger's open logs are mostly holes.
func blocksOf(fi fs.FileInfo) disk.Bytes {
	if s, ok := fi.Sys().(*syscall.Stat_t); ok {
		return disk.Bytes(s.Blocks) * 512
	}
	return disk.Bytes(fi.Size())
}
