package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"stationd/agent/station"
)

// hook is the body of a webhook.
type hook struct {
	Key     string         `json:"key"`
	Type    string         `json:"type"` // "alarm", "end" or "test"
	Station string         `json:"station"`
	At      time.Time      `json:"at"`
	Text    string         `json:"text"`
	Link    string         `json:"link,omitempty"`
	Alarm   *station.Alarm `json:"alarm,omitempty"`
}

// sendWebhook posts JSON. The signature is the HMAC-SHA256, under the channel's
// secret, over the timestamp, a dot and the body; whoever checks it should refuse
// timestamps that are minutes old, and keys that were seen before.
func (s *Sender) sendWebhook(ctx context.Context, ch station.ChannelLink, m station.Message) (station.Delivery, error) {
	h := hook{Key: m.Key, Type: "alarm", Station: m.Station, At: m.At, Text: title(m), Link: m.Link, Alarm: &m.Alarm}
	switch {
	case m.Test:
		h.Type, h.Alarm = "test", nil
	case m.Off:
		h.Type = "end"
	}
	body, err := json.Marshal(h)
	if err != nil {
		return station.Delivery{Final: true}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, ch.URL, bytes.NewReader(body))
	if err != nil {
		return hopeless(problemSetup("the address cannot be used").At("url"))
	}
	at := strconv.FormatInt(s.now().Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", m.Key)
	req.Header.Set("X-Stationd-Timestamp", at)
	if key := ch.Secret.Reveal(); key != "" {
		req.Header.Set("X-Stationd-Signature", "sha256="+Sign(key, at, body))
	}
	a, err := s.exchange(ctx, ch, req)
	if err != nil {
		return station.Delivery{}, err
	}
	d, err := a.judge(s.now())
	if err == nil {
		d.State = "delivered" // the other side is the addressee itself
	}
	return d, err
}

// Sign is the signature of a webhook, in hexadecimal digits.
func Sign(key, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(timestamp + "."))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}
