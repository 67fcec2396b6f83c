package record

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"stationd/agent/store/disk"
)

// punch gives the blocks of an open volume's value log back, from an offset on.
// The log stays as long as it is, so that its memory map stays valid.
func punch(dir string, from disk.Bytes) error {
	names, err := filepath.Glob(filepath.Join(dir, "*"+valueLog))
	if err != nil || len(names) == 0 {
		return err
	}
	f, err := os.OpenFile(names[len(names)-1], os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil || fi.Size() <= int64(from) {
		return err
	}
	err = unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, int64(from), fi.Size()-int64(from))
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return nil
	}
	return err
}
