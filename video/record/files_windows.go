package record

import (
	"io/fs"

	"stationd/agent/store/disk"
)

// syncDir does nothing: NTFS journals its names.
func syncDir(string) error { return nil }

// blocksOf is the file's length, which NTFS allocates.
func blocksOf(fi fs.FileInfo) disk.Bytes { return disk.Bytes(fi.Size()) }
