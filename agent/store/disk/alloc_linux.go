package disk

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Fallocate gives f really allocated blocks up to size and that length.
func Fallocate(f *os.File, size Bytes) error {
	err := unix.Fallocate(int(f.Fd()), 0, 0, int64(size))
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return fill(f, size)
	}
	return err
}

// Reserve gives f really allocated blocks up to size and leaves its length: a
// later extension by truncation finds its blocks there, so that writing to them
// through a memory map cannot fail. It does nothing on file systems that cannot.
func Reserve(f *os.File, size Bytes) error {
	err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, int64(size))
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return nil
	}
	return err
}

func space(dir string) (free, total Bytes, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, 0, err
	}
	size := Bytes(s.Bsize)
	return Bytes(s.Bavail) * size, Bytes(s.Blocks) * size, nil
}
