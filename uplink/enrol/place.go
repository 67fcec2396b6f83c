package enrol

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"stationd/agent/station"
	"stationd/uplink/pki"
)

// The files of an enrolment, in the uplink's folder of the data directory.
const (
	recordFile    = "enrolment.json"
	pendingFile   = "pending.key"
	identityFile  = "identity.pem"
	authorityFile = "authority.crt"
	folderPrefix  = "enrolled-"
)

// Record is an enrolment as it is kept.
type Record struct {
	Node station.NodeID `json:"node"`
	// Was is the name that the station had drawn for itself before; empty where it
	// kept its name.
	Was        station.NodeID `json:"was,omitempty"`
	Parent     station.NodeID `json:"parent"`
	ParentName string         `json:"parentName,omitempty"`
	// Address is the parent's HTTPS port, host:port, URL where its events go.
	Address string `json:"address"`
	URL     string `json:"url"`
	// Target names the cursors: another parent has others.
	Target string    `json:"target"`
	At     time.Time `json:"at"`
	// Folder is where the certificate lies, within the uplink's.
	Folder string `json:"folder"`
}

// Place is the uplink's folder in a data directory.
type Place string

// Record is the enrolment that counts; fs.ErrNotExist where there is none.
func (p Place) Record() (Record, error) {
	var r Record
	b, err := os.ReadFile(filepath.Join(string(p), recordFile))
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("%s: %w", recordFile, err)
	}
	if err := r.Node.Validate(); err != nil || filepath.Base(r.Folder) != r.Folder || !strings.HasPrefix(r.Folder, folderPrefix) {
		return r, fmt.Errorf("%s is not an enrolment: %w", recordFile, errors.Join(err, errors.New("folder or node")))
	}
	return r, nil
}

// Files are the enrolment's certificate, key and authority.
func (p Place) Files(r Record) pki.Files {
	identity := filepath.Join(string(p), r.Folder, identityFile)
	return pki.Files{Certificate: identity, Key: identity, Authority: filepath.Join(string(p), r.Folder, authorityFile)}
}

// pendingKey is the key for which a certificate is asked; it is made when there is
// none.
func (p Place) pendingKey() (pki.Request, error) {
	name := filepath.Join(string(p), pendingFile)
	if b, err := os.ReadFile(name); err == nil {
		if req, err := pki.RequestFor(b); err == nil {
			return req, nil
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return pki.Request{}, err
	}
	req, err := pki.NewRequest()
	if err != nil {
		return req, err
	}
	return req, errors.Join(os.MkdirAll(string(p), 0o700), pki.WriteFile(name, req.Key, 0o600))
}

// keep makes an enrolment count, and clears away what it replaces.
func (p Place) keep(r Record, identity, authority []byte) (Record, error) {
	r.Folder = folderPrefix + station.NewID()
	dir := filepath.Join(string(p), r.Folder)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return r, err
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return r, err
	}
	for _, f := range []struct {
		name string
		text []byte
	}{{filepath.Join(dir, authorityFile), authority}, {filepath.Join(dir, identityFile), identity}, {filepath.Join(string(p), recordFile), text}} {
		if err := pki.WriteFile(f.name, f.text, 0o600); err != nil {
			return r, err
		}
	}
	p.sweep(r.Folder)
	return r, nil
}

// sweep removes what no enrolment counts on any more. What cannot be removed does no
// harm.
func (p Place) sweep(keep string) {
	_ = os.Remove(filepath.Join(string(p), pendingFile))
	entries, err := os.ReadDir(string(p))
	if err != nil {
		return
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), folderPrefix) && e.Name() != keep {
			_ = os.RemoveAll(filepath.Join(string(p), e.Name()))
		}
	}
}
