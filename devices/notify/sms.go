package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"stationd/agent/station"
)

// Gateways for text messages all differ, and all take one HTTP request. The
// request is data: places in it are filled, one field of the answer decides.

// sendSMS asks the gateway.
func (s *Sender) sendSMS(ctx context.Context, ch station.ChannelLink, m station.Message) (station.Delivery, error) {
	q := ch.Request
	if q == nil {
		return hopeless(problemSetup("the channel does not say how its gateway is asked").At("request"))
	}
	fill := places(ch, m)
	method := q.Method
	if method == "" {
		method = http.MethodPost
	}
	address, body, kind := ch.URL, "", ""
	switch {
	case q.Type == "json":
		body, kind = fill(q.Body, jsonString), "application/json"
	default:
		form := url.Values{}
		for name, text := range q.Fields {
			form.Set(name, fill(text, plainly))
		}
		if method != http.MethodGet {
			body, kind = form.Encode(), "application/x-www-form-urlencoded"
			break
		}
		u, err := url.Parse(ch.URL)
		if err != nil {
			return hopeless(problemSetup("the address cannot be read").At("url"))
		}
		merged := u.Query()
		for name := range form {
			merged.Set(name, form.Get(name))
		}
		u.RawQuery = merged.Encode()
		address = u.String()
	}
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader([]byte(body)))
	if err != nil {
		return hopeless(problemSetup("the address cannot be used").At("url"))
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	for name, text := range q.Headers {
		req.Header.Set(name, fill(text, plainly))
	}
	a, err := s.exchange(ctx, ch, req)
	if err != nil {
		return station.Delivery{}, err
	}
	d, err := a.judge(s.now())
	if err != nil || q.Field == "" {
		return d, err
	}
	got, ok := lookUp(a.body, q.Field)
	if !ok || got != q.Value {
		return station.Delivery{}, problemRefused("the gateway did not take it; %s is not %q: %s", q.Field, q.Value, a.body)
	}
	return d, nil
}

// places returns what fills the places of a text, each value escaped for where
// it stands.
func places(ch station.ChannelLink, m station.Message) func(text string, escape func(string) string) string {
	values := []string{
		"to", m.To, "text", short(m), "link", m.Link, "key", m.Key, "secret", ch.Secret.Reveal(), "time", strconv.FormatInt(m.At.Unix(), 10),
	}
	return func(text string, escape func(string) string) string {
		var pairs []string
		for i := 0; i < len(values); i += 2 {
			pairs = append(pairs, "{"+values[i]+"}", escape(values[i+1]))
		}
		return strings.NewReplacer(pairs...).Replace(text)
	}
}

func plainly(s string) string { return s }

// jsonString escapes for the inside of a JSON string.
func jsonString(s string) string {
	b, _ := json.Marshal(s) // of a string it cannot fail
	return string(b[1 : len(b)-1])
}

// lookUp is the value at a path of keys and indexes, joined by dots, as text.
func lookUp(body []byte, path string) (string, bool) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return "", false
	}
	for part := range strings.SplitSeq(path, ".") {
		switch at := v.(type) {
		case map[string]any:
			next, ok := at[part]
			if !ok {
				return "", false
			}
			v = next
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(at) {
				return "", false
			}
			v = at[i]
		default:
			return "", false
		}
	}
	return fmt.Sprint(v), true
}
