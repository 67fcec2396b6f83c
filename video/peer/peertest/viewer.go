package peertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// Config says what kind of browser it is.
type Config struct {
	// Setting changes pion's settings before anything else uses them.
	Setting func(*webrtc.SettingEngine)
	// Repair asks for lost packets.
	Repair bool
	// Audio offers to receive sound too.
	Audio bool
	// Codec is the one format of pictures that is offered: "H264" or "H265".
	// Empty offers all.
	Codec string
	// Loopback looks for the other end on this machine alone.
	Loopback bool
	// ReceiveBuffer is the size of the sockets' receive buffers as the kernel
	// counts it: 212992 is the usual default of Linux. Zero leaves it.
	ReceiveBuffer int
	// OnPicture is called with every picture, by one goroutine.
	OnPicture func(Picture)
}

// Picture is an access unit as it arrived.
type Picture struct {
	NALUs     [][]byte
	Timestamp uint32
	Key       bool
	// Whole is false when something of it is missing.
	Whole bool
	At    time.Time
}

// Viewer is one browser. Make one with New and end it with Close.
type Viewer struct {
	cfg Config
	pc  *webrtc.PeerConnection

	connecting sync.WaitGroup

	mu        sync.Mutex
	track     *webrtc.TrackRemote
	sequences []uint16
	packets   int
	posted    time.Time
	heard     []rtp.Header
	heardMime string
	delete    string // the session's address
	client    *http.Client
}

// New makes a browser that has not connected.
func New(cfg Config) (*Viewer, error) {
	m := &webrtc.MediaEngine{}
	if err := m.RegisterDefaultCodecs(); err != nil {
		return nil, err
	}
	reg := &interceptor.Registry{}
	if cfg.Repair {
		if err := webrtc.RegisterDefaultInterceptors(m, reg); err != nil {
			return nil, err
		}
	}
	var set webrtc.SettingEngine
	// Browsers call over TCP too when they are told of a TCP port.
	set.SetNetworkTypes([]webrtc.NetworkType{
		webrtc.NetworkTypeUDP4, webrtc.NetworkTypeUDP6, webrtc.NetworkTypeTCP4, webrtc.NetworkTypeTCP6,
	})
	if cfg.Loopback {
		set.SetIncludeLoopbackCandidate(true)
		set.SetIPFilter(func(ip net.IP) bool { return ip.IsLoopback() && ip.To4() != nil })
	}
	if cfg.ReceiveBuffer > 0 {
		n, err := smallSockets(cfg.ReceiveBuffer)
		if err != nil {
			return nil, err
		}
		set.SetNet(n)
	}
	if cfg.Setting != nil {
		cfg.Setting(&set)
	}
	api := webrtc.NewAPI(webrtc.WithMediaEngine(m), webrtc.WithInterceptorRegistry(reg), webrtc.WithSettingEngine(set))
	pc, err := api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, err
	}
	v := &Viewer{cfg: cfg, pc: pc}
	pc.OnTrack(func(t *webrtc.TrackRemote, from *webrtc.RTPReceiver) {
		if t.Kind() == webrtc.RTPCodecTypeVideo {
			v.mu.Lock()
			v.track = t
			v.mu.Unlock()
		}
		reports := make(chan struct{})
		go func() {
			defer close(reports)
			for { // unread, the sender's reports are not answered
				if _, _, err := from.ReadRTCP(); err != nil {
					return
				}
			}
		}()
		if t.Kind() == webrtc.RTPCodecTypeVideo {
			v.receive(t)
		} else {
			v.hear(t)
		}
		<-reports
	})
	kinds := []webrtc.RTPCodecType{webrtc.RTPCodecTypeVideo}
	if cfg.Audio {
		kinds = append(kinds, webrtc.RTPCodecTypeAudio)
	}
	for _, k := range kinds {
		tr, err := pc.AddTransceiverFromKind(k, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly})
		if err == nil && k == webrtc.RTPCodecTypeVideo && cfg.Codec != "" {
			err = tr.SetCodecPreferences(only(cfg.Codec))
		}
		if err != nil {
			_ = pc.Close()
			return nil, err
		}
	}
	return v, nil
}

// Offer is the browser's offer, with all its candidates.
func (v *Viewer) Offer() (string, error) {
	offer, err := v.pc.CreateOffer(nil)
	if err != nil {
		return "", err
	}
	gathered := webrtc.GatheringCompletePromise(v.pc)
	if err := v.pc.SetLocalDescription(offer); err != nil {
		return "", err
	}
	<-gathered
	return v.pc.LocalDescription().SDP, nil
}

// Take takes the answer and connects.
func (v *Viewer) Take(answer string) error {
	if err := v.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
		return err
	}
	v.connecting.Go(v.hurry)
	return nil
}

// hurry has pion look at its pairs as often as a browser does until it has
// connected: by itself it looks five times a second, and so loses a fifth of a
// second over what had an answer after a millisecond. A further candidate makes
// it look; these lead nowhere, to the port of RFC 863 and those after it.
func (v *Viewer) hurry() {
	const every, times = 20 * time.Millisecond, 5
	for n := range times {
		time.Sleep(every)
		if v.State() != webrtc.PeerConnectionStateConnecting && v.State() != webrtc.PeerConnectionStateNew {
			return
		}
		_ = v.pc.AddICECandidate(webrtc.ICECandidateInit{ // one that is not taken hurries nothing
			Candidate: fmt.Sprintf("candidate:9%d 1 udp 1 127.0.0.1 %d typ host", n, 9+n),
		})
	}
}

// Watch watches what a WHEP address shows. client brings the login, if one is
// needed.
func (v *Viewer) Watch(ctx context.Context, client *http.Client, whep string) error {
	offer, err := v.Offer()
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, whep, strings.NewReader(offer))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/sdp")
	v.mu.Lock()
	v.posted = time.Now()
	v.mu.Unlock()
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusCreated {
		return fmt.Errorf("watch: %s: %s", resp.Status, answer)
	}
	at, err := url.Parse(whep)
	if err != nil {
		return err
	}
	session, err := at.Parse(resp.Header.Get("Location"))
	if err != nil {
		return err
	}
	v.mu.Lock()
	v.delete, v.client = session.String(), client
	v.mu.Unlock()
	return v.Take(string(answer))
}

// Posted is when Watch posted the offer.
func (v *Viewer) Posted() time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.posted
}

// Leave deletes the WHEP session, as a page does that is closed properly.
func (v *Viewer) Leave(ctx context.Context) error {
	v.mu.Lock()
	address, client := v.delete, v.client
	v.mu.Unlock()
	if address == "" {
		return errors.New("leave: not watching over WHEP")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, address, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("leave: %s", resp.Status)
	}
	return nil
}

// AskKey asks for a key picture.
func (v *Viewer) AskKey() error {
	v.mu.Lock()
	t := v.track
	v.mu.Unlock()
	if t == nil {
		return errors.New("ask for a key picture: none has come yet")
	}
	return v.pc.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: uint32(t.SSRC())}})
}

// State is the state of the connection.
func (v *Viewer) State() webrtc.PeerConnectionState { return v.pc.ConnectionState() }

// OverTCP tells whether the pictures come over TCP.
func (v *Viewer) OverTCP() bool {
	for _, t := range v.pc.GetTransceivers() {
		if dtls := t.Receiver().Transport(); dtls != nil {
			pair, err := dtls.ICETransport().GetSelectedCandidatePair()
			return err == nil && pair != nil && pair.Remote.Protocol == webrtc.ICEProtocolTCP
		}
	}
	return false
}

// Sequences are the sequence numbers of all packets so far, each once, in order;
// Packets counts them as they came, repetitions included.
func (v *Viewer) Sequences() (sequences []uint16, packets int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.sequences), v.packets
}

// Close hangs up and waits for everything to end.
func (v *Viewer) Close() {
	_ = v.pc.GracefulClose()
	v.connecting.Wait()
}

// split takes Annex-B apart.
func split(b []byte) [][]byte {
	var out [][]byte
	for _, n := range bytes.Split(b, []byte{0, 0, 0, 1}) {
		if len(n) > 0 {
			out = append(out, n)
		}
	}
	return out
}
