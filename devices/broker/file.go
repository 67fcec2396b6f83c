package broker

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// File is a Store in one file, which only its owner may read. After a loss of
// power there is the old content or the new one.
type File struct{ path string }

// NewFile names the file; it opens nothing. Its folder is made when it is written.
func NewFile(path string) File { return File{path} }

// Open gives the content.
func (f File) Open() (io.ReadCloser, error) { return os.Open(f.path) }

// Replace writes the content anew, beside the old one.
func (f File) Replace(write func(io.Writer) error) error {
	dir := filepath.Dir(f.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	// One name, not a fresh one each time: what a kill leaves half written is
	// overwritten by the next.
	part := f.path + ".part"
	to, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = write(to)
	if err = errors.Join(err, to.Sync(), to.Close()); err == nil {
		err = os.Rename(part, f.path)
	}
	if err != nil { // a full disk gets the space back
		return errors.Join(err, os.Remove(part))
	}
	return syncFolder(dir)
}

// SetAside renames the file to the same name with ".damaged", over an older one.
func (f File) SetAside() (string, error) {
	aside := f.path + ".damaged"
	if err := os.Rename(f.path, aside); err != nil {
		return "", fmt.Errorf("set the file aside: %w", err)
	}
	return aside, nil
}

// syncFolder makes a rename last. Where folders cannot be synced, on Windows, the
// file system's journal has to do.
func syncFolder(path string) error {
	if filepath.Separator == '\\' {
		return nil
	}
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
