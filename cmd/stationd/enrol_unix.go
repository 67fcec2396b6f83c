//go:build unix

package main

import (
	"os"
	"syscall"
)

// giveTo gives files to whoever owns the data directory: the command line may be
// root's, the daemon is not.
func giveTo(data string, files ...string) error {
	fi, err := os.Stat(data)
	if err != nil {
		return err
	}
	owner, ok := fi.Sys().(*syscall.Stat_t)
	if !ok || int(owner.Uid) == os.Getuid() {
		return nil
	}
	for _, f := range files {
		if err := os.Chown(f, int(owner.Uid), int(owner.Gid)); err != nil {
			return err
		}
	}
	return nil
}
