//go:build !linux

package record

import "stationd/agent/store/disk"

// punch does nothing on this system.
func punch(string, disk.Bytes) error { return nil }
