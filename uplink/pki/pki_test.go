package pki_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"stationd/uplink/pki"
)

func open(t *testing.T, dir string) *pki.Authority {
	t.Helper()
	a, err := pki.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestAuthorityIsKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ca")
	a := open(t, dir)
	f, err := a.EnsureNode(filepath.Join(dir, "n"), "cunju-1")
	if err != nil {
		t.Fatal(err)
	}
	first := read(t, f.Certificate)
	again, err := open(t, dir).EnsureNode(filepath.Join(dir, "n"), "cunju-1")
	if err != nil || string(read(t, again.Certificate)) != string(first) {
		t.Errorf("a good certificate was issued anew: %v", err)
	}
	if _, err := a.EnsureNode(filepath.Join(dir, "n"), "cunju-2"); err != nil || string(read(t, f.Certificate)) == string(first) {
		t.Errorf("another node's certificate was kept: %v", err)
	}
	for _, key := range []string{f.Key, filepath.Join(dir, "ca.key")} {
		if st, err := os.Stat(key); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", key, st.Mode(), err)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, "n", ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("temporary files left: %v, %v", left, err)
	}
}

// TestAuthorityHalfMade: a program that died while it made its authority goes on
// where it was; a certificate without its key is refused.
func TestAuthorityHalfMade(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ca")
	open(t, dir)
	if err := os.Remove(filepath.Join(dir, pki.AuthorityFile)); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
	if err := os.Remove(filepath.Join(dir, "ca.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := pki.Open(dir); err == nil {
		t.Error("an authority without a key was opened")
	}
}

func TestCertificates(t *testing.T) {
	a := open(t, t.TempDir())
	pair, err := a.IssueNode("cunju-1")
	if err != nil {
		t.Fatal(err)
	}
	c := parse(t, pair.Certificate)
	if id, err := pki.NodeOf(c); err != nil || id != "cunju-1" {
		t.Errorf("node %q, %v", id, err)
	}
	if c.URIs[0].String() != "urn:cityops:node:cunju-1" || len(c.ExtKeyUsage) != 1 || c.ExtKeyUsage[0] != x509.ExtKeyUsageClientAuth || c.IsCA {
		t.Errorf("certificate %v %v", c.URIs, c.ExtKeyUsage)
	}
	if now := time.Now(); c.NotBefore.After(now.Add(-time.Hour)) || c.NotAfter.Before(now.Add(365*24*time.Hour)) {
		t.Errorf("good from %s to %s", c.NotBefore, c.NotAfter)
	}
	server, err := a.IssueServer([]string{"centre.example", "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pki.NodeOf(parse(t, server.Certificate)); err == nil {
		t.Error("a server's certificate was taken for a node's")
	}
	if _, err := a.IssueServer(nil); err == nil {
		t.Error("a server without a name")
	}
	for _, id := range []string{"", "A", "a.b", "a/b", "../x"} {
		if _, err := a.IssueNode(nodeID(id)); err == nil {
			t.Errorf("a certificate for %q", id)
		}
	}
}

// TestMutualTLS dials a listener with every kind of certificate.
func TestMutualTLS(t *testing.T) {
	dir := t.TempDir()
	ours, theirs := open(t, dir+"/a"), open(t, dir+"/b")
	server := must(ours.EnsureServer(dir+"/server", []string{"127.0.0.1"}))(t)
	node := must(ours.EnsureNode(dir+"/node", "cunju-1"))(t)
	stranger := must(theirs.EnsureNode(dir+"/stranger", "cunju-1"))(t)
	stranger.Authority = node.Authority // it knows whom it dials, and is not known
	cfg, err := pki.ServerTLS(server, nil)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", cfg)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			if err := c.(*tls.Conn).Handshake(); err == nil {
				_, _ = c.Write([]byte("ok"))
			}
			_ = c.Close()
		}
	}()
	defer func() { _ = ln.Close(); <-done }()

	dial := func(files pki.Files, name string, change func(*tls.Config)) error {
		cfg, err := pki.ClientTLS(files, name)
		if err != nil {
			return err
		}
		if change != nil {
			change(cfg)
		}
		c, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", ln.Addr().String(), cfg)
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		b, err := io.ReadAll(c)
		if string(b) != "ok" {
			return errors.Join(errors.New("turned away"), err)
		}
		return nil
	}
	if err := dial(node, "127.0.0.1", nil); err != nil {
		t.Errorf("the node: %v", err)
	}
	for name, err := range map[string]error{
		"a stranger":           dial(stranger, "127.0.0.1", nil),
		"no certificate":       dial(node, "127.0.0.1", func(c *tls.Config) { c.Certificates = nil }),
		"a server as a client": dial(server, "127.0.0.1", nil),
		"TLS 1.1":              dial(node, "127.0.0.1", func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }),
		"another name":         dial(node, "centre.example", nil),
		"another authority":    dial(must(theirs.EnsureNode(dir+"/other", "cunju-1"))(t), "127.0.0.1", nil),
	} {
		if err == nil {
			t.Errorf("%s came through", name)
		}
	}
	// A renewed certificate needs no restart.
	renewed := must(ours.EnsureServer(dir+"/server", []string{"127.0.0.1", "centre.example"}))(t)
	if renewed != server {
		t.Fatal("the files moved")
	}
	if err := dial(node, "centre.example", nil); err != nil {
		t.Errorf("after renewal: %v", err)
	}
}
