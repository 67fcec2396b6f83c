package uplink_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"stationd/uplink"
	"stationd/uplink/pki"
	"stationd/uplink/protocol"
	"stationd/uplink/uplinktest"
)

// TestDamagedPieceIsSentAgain: between the two TLS connections of a gateway, as a
// bad memory would, bits of some pieces fall over. The centre finds it in the piece
// and stores nothing of it, and the station sends it again.
func TestDamagedPieceIsSentAgain(t *testing.T) {
	w := uplinktest.NewWorld(t)
	w.Start()
	onward, err := pki.ClientTLS(w.Files(node), "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{TLSClientConfig: onward}
	t.Cleanup(tr.CloseIdleConnections)
	var pieces, damaged, refused atomic.Int64
	gateway := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		hurt := r.Method == http.MethodPatch && pieces.Add(1)%3 == 0
		if hurt {
			body[len(body)/2] ^= 0x10
			damaged.Add(1)
		}
		req, err := http.NewRequestWithContext(r.Context(), r.Method, "https://"+w.Config.ClipsListen+r.URL.Path, bytes.NewReader(body))
		if err != nil {
			return
		}
		req.Header = r.Header.Clone()
		resp, err := tr.RoundTrip(req)
		if err != nil {
			rw.WriteHeader(http.StatusBadGateway)
			return
		}
		defer func() { _ = resp.Body.Close() }()
		if resp.StatusCode == http.StatusBadRequest {
			refused.Add(1)
		}
		rw.Header().Set(protocol.HeaderOffset, resp.Header.Get(protocol.HeaderOffset))
		rw.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(rw, resp.Body)
	}))
	if gateway.TLS, err = pki.ServerTLS(pki.Files{Certificate: w.Config.Certificate, Key: w.Config.Key, Authority: w.Config.Authority}, nil); err != nil {
		t.Fatal(err)
	}
	gateway.StartTLS()
	t.Cleanup(gateway.Close)

	data := noise(9, 1<<20)
	clips := uplinktest.NewClips()
	clips.Add("clip-1", data, false)
	cfg := w.Station(node)
	cfg.ClipsURL, cfg.ClipChunk = "https://"+gateway.Listener.Addr().String(), 64<<10
	u := uplink.New(cfg, uplink.Deps{Journal: uplinktest.NewJournal(node), Clips: clips, Log: w.Log})
	uplinktest.Run(t, u)
	uplinktest.Eventually(t, 30*time.Second, "the clip is up", func() bool { return len(clips.Done()) == 1 })
	if got, ok := w.Clips.Clip("clip-1"); !ok || !bytes.Equal(got, data) {
		t.Error("the clip is not the same bit by bit")
	}
	if n := damaged.Load(); n < 5 || refused.Load() != n {
		t.Errorf("%d pieces were damaged, %d refused", n, refused.Load())
	}
	if s := u.Status().Clips; s.Uploaded != 1 || s.LastError != "" {
		t.Errorf("status %+v", s)
	}
}
