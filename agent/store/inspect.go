package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/dgraph-io/badger/v4"
)

// Badger trusts its MANIFEST. Tables that are not in it are deleted at open,
// without a word; a MANIFEST that is missing or was cut off thus costs the data,
// and a table whose checksum is wrong is left out. So the directory is inspected
// before Badger sees it. What a crash leaves behind is told from damage by the
// versions, which Badger numbers one after the other over all tables and logs:
//
//   - a table not in the MANIFEST whose newest version is not newer than what
//     is in it holds nothing new: it is the unfinished result, or the already
//     replaced input, of a merge;
//   - a newer one is the unfinished result of writing out a log if the log is
//     still there, which therefore begins at that version or before;
//   - any other is data that the MANIFEST has lost.

// manifest is a candidate for the list of tables.
type manifest struct {
	name   string // for people
	text   []byte // what would be written as MANIFEST; nil for none
	tables map[uint64]bool
}

// inspection is what was found.
type inspection struct {
	// damage says what is wrong; empty when the database can be opened.
	damage string
	// repaired says which MANIFEST was put in place of the damaged one.
	repaired string
}

// inspect looks at a database directory before it is opened, and puts a good
// MANIFEST in place of a damaged one where nothing is lost by it.
func inspect(dir, copyPath string, log *slog.Logger) (inspection, error) {
	tables, err := tableIDs(dir)
	if err != nil {
		return inspection{}, err
	}
	candidates, faults, err := manifests(dir, copyPath, len(tables) == 0, log)
	if err != nil {
		return inspection{}, err
	}
	seen := make(map[uint64]tableInfo)
	for i, m := range candidates {
		fault, err := judge(dir, m, tables, seen)
		if err != nil {
			return inspection{}, err
		}
		if fault != "" {
			faults = append(faults, m.name+": "+fault)
			continue
		}
		if i == 0 && len(faults) == 0 {
			return inspection{}, nil
		}
		if err := install(dir, m); err != nil {
			return inspection{}, err
		}
		return inspection{repaired: strings.Join(faults, "; ") + "; used " + m.name}, nil
	}
	return inspection{damage: strings.Join(faults, "; ")}, nil
}

// manifests lists the candidates, the best first, and what is wrong with those
// that are none.
func manifests(dir, copyPath string, empty bool, log *slog.Logger) (list []manifest, faults []string, err error) {
	add := func(name, path string) error {
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err != nil {
			return err
		}
		good := wholeRecords(text)
		// A record at the end that is not whole is how a crash leaves it; one
		// that is whole and wrong, or a wrong beginning, is damage.
		if good < 0 {
			faults = append(faults, name+" is no manifest")
			return nil
		}
		rest := text[good:]
		torn := len(rest) < 8 || uint64(len(rest)-8) < uint64(binary.BigEndian.Uint32(rest))
		if len(rest) > 0 && !(torn && plausible(rest)) {
			faults = append(faults, name+" is damaged behind byte "+strconv.Itoa(good))
		}
		m := manifest{name: name, text: text[:good]}
		if m.tables, err = replay(m.text, filepath.Dir(copyPath), log); err != nil {
			faults = append(faults, fmt.Sprintf("%s cannot be replayed: %v", name, err))
			return nil
		}
		list = append(list, m)
		return nil
	}
	missing := false
	if err := add("MANIFEST", filepath.Join(dir, badger.ManifestFilename)); errors.Is(err, fs.ErrNotExist) {
		missing = true
	} else if err != nil {
		return nil, nil, err
	}
	if err := add("the kept copy of the MANIFEST", copyPath); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	switch {
	case missing && len(list) == 0 && empty && len(faults) == 0:
		// Nothing was ever written out: Badger begins a new one, and reads the
		// logs if there are any.
		list = append(list, manifest{name: "a new MANIFEST"})
	case missing && len(list) > 0 && len(list[0].tables) == 0 && empty:
		list = []manifest{{name: "a new MANIFEST"}}
	case missing:
		faults = append(faults, "MANIFEST is missing")
	}
	return list, faults, nil
}

// plausible tells whether the beginning of a torn record could be one: a length
// that some write of Badger's may have had.
func plausible(rest []byte) bool {
	return len(rest) < 4 || binary.BigEndian.Uint32(rest) < 1<<20
}

// wholeRecords is where the last whole record of a manifest ends; -1 when it
// does not begin like one.
func wholeRecords(text []byte) int {
	const header = 8
	if len(text) < header || !bytes.Equal(text[:4], []byte("Bdgr")) {
		return -1
	}
	at := header
	for len(text)-at >= 8 {
		n := int(binary.BigEndian.Uint32(text[at:]))
		if n > len(text)-at-8 {
			break
		}
		sum := crc32.Checksum(text[at+8:at+8+n], crc32.MakeTable(crc32.Castagnoli))
		if sum != binary.BigEndian.Uint32(text[at+4:]) {
			break
		}
		at += 8 + n
	}
	return at
}

// replay lists the tables of a manifest, by Badger's own reading.
func replay(text []byte, scratch string, log *slog.Logger) (map[uint64]bool, error) {
	f, err := os.CreateTemp(scratch, ".manifest-*")
	if err != nil {
		return nil, err
	}
	defer func() {
		_ = f.Close()
		_ = os.Remove(f.Name())
	}()
	if _, err := f.Write(text); err != nil {
		return nil, err
	}
	if _, err := f.Seek(0, 0); err != nil {
		return nil, err
	}
	m, _, err := badger.ReplayManifestFile(f, 0, badgerOptions("", log))
	if err != nil {
		return nil, err
	}
	ids := make(map[uint64]bool, len(m.Tables))
	for id := range m.Tables {
		ids[id] = true
	}
	return ids, nil
}

// judge says what would be lost if Badger opened the directory with m; empty
// when nothing would.
func judge(dir string, m manifest, tables []uint64, seen map[uint64]tableInfo) (string, error) {
	have := make(map[uint64]bool, len(tables))
	var newest uint64
	for _, id := range tables {
		have[id] = true
		info, ok := seen[id]
		if !ok {
			var err error
			if info, err = readTable(tablePath(dir, id)); err != nil {
				return "", err
			}
			seen[id] = info
		}
		if m.tables[id] {
			if info.fault != "" {
				return fmt.Sprintf("table %d is damaged: %s", id, info.fault), nil
			}
			newest = max(newest, info.newest)
		}
	}
	for id := range m.tables {
		if !have[id] {
			return fmt.Sprintf("table %d is missing", id), nil
		}
	}
	covered, err := oldestLogged(dir)
	if err != nil {
		return "", err
	}
	for _, id := range tables {
		info := seen[id]
		if m.tables[id] || info.fault != "" { // one that was not finished
			continue
		}
		if info.newest > newest && info.newest < covered {
			return fmt.Sprintf("table %d is not listed and its data is nowhere else", id), nil
		}
	}
	return "", nil
}

// oldestLogged is the first version in the logs: what a table has from there on
// is in a log too. It is the largest number when there is no log with content.
//
// The logs cover consecutive versions, so the first version of the oldest one is
// enough.
func oldestLogged(dir string) (uint64, error) {
	ids, err := logIDs(dir)
	if err != nil {
		return 0, err
	}
	oldest := uint64(math.MaxUint64)
	for _, id := range ids {
		v, ok, err := firstVersion(logPath(dir, id))
		if err != nil {
			return 0, err
		}
		if ok {
			oldest = min(oldest, v)
		}
	}
	return oldest, nil
}

// firstVersion reads the version of the first entry of a log: 20 bytes of
// header, then meta, user meta, key length, value length, expiry, and the key,
// which ends with the version.
func firstVersion(path string) (version uint64, ok bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, false, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	b := make([]byte, 20+22+65000+8)
	n, err := f.Read(b)
	if n < 20+2 {
		return 0, false, nil //nolint:nilerr // an empty log
	}
	b = b[22:n]
	keyLen, n1 := binary.Uvarint(b)
	_, n2 := binary.Uvarint(b[max(n1, 0):])
	if n1 <= 0 || n2 <= 0 || keyLen < 8 {
		return 0, false, nil
	}
	_, n3 := binary.Uvarint(b[n1+n2:])
	end := uint64(n1+n2+max(n3, 0)) + keyLen
	if n3 <= 0 || end > uint64(len(b)) {
		return 0, false, nil
	}
	return math.MaxUint64 - binary.BigEndian.Uint64(b[end-8:]), true, nil
}

// install writes m as the MANIFEST and keeps the damaged one beside it.
func install(dir string, m manifest) error {
	path := filepath.Join(dir, badger.ManifestFilename)
	if err := os.Rename(path, path+".damaged"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if m.text == nil {
		return nil
	}
	return writeFile(path, m.text, 0o600)
}

func tablePath(dir string, id uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%06d.sst", id))
}

func tableIDs(dir string) ([]uint64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var ids []uint64
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".sst")
		if id, err := strconv.ParseUint(name, 10, 64); ok && err == nil {
			ids = append(ids, id)
		}
	}
	return ids, nil
}
