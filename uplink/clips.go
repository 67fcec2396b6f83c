package uplink

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"stationd/agent/station"
	"stationd/uplink/budget"
	"stationd/uplink/protocol"
)

// uploader sends clips, one at a time, the most pressing first. It resumes where
// the parent's copy ends, changes over to a more pressing clip between two
// pieces, and tries for as long as a clip is pending.
type uploader struct {
	up *Uplink

	mu   sync.Mutex
	port int           // told by the parent; zero until then
	wake chan struct{} // buffered by one: the parent was reached

	// Used by run alone:
	tries map[string]attempt
}

type attempt struct {
	failed int
	next   time.Time
}

func newUploader(u *Uplink) *uploader {
	return &uploader{up: u, wake: make(chan struct{}, 1), tries: map[string]attempt{}}
}

// parent is told where the parent takes clips in, on each welcome.
func (c *uploader) parent(port int) {
	c.mu.Lock()
	c.port = port
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// base is the address for clips; empty while it is not known.
func (c *uploader) base() string {
	if c.up.cfg.ClipsURL != "" {
		return c.up.cfg.ClipsURL
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	u, err := url.Parse(c.up.cfg.URL)
	if c.port == 0 || err != nil {
		return ""
	}
	return "https://" + net.JoinHostPort(u.Hostname(), strconv.Itoa(c.port))
}

func (c *uploader) run(ctx context.Context) {
	for ctx.Err() == nil {
		changed := c.up.deps.Clips.ClipsChanged()
		clip, wait := c.choose(ctx)
		if clip == nil {
			t := time.NewTimer(wait)
			select {
			case <-ctx.Done():
			case <-changed:
			case <-c.wake:
			case <-t.C:
			}
			t.Stop()
			continue
		}
		c.try(ctx, *clip)
	}
}

// choose picks the first clip that is due, or tells how long to wait.
func (c *uploader) choose(ctx context.Context) (*station.Clip, time.Duration) {
	const idle = time.Minute
	if c.base() == "" {
		return nil, idle
	}
	pending, err := c.up.deps.Clips.PendingClips(ctx)
	if err != nil {
		c.up.log.Error("pending clips not listed", "error", err)
		return nil, idle
	}
	c.up.state.clip(func(s *ClipsStatus) { s.Pending = len(pending) })
	known := map[string]attempt{}
	now, wait := c.up.deps.Now(), idle
	var first *station.Clip
	for i, clip := range pending {
		a, tried := c.tries[clip.ID]
		if tried {
			known[clip.ID] = a
		}
		if due := a.next.Sub(now); due > 0 {
			wait = min(wait, due)
		} else if first == nil {
			first = &pending[i]
		}
	}
	c.tries = known // what is not pending any more is forgotten
	if len(known) == 0 {
		c.up.state.clip(func(s *ClipsStatus) { s.LastError = "" })
	}
	return first, wait
}

// errOvertaken ends an upload because a more pressing clip came.
var errOvertaken = errors.New("a more pressing clip came")

// errGone ends an upload because the film is not there.
var errGone = errors.New("the film is not here")

// goneAfter is how old a clip must be before its film, when it is not there,
// counts as lost: the disk may only not be mounted.
const goneAfter = 3 * 24 * time.Hour

// try works on one clip until it is up, fails, or is overtaken.
func (c *uploader) try(ctx context.Context, clip station.Clip) {
	u := c.up
	u.state.clip(func(s *ClipsStatus) { s.Uploading = clip.ID })
	defer u.state.clip(func(s *ClipsStatus) { s.Uploading = "" })
	moved, err := c.upload(ctx, clip)
	if err == nil {
		if err = u.deps.Clips.ClipUploaded(ctx, clip.ID); err == nil {
			delete(c.tries, clip.ID)
			healthy := len(c.tries) == 0
			u.state.clip(func(s *ClipsStatus) {
				s.Uploaded++
				if healthy {
					s.LastError = ""
				}
			})
			u.log.Info("clip uploaded", "clip", clip.ID, "size", clip.Size)
			return
		}
	}
	if ctx.Err() != nil || errors.Is(err, errOvertaken) {
		return
	}
	if errors.Is(err, errGone) && u.deps.Now().Sub(clip.To) > goneAfter {
		u.log.Error("clip given up: its film is lost", "clip", clip.ID)
		if err := u.deps.Clips.ClipLost(ctx, clip.ID); err == nil {
			delete(c.tries, clip.ID)
			return
		}
	}
	a := c.tries[clip.ID]
	if moved {
		a.failed = 0 // the line breaks, but it carries
	}
	pause := min(u.cfg.RetryMin<<min(a.failed, 20), u.cfg.ClipRetryMax)
	a.failed++
	a.next = u.deps.Now().Add(jitter(pause))
	c.tries[clip.ID] = a
	u.state.clip(func(s *ClipsStatus) { s.LastError = err.Error() })
	u.log.Warn("clip not uploaded yet", "clip", clip.ID, "failed", a.failed, "error", err)
}

// upload sends what the parent lacks. moved tells whether any piece arrived.
func (c *uploader) upload(ctx context.Context, clip station.Clip) (moved bool, err error) {
	tlsConfig, err := c.up.tls()
	if err != nil {
		return false, fmt.Errorf("certificates: %w", err)
	}
	tr := &http.Transport{
		TLSClientConfig: tlsConfig, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 1,
		TLSHandshakeTimeout: c.up.cfg.ConnectTimeout, ResponseHeaderTimeout: 2 * time.Minute,
		DialContext: c.dial,
	}
	defer tr.CloseIdleConnections()
	client := &http.Client{
		Transport: tr, Timeout: 5 * time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	f, err := c.up.deps.Clips.OpenClip(clip.ID)
	if errors.Is(err, station.ErrNotFound) {
		return false, errGone
	}
	if err != nil {
		return false, fmt.Errorf("open clip %s: %w", clip.ID, err)
	}
	defer func() { _ = f.Close() }()
	if f.Size() != clip.Size || clip.Size == 0 {
		return false, fmt.Errorf("clip %s has %d bytes, its record says %d", clip.ID, f.Size(), clip.Size)
	}
	changed := c.up.deps.Clips.ClipsChanged()
	at, _, err := c.ask(ctx, client, clip, http.MethodHead, 0, nil)
	if err != nil {
		return false, err
	}
	buf := make([]byte, c.up.cfg.ClipChunk)
	for {
		select {
		case <-changed:
			changed = c.up.deps.Clips.ClipsChanged()
			if first, _ := c.choose(ctx); first != nil && first.ID != clip.ID {
				return moved, errOvertaken
			}
		default:
		}
		if at < 0 || at > clip.Size {
			return moved, fmt.Errorf("the parent wants offset %d of %d", at, clip.Size)
		}
		if _, err := f.Seek(at, io.SeekStart); err != nil {
			return moved, fmt.Errorf("read clip %s: %w", clip.ID, err)
		}
		n, err := io.ReadFull(f, buf[:min(int64(len(buf)), clip.Size-at)])
		if err != nil {
			return moved, fmt.Errorf("read clip %s: %w", clip.ID, err)
		}
		next, done, err := c.ask(ctx, client, clip, http.MethodPatch, at, buf[:n])
		if err != nil {
			return moved, err
		}
		if done {
			return true, nil
		}
		if next <= at {
			return moved, fmt.Errorf("the parent took a piece at %d and wants %d", at, next)
		}
		at, moved = next, true
		c.up.state.sent("", n)
	}
}

// dial opens a connection whose bytes are the clips'.
func (c *uploader) dial(ctx context.Context, network, address string) (net.Conn, error) {
	raw, err := (&net.Dialer{Timeout: c.up.cfg.ConnectTimeout}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return c.up.budget.Conn(raw, budget.Clips), nil
}

// ask makes one request. It gives the parent's offset, and whether the parent
// has the whole.
func (c *uploader) ask(ctx context.Context, client *http.Client, clip station.Clip, method string, at int64, piece []byte) (offset int64, done bool, err error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base()+protocol.ClipsPath+clip.ID, bytes.NewReader(piece))
	if err != nil {
		return 0, false, err
	}
	req.Header.Set(protocol.HeaderLength, strconv.FormatInt(clip.Size, 10))
	req.Header.Set(protocol.HeaderSHA256, clip.SHA256)
	if method == http.MethodPatch {
		sum := sha256.Sum256(piece)
		req.Header.Set(protocol.HeaderOffset, strconv.FormatInt(at, 10))
		req.Header.Set(protocol.HeaderChunkSHA256, hex.EncodeToString(sum[:]))
		req.Header.Set("Content-Type", "application/octet-stream")
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, false, fmt.Errorf("send clip %s: %w", clip.ID, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 16<<10))
	switch resp.StatusCode {
	case http.StatusCreated:
		return clip.Size, true, nil
	case http.StatusOK, http.StatusNoContent, http.StatusConflict:
		offset, err = strconv.ParseInt(resp.Header.Get(protocol.HeaderOffset), 10, 64)
		if err != nil {
			return 0, false, fmt.Errorf("send clip %s: the parent's answer has no %s", clip.ID, protocol.HeaderOffset)
		}
		if resp.StatusCode == http.StatusConflict && offset <= at {
			return 0, false, fmt.Errorf("send clip %s: the parent went back from %d to %d", clip.ID, at, offset)
		}
		return offset, false, nil
	}
	p := station.Problem{Status: resp.StatusCode}
	var doc struct{ Code, Detail, Hint string }
	if json.Unmarshal(body, &doc) == nil {
		p.Code, p.Message, p.Hint = doc.Code, doc.Detail, doc.Hint
	}
	if p.Message == "" {
		p.Code, p.Message = "clip.refused", "the parent answered "+resp.Status
	}
	return 0, false, fmt.Errorf("send clip %s: %w", clip.ID, &p)
}
