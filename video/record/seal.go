package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"stationd/agent/store/disk"
)

// The seal is a small file in the directory of a database that was closed for
// good: what the database holds, so that it need not be opened to know it, and
// the names and sizes of its files, because Badger, opening a directory in which
// a file is missing or short, ends the process or silently forgets what was in
// it. A directory without a good seal was not closed properly.
const sealName = "seal"

// file is one file of a sealed database.
type file struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
	// CRC is of the whole file; value logs have none, their values have their own.
	CRC uint32 `json:"crc,omitempty"`
}

type sealed struct {
	Version int             `json:"version"`
	Files   []file          `json:"files"`
	About   json.RawMessage `json:"about"`
}

const valueLog = ".vlog"

// writeSeal forces the closed database in dir to the disk and seals it.
func writeSeal(dir string, about any) ([]file, disk.Bytes, error) {
	// What Badger keeps for its garbage collection is of no use to a database
	// that is never written again.
	if err := os.Remove(filepath.Join(dir, "DISCARD")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, 0, err
	}
	s := sealed{Version: 1}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, 0, err
	}
	var size disk.Bytes
	for _, e := range entries {
		if e.Name() == "LOCK" || strings.HasPrefix(e.Name(), sealName) {
			continue
		}
		f, err := describe(dir, e.Name())
		if err != nil {
			return nil, 0, err
		}
		s.Files = append(s.Files, f)
		size += disk.Bytes(f.Size)
	}
	if err := putSeal(dir, s.Files, about); err != nil {
		return nil, 0, err
	}
	fi, err := os.Stat(filepath.Join(dir, sealName))
	if err != nil {
		return nil, 0, err
	}
	return s.Files, size + disk.Bytes(fi.Size()), nil
}

// putSeal writes the seal alone.
func putSeal(dir string, files []file, about any) error {
	text, err := json.Marshal(about)
	if err != nil {
		return err
	}
	return writeChecked(filepath.Join(dir, sealName), sealed{Version: 1, Files: files, About: text})
}

// describe forces a file to the disk and describes it.
func describe(dir, name string) (file, error) {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR, 0)
	if err != nil {
		return file{}, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return file{}, err
	}
	d := file{Name: name, Size: fi.Size()}
	if !strings.HasSuffix(name, valueLog) {
		if d.CRC, err = fileSum(f); err != nil {
			return file{}, err
		}
	}
	return d, f.Sync()
}

func fileSum(f *os.File) (uint32, error) {
	h := crc32.New(crcTable())
	_, err := io.Copy(h, f)
	return h.Sum32(), err
}

// readSeal reads the seal of dir into about.
func readSeal(dir string, about any) ([]file, disk.Bytes, error) {
	body, err := os.ReadFile(filepath.Join(dir, sealName))
	if err != nil {
		return nil, 0, err
	}
	text, err := checked(body)
	if err != nil {
		return nil, 0, fmt.Errorf("read seal: %w", err)
	}
	var s sealed
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, 0, fmt.Errorf("read seal: %w", err)
	}
	size := disk.Bytes(len(body))
	for _, f := range s.Files {
		size += disk.Bytes(f.Size)
	}
	return s.Files, size, json.Unmarshal(s.About, about)
}

// checked is what stands behind a checksum in a small file.
func checked(body []byte) ([]byte, error) {
	sum, text, ok := bytes.Cut(body, []byte{'\n'})
	text = bytes.TrimSuffix(text, []byte{'\n'})
	if !ok || string(sum) != fmt.Sprintf("%08x", crc32.Checksum(text, crcTable())) {
		return nil, errCorrupt
	}
	return text, nil
}

// verifyFiles checks that the files are those that were sealed.
func verifyFiles(dir string, files []file) error {
	for _, want := range files {
		if err := verifyFile(dir, want); err != nil {
			return fmt.Errorf("file %s: %w", want.Name, err)
		}
	}
	return nil
}

func verifyFile(dir string, want file) error {
	f, err := os.Open(filepath.Join(dir, want.Name))
	if err != nil {
		return err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	if runtime.GOOS == "windows" && !strings.HasSuffix(want.Name, ".sst") && !strings.HasSuffix(want.Name, valueLog) {
		return nil // opened for writing there, for want of a read-only mode, and so rewritten
	}
	if fi.Size() != want.Size {
		return fmt.Errorf("%w: it has %d bytes, not %d", errCorrupt, fi.Size(), want.Size)
	}
	if strings.HasSuffix(want.Name, valueLog) {
		return nil
	}
	sum, err := fileSum(f)
	if err != nil {
		return err
	}
	if sum != want.CRC {
		return errCorrupt
	}
	return nil
}

// replaceFile writes a file so that after a power cut it is the old or the new.
func replaceFile(path string, body []byte) error {
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(body)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// sizeOf is how much the files in dir take, of a database that has no seal.
func sizeOf(dir string) disk.Bytes {
	var size disk.Bytes
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0
	}
	for _, e := range entries {
		if fi, err := e.Info(); err == nil {
			size += blocksOf(fi)
		}
	}
	return size
}
