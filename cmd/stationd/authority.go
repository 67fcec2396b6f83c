package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"stationd/agent/station"
	"stationd/uplink/pki"
)

// The node's own certificate authority: it vouches for a centre's stations and
// for the console's HTTPS.

const (
	uplinkFolder  = "uplink"
	nodeFile      = "node.crt"
	keyFile       = "node.key"
	authorityFile = "authority.crt"
)

// ownAuthority is the authority in a data directory.
type ownAuthority string

func (o ownAuthority) dir() string { return filepath.Join(string(o), "authority") }

// server names the files of the node's own server certificate.
func (o ownAuthority) server() pki.Files {
	return pki.Files{
		Certificate: filepath.Join(o.dir(), "server.crt"),
		Key:         filepath.Join(o.dir(), "server.key"),
		Authority:   filepath.Join(o.dir(), "parent-"+pki.AuthorityFile),
	}
}

// ensureServer makes the server certificate for hosts, unless a good one is there.
func (o ownAuthority) ensureServer(hosts []string) (pki.Files, error) {
	a, err := pki.Open(o.dir())
	if err != nil {
		return pki.Files{}, err
	}
	return a.EnsureServer(o.dir(), hosts)
}

// issue makes the certificate of a station at its centre. The three files go
// into the station's data directory, under "uplink".
func issue(opts serviceOptions, node, outDir string, out io.Writer) error {
	if node == "" || outDir == "" {
		return station.Errorf(400, "issue.usage", "stationd issue --data DIR --out FOLDER NODE", "name the station and the folder for its certificate")
	}
	id := station.NodeID(node)
	if err := id.Validate(); err != nil {
		return station.Errorf(400, "issue.node", "use the station's node ID", "%v", err)
	}
	cfg, err := loadConfig(opts)
	if err != nil {
		return err
	}
	if err := issueNode(ownAuthority(cfg.Data), id, outDir); err != nil {
		return err
	}
	fmt.Fprintf(out, "wrote %s, %s and %s into %s\ncopy the folder to the station as DATA/%s; the key must not travel by mail\n",
		nodeFile, keyFile, authorityFile, outDir, uplinkFolder)
	return nil
}

// issueNode writes a node's certificate, its key and the authority's
// certificate into dir.
func issueNode(o ownAuthority, id station.NodeID, dir string) error {
	a, err := pki.Open(o.dir())
	if err != nil {
		return err
	}
	pair, err := a.IssueNode(id)
	if err != nil {
		return err
	}
	authority, err := os.ReadFile(a.AuthorityFile())
	if err != nil {
		return fmt.Errorf("read the authority's certificate: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the folder: %w", err)
	}
	// The certificate last: where it is, the other two are.
	for _, f := range []struct {
		name    string
		content []byte
	}{{authorityFile, authority}, {keyFile, pair.Key}, {nodeFile, pair.Certificate}} {
		if err := writeWhole(filepath.Join(dir, f.name), f.content); err != nil {
			return fmt.Errorf("write the certificate: %w", err)
		}
	}
	return nil
}

// writeWhole writes a file that only its owner reads, so that it is there whole
// or not at all.
func writeWhole(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // after the rename there is nothing to remove
	_, err = f.Write(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
