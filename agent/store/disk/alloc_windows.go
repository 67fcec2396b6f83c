package disk

import (
	"os"

	"golang.org/x/sys/windows"
)

// Fallocate gives f the length size; NTFS allocates the clusters.
func Fallocate(f *os.File, size Bytes) error { return f.Truncate(int64(size)) }

// Reserve does nothing: a file's clusters are allocated with its length.
func Reserve(*os.File, Bytes) error { return nil }

func space(dir string) (free, total Bytes, err error) {
	path, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, 0, err
	}
	var mine, all, free0 uint64
	if err := windows.GetDiskFreeSpaceEx(path, &mine, &all, &free0); err != nil {
		return 0, 0, err
	}
	return Bytes(mine), Bytes(all), nil
}
