package notify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"stationd/agent/station"
)

// One HTTP exchange with somebody who is not trusted.

const (
	maxAnswer = 64 << 10
	// maxPause bounds how long another side may have us wait.
	maxPause = 10 * time.Minute
)

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// exchange sends the request. An error says nothing of the address, in which
// there may be a secret.
func (s *Sender) exchange(ctx context.Context, ch station.ChannelLink, req *http.Request) (answer, error) {
	config, err := tlsConfig(ch)
	if err != nil {
		return answer{}, err
	}
	client := http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: config, ForceAttemptHTTP2: true,
			DisableKeepAlives: true, MaxResponseHeaderBytes: maxAnswer,
		},
		// A redirection would carry secret and message to wherever it points.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	req.Header.Set("User-Agent", "stationd")
	resp, err := client.Do(req.WithContext(ctx))
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // without the address
		}
		return answer{}, problemUnreachable("%s cannot be reached: %v", req.URL.Hostname(), err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return answer{}, problemUnreachable("the answer of %s broke off: %v", req.URL.Hostname(), err)
	}
	if len(body) > maxAnswer {
		return answer{}, problemRefused("the answer of %s is too large", req.URL.Hostname())
	}
	return answer{resp.StatusCode, resp.Header, body}, nil
}

// judge tells what an HTTP status means where the body does not say more.
func (a answer) judge(now time.Time) (station.Delivery, error) {
	switch {
	case a.status >= 200 && a.status < 300:
		return station.Delivery{State: "sent"}, nil
	case a.status == http.StatusTooManyRequests, a.status == http.StatusServiceUnavailable:
		return station.Delivery{RetryAfter: retryAfter(a.header, now)}, problemBusy("the other side is busy: %d %s", a.status, a.body)
	case a.status >= 500, a.status == http.StatusRequestTimeout, a.status == http.StatusTooEarly:
		return station.Delivery{RetryAfter: retryAfter(a.header, now)}, problemBusy("the other side failed: %d %s", a.status, a.body)
	case a.status >= 300 && a.status < 400:
		return hopeless(problemRefused("the other side points elsewhere (%d), which is not followed", a.status))
	}
	return hopeless(problemRefused("the other side refused: %d %s", a.status, a.body))
}

// retryAfter reads Retry-After, in seconds or as a date; zero when it is absent
// or makes no sense.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := h.Get("Retry-After")
	pause := time.Duration(0)
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		pause = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		pause = at.Sub(now)
	}
	return min(max(pause, 0), maxPause)
}

// tlsConfig trusts the channel's own authority where it names one.
func tlsConfig(ch station.ChannelLink) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if ch.Authority != "" {
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM([]byte(ch.Authority)) {
			return nil, problemSetup("the authority's certificate cannot be read").At("authority")
		}
	}
	return c, nil
}

// endpoint is the path below the channel's base address, with a query.
func endpoint(base, path string, query url.Values) (string, error) {
	u, err := url.Parse(base)
	if err != nil {
		return "", problemSetup("the address cannot be read").At("url")
	}
	if !strings.HasSuffix(u.Path, path) {
		u.Path = strings.TrimSuffix(u.Path, "/") + path
	}
	u.RawQuery = query.Encode()
	return u.String(), nil
}

// scrub takes the secret out of a text, in every form in which it was sent.
func scrub(text string, ch station.ChannelLink) string {
	plain := ch.Secret.Reveal()
	if plain == "" {
		return text
	}
	coded := base64.StdEncoding.EncodeToString
	for _, form := range []string{plain, url.QueryEscape(plain), url.PathEscape(plain), coded([]byte(plain)), coded([]byte("\x00" + ch.Username + "\x00" + plain))} {
		text = strings.ReplaceAll(text, form, station.SecretMask)
	}
	return text
}

// tidy makes what a stranger said fit to be shown.
func tidy(text string) string {
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "?"), func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }), " ")
	if utf8.RuneCountInString(text) > 300 {
		text = string([]rune(text)[:299]) + "…"
	}
	return text
}
