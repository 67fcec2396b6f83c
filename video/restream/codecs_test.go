package restream_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stationd/video/restream"
	"stationd/video/stream"
	"stationd/video/videotest"
)

// made is what ffmpeg makes of a source of its own.
func made(t *testing.T, source string, args ...string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "made")
	if out, err := exec.Command("ffmpeg", append(append([]string{"-v", "error", "-f", "lavfi", "-i", source}, args...), path)...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg, of the package of that name: %v: %s", err, out)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// hevc is eight seconds of H.265.
func hevc(t *testing.T) (units [][][]byte) {
	t.Helper()
	data := made(t, "testsrc2=s=320x240:r=25:d=8", "-pix_fmt", "yuv420p", "-c:v", "libx265", "-preset", "ultrafast", "-x265-params",
		"log-level=none:keyint=25:min-keyint=25:scenecut=0:bframes=0:open-gop=0:repeat-headers=1:aud=1:info=0", "-f", "hevc")
	for _, n := range bytes.Split(data, []byte{0, 0, 1}) {
		n = bytes.TrimRight(n, "\x00")
		switch {
		case len(n) < 2:
		case n[0]>>1&0x3f == 35:
			units = append(units, nil)
		case len(units) > 0:
			units[len(units)-1] = append(units[len(units)-1], n)
		}
	}
	return units
}

// certificate is one that nobody has signed.
func certificate(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, about, about, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
}

// H.264 and H.265 with AAC are pulled by ffmpeg, in the open and over TLS, and what
// comes is decoded without a complaint: pictures and sound.
func TestRestreamOfEveryCodec(t *testing.T) {
	var frames [][]byte
	for adts := made(t, "sine=f=440:d=8", "-ar", "24000", "-ac", "1", "-c:a", "aac", "-f", "adts"); len(adts) > 7; {
		n := int(adts[3]&3)<<11 | int(adts[4])<<3 | int(adts[5])>>5
		frames, adts = append(frames, adts[7:n]), adts[n:]
	}
	films, err := videotest.Films()
	if err != nil {
		t.Fatal(err)
	}
	pictures := map[string][][][]byte{"h264": films[1].Units, "hevc": hevc(t)}
	for codec, units := range pictures {
		for _, secure := range []bool{false, true} {
			name := codec + map[bool]string{false: " rtsp", true: " rtsps"}[secure]
			t.Run(name, func(t *testing.T) {
				h := &house{
					show:  func(n int) [][]byte { return units[n%len(units)] },
					hear:  func(n int) []byte { return frames[n%len(frames)] }, // 1024 samples at 24 kHz are 42.7 ms
					about: stream.Params{Codec: map[string]string{"h264": stream.H264, "hevc": stream.H265}[codec], Sound: &stream.Sound{Codec: stream.AAC, Rate: 24000, Channels: 1, Config: []byte{0x13, 0x08}}},
				}
				h, s := openHouse(t, h, func(c *restream.Config) {
					if secure {
						c.Listen, c.ListenTLS = "", "127.0.0.1:0"
					}
				}, certificate(t))
				url := address(s, signedIn, "gate")
				if secure {
					url = "rtsps" + strings.TrimPrefix(url, "rtsp")
				}
				path := filepath.Join(t.TempDir(), "pulled.mp4")
				if out, err := exec.Command("ffmpeg", "-v", "error", "-rtsp_transport", "tcp", "-i", url, "-t", "4", "-c", "copy", path).CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				out, err := exec.Command("ffprobe", "-v", "error", "-count_frames", "-show_entries", "stream=codec_name,nb_read_frames", "-of", "json", path).CombinedOutput()
				var got struct {
					Streams []struct {
						Codec  string      `json:"codec_name"`
						Frames json.Number `json:"nb_read_frames"`
					}
				}
				if json.Unmarshal(out, &got) != nil || err != nil || len(got.Streams) != 2 {
					t.Fatalf("%v: %s", err, out)
				}
				count := map[string]int64{}
				for _, x := range got.Streams {
					count[x.Codec], _ = x.Frames.Int64()
				}
				if count[codec] < 40 || count["aac"] < 40 {
					t.Errorf("%v", count)
				}
				eventually(t, "everybody signed out", func() bool { return h.inside() == 0 })
			})
		}
	}
}
