package disk_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"stationd/agent/store/disk"
)

func blocks(t *testing.T, path string) (length, allocated int64) {
	t.Helper()
	var s syscall.Stat_t
	if err := syscall.Stat(path, &s); err != nil {
		t.Fatal(err)
	}
	return s.Size, s.Blocks * 512
}

func TestAllocation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := disk.Reserve(f, 4*disk.MiB); err != nil {
		t.Fatal(err)
	}
	length, allocated := blocks(t, path)
	if length != 0 {
		t.Errorf("reserving changed the length to %d", length)
	}
	if allocated < 4<<20 {
		t.Skipf("the file system of %s cannot reserve", path) // 2026-11-21: tmpfs can, some network file systems cannot
	}
	if err := f.Truncate(4 << 20); err != nil {
		t.Fatal(err)
	}
	if length, allocated = blocks(t, path); length != 4<<20 || allocated < 4<<20 {
		t.Errorf("extended onto the reserved blocks: length %d, allocated %d", length, allocated)
	}
	if err := disk.Fallocate(f, 6*disk.MiB); err != nil {
		t.Fatal(err)
	}
	if length, allocated = blocks(t, path); length != 6<<20 || allocated < 6<<20 {
		t.Errorf("allocated: length %d, allocated %d", length, allocated)
	}
}
