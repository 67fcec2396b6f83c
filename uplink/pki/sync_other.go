//go:build !unix

package pki

// syncDir does nothing where a directory cannot be synced; the file system
// orders the rename itself.
func syncDir(string) error { return nil }
