//go:build !linux && !windows

package disk

import (
	"errors"
	"os"
)

// Fallocate writes zeros up to size.
func Fallocate(f *os.File, size Bytes) error { return fill(f, size) }

// Reserve does nothing on this system.
func Reserve(*os.File, Bytes) error { return nil }

// space cannot be asked here; a guard that cannot ask refuses nothing.
func space(string) (free, total Bytes, err error) { return 0, 0, errors.ErrUnsupported }
