package centre_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"testing"

	"stationd/agent/station"
	"stationd/uplink/centre"
	"stationd/uplink/pki"
	"stationd/uplink/protocol"
	"stationd/uplink/uplinktest"
)

// sender uploads by hand.
type sender struct {
	t    *testing.T
	c    *http.Client
	base string
	data []byte
}

func newSender(t *testing.T, w *uplinktest.World, node station.NodeID, data []byte) *sender {
	cfg, err := pki.ClientTLS(w.Files(node), "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{TLSClientConfig: cfg}
	t.Cleanup(tr.CloseIdleConnections)
	return &sender{t, &http.Client{Transport: tr}, "https://" + w.Config.ClipsListen + protocol.ClipsPath, data}
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// do sends one request; change may spoil it.
func (s *sender) do(method, id string, offset int, piece []byte, change func(http.Header)) (status int, at string, code string) {
	s.t.Helper()
	req, err := http.NewRequest(method, s.base+id, bytes.NewReader(piece))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set(protocol.HeaderLength, strconv.Itoa(len(s.data)))
	req.Header.Set(protocol.HeaderSHA256, digest(s.data))
	req.Header.Set(protocol.HeaderOffset, strconv.Itoa(offset))
	req.Header.Set(protocol.HeaderChunkSHA256, digest(piece))
	if change != nil {
		change(req.Header)
	}
	resp, err := s.c.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var doc struct{ Code string }
	_ = json.NewDecoder(resp.Body).Decode(&doc)
	return resp.StatusCode, resp.Header.Get(protocol.HeaderOffset), doc.Code
}

func TestClipUpload(t *testing.T) {
	w := uplinktest.NewWorld(t)
	w.Config.MaxClip = 1 << 20
	w.Start()
	data := bytes.Repeat([]byte("clip"), 1000)
	a := newSender(t, w, "a", data)
	set := func(k, v string) func(http.Header) { return func(h http.Header) { h.Set(k, v) } }
	for _, step := range []struct {
		name   string
		s      *sender
		method string
		id     string
		offset int
		piece  []byte
		change func(http.Header)
		status int
		at     string
		code   string
	}{
		{"nothing yet", a, "HEAD", "c1", 0, nil, nil, 200, "0", ""},
		{"damaged on its way", a, "PATCH", "c1", 0, data[:100], set(protocol.HeaderChunkSHA256, digest(data[:99])), 400, "0", "clip.chunk"},
		{"nothing of it stored", a, "HEAD", "c1", 0, nil, nil, 200, "0", ""},
		{"first piece", a, "PATCH", "c1", 0, data[:1000], nil, 204, "1000", ""},
		{"the same again", a, "PATCH", "c1", 0, data[:1000], nil, 409, "1000", "clip.offset"},
		{"too far", a, "PATCH", "c1", 2000, data[2000:], nil, 409, "1000", "clip.offset"},
		{"beyond the end", a, "PATCH", "c1", 1000, append(bytes.Clone(data[1000:]), 1), nil, 400, "1000", "clip.length"},
		{"another station", newSender(t, w, "b", data), "PATCH", "c1", 1000, data[1000:], nil, 403, "", "clip.foreign"},
		{"no offset", a, "PATCH", "c1", 0, data[:1], set(protocol.HeaderOffset, "x"), 400, "1000", "clip.offset"},
		{"no length", a, "HEAD", "c1", 0, nil, set(protocol.HeaderLength, "-1"), 400, "", ""},
		{"too long", a, "PATCH", "c2", 0, nil, set(protocol.HeaderLength, "1048577"), 413, "", "clip.size"},
		{"piece too large", a, "PATCH", "c1", 1000, make([]byte, protocol.MaxChunk+1), nil, 413, "1000", "clip.chunk-size"},
		{"no digest", a, "PATCH", "c2", 0, nil, set(protocol.HeaderSHA256, "abc"), 400, "", "clip.digest"},
		{"bad id", a, "PATCH", "a%2Fb", 0, nil, nil, 400, "", "clip.id"},
		{"the rest", a, "PATCH", "c1", 1000, data[1000:], nil, 201, "4000", ""},
		{"whole", a, "HEAD", "c1", 0, nil, nil, 200, "4000", ""},
		{"whole, once more", a, "PATCH", "c1", 4000, nil, nil, 201, "4000", ""},
		{"not what it claims", a, "PATCH", "c3", 0, bytes.Repeat([]byte("clap"), 1000), nil, 422, "4000", "clip.corrupt"},
		{"from the start", a, "HEAD", "c3", 0, nil, nil, 200, "0", ""},
	} {
		status, at, code := step.s.do(step.method, step.id, step.offset, step.piece, step.change)
		if status != step.status || at != step.at || code != step.code {
			t.Errorf("%s: %d, offset %q, code %q; want %d, %q, %q", step.name, status, at, code, step.status, step.at, step.code)
		}
	}
	if got, ok := w.Clips.Clip("c1"); !ok || !bytes.Equal(got, data) {
		t.Error("the clip is not what was sent")
	}
}

func TestAdmit(t *testing.T) {
	batch := func(epoch station.Epoch, pairs ...uint64) (b []protocol.Envelope) {
		for i := 0; i < len(pairs); i += 2 {
			b = append(b, protocol.Envelope{Epoch: epoch, Hop: pairs[i+1], Event: station.Event{Seq: pairs[i]}})
		}
		return b
	}
	mark := centre.Mark{Epoch: "e1", Seq: 20, Hop: 10}
	for _, tc := range []struct {
		name  string
		batch []protocol.Envelope
		fresh int
		next  centre.Mark
		gap   bool
	}{
		{"nothing", nil, 0, mark, false},
		{"next", batch("e1", 23, 11, 30, 12), 2, centre.Mark{Epoch: "e1", Seq: 30, Hop: 12}, false},
		{"duplicate", batch("e1", 19, 9, 20, 10), 0, mark, false},
		{"overlap", batch("e1", 19, 9, 20, 10, 23, 11), 1, centre.Mark{Epoch: "e1", Seq: 23, Hop: 11}, false},
		{"gap", batch("e1", 30, 12), 0, mark, true},
		{"numbered otherwise after a trim", batch("e1", 25, 8), 0, mark, true},
		{"new epoch", batch("e2", 5, 1), 1, centre.Mark{Epoch: "e2", Seq: 5, Hop: 1}, false},
		{"new epoch, not from its start", batch("e2", 30, 11), 0, centre.Mark{Epoch: "e2"}, true},
	} {
		fresh, next, gap := centre.Admit(mark, tc.batch)
		if len(fresh) != tc.fresh || next != tc.next || gap != tc.gap {
			t.Errorf("%s: %d fresh, %+v, %t", tc.name, len(fresh), next, gap)
		}
	}
}

func TestConfig(t *testing.T) {
	cfg := centre.DefaultConfig()
	if cfg.Enabled() || cfg.Validate() != nil {
		t.Error("the default takes stations in")
	}
	cfg.Listen, cfg.ClipsListen, cfg.MaxClip = "8883", "x", 1
	err := cfg.Validate()
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) || len(joined.Unwrap()) != 6 {
		t.Errorf("faults: %v", err)
	}
}
