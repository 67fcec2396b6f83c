package pki_test

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"testing"

	"stationd/agent/station"
	"stationd/uplink/pki"
)

func nodeID(s string) station.NodeID { return station.NodeID(s) }

func must(f pki.Files, err error) func(*testing.T) pki.Files {
	return func(t *testing.T) pki.Files {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func parse(t *testing.T, b []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(b)
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
