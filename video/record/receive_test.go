package record_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"stationd/agent/station"
	"stationd/video/record"
)

func randomClip(size int) (body []byte, sum string) {
	body = make([]byte, size)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range body {
		body[i] = byte(r.Uint32())
	}
	s := sha256.Sum256(body)
	return body, hex.EncodeToString(s[:])
}

func code(err error) string {
	if p, ok := station.AsProblem(err); ok {
		return p.Code
	}
	return ""
}

func TestReceiveOverRestarts(t *testing.T) {
	t.Parallel()
	cfg := smallConfig(t.TempDir())
	body, sum := randomClip(5<<20 + 12345)
	a := open(t, cfg)
	at := int64(0)
	for round := range 5 {
		r, err := a.ReceiveClip("n1.c1", int64(len(body)), sum)
		if err != nil {
			t.Fatal(err)
		}
		if r.Offset() != at {
			t.Fatalf("round %d: offset %d, want %d", round, r.Offset(), at)
		}
		piece := body[at:min(at+1300000, int64(len(body)))]
		if _, err := io.Copy(r, iotestReader(piece)); err != nil {
			t.Fatal(err)
		}
		if round < 4 {
			if err := r.Finish(); code(err) != "clip.incomplete" {
				t.Fatalf("half a clip: %v", err)
			}
		} else if err := r.Finish(); err != nil {
			t.Fatal(err)
		}
		at += int64(len(piece))
		if _, err := a.OpenClip("n1.c1"); (err == nil) != (round == 4) {
			t.Fatalf("round %d: %v", round, err)
		} else if round == 4 {
			break
		}
		if round%2 == 0 {
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
		}
		a.stop() // closes the others
		a = open(t, cfg)
	}
}

// iotestReader hands out odd pieces.
func iotestReader(b []byte) io.Reader { return &pieces{b} }

type pieces struct{ rest []byte }

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.rest[:min(len(p.rest), 7777)])
	p.rest = p.rest[n:]
	return n, nil
}

func TestReceivedClipIsServed(t *testing.T) {
	t.Parallel()
	cfg := smallConfig(t.TempDir())
	a := open(t, cfg)
	body, sum := randomClip(3 << 20)
	receive(t, a, "c1", body, sum)
	for range 2 {
		r, err := a.OpenClip("c1")
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, body) || r.Size() != int64(len(body)) {
			t.Errorf("%d bytes of %d, %v", len(got), len(body), err)
		}
		if _, err := r.Seek(-1000, io.SeekEnd); err != nil {
			t.Error(err)
		}
		if got, err = io.ReadAll(r); err != nil || !bytes.Equal(got, body[len(body)-1000:]) {
			t.Errorf("the last 1000 bytes: %v", err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		a.stop()
		a = open(t, cfg)
	}
	// Again: it is there already.
	r, err := a.ReceiveClip("c1", int64(len(body)), strings.ToUpper(sum))
	if err != nil || r.Offset() != int64(len(body)) || r.Finish() != nil || r.Close() != nil {
		t.Errorf("again: %v", err)
	}
	if _, err := a.ReceiveClip("c1", 77, sum); code(err) != "clip.differs" {
		t.Errorf("another one: %v", err)
	}
}

func receive(t *testing.T, a *running, id string, body []byte, sum string) {
	t.Helper()
	r, err := a.ReceiveClip(id, int64(len(body)), sum)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(r, iotestReader(body)); err != nil {
		t.Fatal(err)
	}
	if err := r.Finish(); err != nil {
		t.Fatal(err)
	}
}

func TestReceiveRefuses(t *testing.T) {
	t.Parallel()
	cfg := smallConfig(t.TempDir())
	a := open(t, cfg)
	body, sum := randomClip(2<<20 + 1)
	for _, bad := range []struct {
		id   string
		size int64
		sum  string
	}{{"../c", 10, sum}, {"c", 0, sum}, {"c", 10, "00"}, {"c.bad", 10, sum}} {
		if _, err := a.ReceiveClip(bad.id, bad.size, bad.sum); err == nil {
			t.Errorf("%+v was not refused", bad)
		}
	}

	// What is not what was announced is thrown away.
	broken := bytes.Clone(body)
	broken[1<<20+5]++
	r, err := a.ReceiveClip("c", int64(len(body)), sum)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Write(broken); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Write([]byte{1}); code(err) != "clip.too-long" {
		t.Errorf("too long: %v", err)
	}
	if err := r.Finish(); code(err) != "clip.checksum" {
		t.Errorf("checksum: %v", err)
	}
	if _, err := a.OpenClip("c"); err == nil {
		t.Error("a broken clip is there")
	}
	entries, err := os.ReadDir(cfg.Dir + "/clips")
	if err != nil || len(entries) != 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}

	// A second connection takes over from one that hangs.
	first, err := a.ReceiveClip("c", int64(len(body)), sum)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.Write(body[:1<<20+100]); err != nil {
		t.Fatal(err)
	}
	second, err := a.ReceiveClip("c", int64(len(body)), sum)
	if err != nil || second.Offset() != 1<<20+100 {
		t.Fatalf("second: %v", err)
	}
	if _, err := first.Write([]byte{1}); code(err) != "clip.taken-over" {
		t.Errorf("first: %v", err)
	}
	if _, err := second.Write(body[second.Offset():]); err != nil {
		t.Fatal(err)
	}
	if err := second.Finish(); err != nil {
		t.Fatal(err)
	}

	// Beyond the quota.
	cfg.ClipsMaxBytes = 4 << 20
	cfg.Dir = t.TempDir()
	b := open(t, cfg)
	var kept *record.Receiving
	if kept, err = b.ReceiveClip("c1", 3<<20, sum); err != nil {
		t.Fatal(err)
	}
	if _, err := b.ReceiveClip("c2", 3<<20, sum); code(err) != "clips.full" {
		t.Errorf("beyond the quota: %v", err)
	}
	if err := kept.Close(); err != nil {
		t.Error(err)
	}
}
