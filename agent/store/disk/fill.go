//go:build !windows

package disk

import "os"

// fill allocates by writing zeros behind what is there, for file systems that
// cannot be asked to allocate.
func fill(f *os.File, size Bytes) error {
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	zeros := make([]byte, 1<<20)
	for at := fi.Size(); at < int64(size); {
		n, err := f.WriteAt(zeros[:min(int64(len(zeros)), int64(size)-at)], at)
		if err != nil {
			return err
		}
		at += int64(n)
	}
	return nil
}
