package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"strings"
	"time"

	"stationd/agent/station"
)

// WeCom (企业微信) and its private sibling for government (政务微信) speak one
// protocol under different addresses. Source: developer.work.weixin.qq.com,
// documents 91770 (group robot), 90236 (application message), 91039 (token),
// 90313 (error codes).

// The error codes that decide something.
const (
	wecomBusy         = -1
	wecomBadSecret    = 40001
	wecomBadCorp      = 40013
	wecomBadToken     = 40014
	wecomBadAgent     = 40056
	wecomTokenExpired = 42001
	wecomTooOften     = 45009
	wecomTooMany      = 45033
	wecomForeignIP    = 60020
	wecomNobody       = 81013
	wecomBadRobot     = 93000
)

// wecomPause is how long after 45009 a robot takes messages again: it counts by
// the minute.
const wecomPause = time.Minute

// reply is every answer of WeCom.
type reply struct {
	Code        int    `json:"errcode"`
	Message     string `json:"errmsg"`
	Token       string `json:"access_token"`
	Expires     int    `json:"expires_in"` // seconds
	InvalidUser string `json:"invaliduser"`
}

// verdict tells what a reply means.
func (r reply) verdict() (station.Delivery, error) {
	switch r.Code {
	case 0:
		if r.InvalidUser != "" {
			return hopeless(problemRefused("WeCom does not know the user, or the application may not write to them: %s", r.InvalidUser))
		}
		return station.Delivery{State: "sent"}, nil
	case wecomTooOften, wecomTooMany:
		return station.Delivery{RetryAfter: wecomPause}, problemBusy("WeCom takes no more messages for now: %d %s", r.Code, r.Message)
	case wecomBadSecret, wecomBadCorp, wecomBadAgent, wecomForeignIP, wecomNobody, wecomBadRobot:
		return hopeless(problemRefused("WeCom refused: %d %s", r.Code, r.Message))
	case wecomBusy:
		return station.Delivery{}, problemBusy("WeCom is busy: %s", r.Message)
	}
	return station.Delivery{}, problemRefused("WeCom refused: %d %s", r.Code, r.Message)
}

// callWeCom makes one call; body nil is a GET.
func (s *Sender) callWeCom(ctx context.Context, ch station.ChannelLink, path string, query url.Values, body any) (reply, station.Delivery, error) {
	address, err := endpoint(ch.URL, path, query)
	if err != nil {
		return reply{}, station.Delivery{Final: true}, err
	}
	method, payload := http.MethodGet, []byte(nil)
	if body != nil {
		method = http.MethodPost
		if payload, err = json.Marshal(body); err != nil {
			return reply{}, station.Delivery{Final: true}, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(payload))
	if err != nil {
		return reply{}, station.Delivery{Final: true}, problemSetup("the address cannot be used").At("url")
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	a, err := s.exchange(ctx, ch, req)
	if err != nil {
		return reply{}, station.Delivery{}, err
	}
	if d, err := a.judge(s.now()); err != nil {
		return reply{}, d, err
	}
	var r reply
	if err := json.Unmarshal(a.body, &r); err != nil {
		return reply{}, station.Delivery{}, problemRefused("this is no answer of WeCom: %s", a.body)
	}
	return r, station.Delivery{}, nil
}

// sendRobot writes into a group. An address is the mobile numbers to call out,
// separated by commas; without one nobody in particular is called.
func (s *Sender) sendRobot(ctx context.Context, ch station.ChannelLink, m station.Message) (station.Delivery, error) {
	var body map[string]any
	if mobiles := strings.FieldsFunc(m.To, func(r rune) bool { return strings.ContainsRune(", ;，；", r) }); len(mobiles) > 0 {
		body = map[string]any{"msgtype": "text", "text": map[string]any{"content": cut(long(m), 2048), "mentioned_mobile_list": mobiles}}
	} else {
		text := "# <font color=\"warning\">" + html.EscapeString(title(m)) + "</font>\n> " + html.EscapeString(strings.Join(lines(m), "\n> "))
		if m.Link != "" {
			text += "\n[收到](" + m.Link + ")"
		}
		body = map[string]any{"msgtype": "markdown", "markdown": map[string]any{"content": cut(text, 4096)}}
	}
	r, d, err := s.callWeCom(ctx, ch, "/cgi-bin/webhook/send", url.Values{"key": {ch.Secret.Reveal()}}, body)
	if err != nil {
		return d, err
	}
	return r.verdict()
}

// token is an access token of an application.
type token struct {
	text    string
	expires time.Time
}

// sendApp writes to a person. A token that has expired early, or that another
// holder of the secret has replaced, is fetched anew once.
func (s *Sender) sendApp(ctx context.Context, ch station.ChannelLink, m station.Message) (station.Delivery, error) {
	body := map[string]any{
		"touser": m.To, "agentid": ch.Agent, "enable_duplicate_check": 1, "duplicate_check_interval": 1800,
	}
	if m.Link != "" {
		body["msgtype"] = "textcard"
		body["textcard"] = map[string]any{
			"title": cut(title(m), 128), "description": cut(html.EscapeString(strings.Join(lines(m), "\n")), 512), "url": m.Link, "btntxt": "收到",
		}
	} else {
		body["msgtype"] = "text"
		body["text"] = map[string]any{"content": cut(long(m), 2048)}
	}
	for fresh := false; ; fresh = true {
		tok, d, err := s.token(ctx, ch, fresh)
		if err != nil {
			return d, err
		}
		r, d, err := s.callWeCom(ctx, ch, "/cgi-bin/message/send", url.Values{"access_token": {tok}}, body)
		if err != nil {
			return d, hide(err, tok)
		}
		if (r.Code == wecomTokenExpired || r.Code == wecomBadToken) && !fresh {
			continue
		}
		d, err = r.verdict()
		return d, hide(err, tok)
	}
}

// hide takes a token, which is a secret for two hours, out of an error.
func hide(err error, tok string) error {
	p, ok := station.AsProblem(err)
	if !ok {
		return err
	}
	clean := *p
	clean.Message = scrub(p.Message, station.ChannelLink{Secret: station.Secret(tok)})
	return &clean
}

// token is the channel's access token, from the last two hours unless a fresh
// one is asked for.
func (s *Sender) token(ctx context.Context, ch station.ChannelLink, fresh bool) (string, station.Delivery, error) {
	name := strings.Join([]string{ch.URL, ch.Username, ch.Secret.Reveal()}, "\n")
	s.mu.Lock()
	kept := s.tokens[name]
	s.mu.Unlock()
	if !fresh && s.now().Before(kept.expires) {
		return kept.text, station.Delivery{}, nil
	}
	r, d, err := s.callWeCom(ctx, ch, "/cgi-bin/gettoken", url.Values{"corpid": {ch.Username}, "corpsecret": {ch.Secret.Reveal()}}, nil)
	if err != nil {
		return "", d, err
	}
	if d, err := r.verdict(); err != nil {
		return "", d, err
	}
	if r.Token == "" {
		return "", station.Delivery{}, problemRefused("WeCom gave no token")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.tokens) >= maxTokens {
		clear(s.tokens) // of channels that were changed long ago
	}
	// Five minutes early: a token must not expire on the way.
	s.tokens[name] = token{r.Token, s.now().Add(time.Duration(max(r.Expires-300, 60)) * time.Second)}
	return r.Token, station.Delivery{}, nil
}

const maxTokens = 100
