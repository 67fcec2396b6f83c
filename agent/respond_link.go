package agent

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	"stationd/agent/account"
	"stationd/agent/station"
	"stationd/agent/store"
)

// A signed link lets one contact answer one alarm for a day, from a telephone,
// without signing in. It holds the alarm, the contact and the end of its time
// under an HMAC-SHA256; nothing of it is kept.

const (
	// linkLife is how long a link answers.
	linkLife    = 24 * time.Hour
	linkVersion = 1
	linkSecret  = "response/link"
	// linkMAC is how much of the HMAC a link carries: 128 bits, so that it fits
	// into a text message.
	linkMAC = 16
)

// errAnswerLink is all that is said of a link that does not hold.
var errAnswerLink = station.Problem{Code: "link.invalid", Status: http.StatusNotFound, Message: "this link is not valid or no longer valid", Hint: "answer at the desk, or ring the station"}

// linkClaim is what a link says.
type linkClaim struct {
	alarm   string
	contact string
	expires time.Time
}

// ensureLinkKey makes the key that signs the links, once.
func (a *Agent) ensureLinkKey(ctx context.Context) error {
	if a.cfg.AnswerURL == "" {
		return nil
	}
	return a.store.Update(ctx, station.LaneUrgent, func(tx *store.Tx) error {
		_, known, err := tx.Secret(linkSecret)
		if err != nil || known {
			return err
		}
		b := make([]byte, 32)
		_, _ = rand.Read(b) // crypto/rand.Read never fails since Go 1.24
		return tx.PutSecret(linkSecret, station.Secret(hex.EncodeToString(b)))
	})
}

// linkKey is the key that signs; empty when there is none.
func (a *Agent) linkKey() (key station.Secret) {
	err := a.store.View(func(tx *store.Tx) (err error) {
		key, _, err = tx.Secret(linkSecret)
		return err
	})
	if err != nil {
		a.log.Error("key of the links not read", "err", err)
	}
	return key
}

// answerLink is the address under which a contact answers an alarm; empty where
// none is configured.
func (a *Agent) answerLink(alarm, contact string, made time.Time) string {
	if a.cfg.AnswerURL == "" {
		return ""
	}
	token := signLink(a.linkKey(), linkClaim{alarm, contact, made.Add(linkLife)})
	if token == "" {
		return ""
	}
	return strings.TrimSuffix(a.cfg.AnswerURL, "/") + "/answer/" + token
}

// signLink makes a token: version, alarm (16 bytes), end (Unix minutes, 4 bytes),
// contact, MAC. It is empty for what cannot be signed.
func signLink(key station.Secret, c linkClaim) string {
	id, err := hex.DecodeString(strings.ReplaceAll(c.alarm, "-", ""))
	if err != nil || len(id) != 16 || key == "" {
		return ""
	}
	b := append([]byte{linkVersion}, id...)
	b = binary.BigEndian.AppendUint32(b, uint32(c.expires.Unix()/60))
	b = append(b, c.contact...)
	return base64.RawURLEncoding.EncodeToString(append(b, linkSum(key, b)...))
}

func linkSum(key station.Secret, b []byte) []byte {
	mac := hmac.New(sha256.New, []byte(key.Reveal()))
	mac.Write(b)
	return mac.Sum(nil)[:linkMAC]
}

// readLink checks a token and says what it claims.
func readLink(key station.Secret, token string, now time.Time) (linkClaim, error) {
	const least = 1 + 16 + 4 + 1 + linkMAC
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || strings.ContainsAny(token, "\r\n") || len(b) < least || len(b) > least+64 || b[0] != linkVersion || key == "" { // the decoder passes line ends over
		return linkClaim{}, &errAnswerLink
	}
	body, sum := b[:len(b)-linkMAC], b[len(b)-linkMAC:]
	if !hmac.Equal(sum, linkSum(key, body)) {
		return linkClaim{}, &errAnswerLink
	}
	h := hex.EncodeToString(body[1:17])
	c := linkClaim{
		alarm:   h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:],
		contact: string(body[21:]),
		expires: time.Unix(60*int64(binary.BigEndian.Uint32(body[17:21])), 0),
	}
	if now.After(c.expires) {
		return linkClaim{}, &errAnswerLink
	}
	return c, nil
}

// linkView is what a link shows.
type linkView struct {
	Station  string
	Contact  string
	Alarm    station.Alarm
	Answered bool // by this contact
}

// link reads a token and what it is about. Guessing from one address is slowed.
func (a *Agent) link(token, address string) (linkView, linkClaim, error) {
	claim, err := readLink(a.linkKey(), token, a.now())
	if err != nil {
		if slow := a.links.allow(address); slow != nil {
			return linkView{}, claim, slow
		}
		return linkView{}, claim, err
	}
	v := linkView{Station: a.cfg.Name}
	err = a.store.View(func(tx *store.Tx) error {
		contact, known, err := store.Get[station.Contact](tx, key(contactTable, claim.contact))
		if err != nil {
			return err
		}
		alarm, there, err := store.Get[station.Alarm](tx, key(alarmTable, claim.alarm))
		if err != nil {
			return err
		}
		if !known || !there || alarm.Node != a.store.Node() {
			return &errAnswerLink // who is not a contact any more answers no longer
		}
		v.Contact, v.Alarm = contact.Name, alarm
		for _, x := range alarm.Answers {
			v.Answered = v.Answered || !x.Undone && x.By == contactAccount(contact.ID)
		}
		return nil
	})
	return v, claim, err
}

// answerByLink answers 收到 in the name of the link's contact.
func (a *Agent) answerByLink(ctx context.Context, token, address string) (linkView, error) {
	v, claim, err := a.link(token, address)
	if err != nil || v.Answered {
		return v, err
	}
	receipt := a.Handle(ctx, station.Command{
		// The same link pressed twice is one answer.
		ID: "link-" + account.Digest(token)[:32], Type: station.CommandAnswerAlarm, Subject: claim.alarm, Issued: a.now(),
		Actor: station.Actor{Account: contactAccount(claim.contact), Name: v.Contact, Role: account.RoleContact, Address: address},
		Body:  []byte(`{"kind":"received"}`),
	})
	if receipt.Problem != nil {
		return v, receipt.Problem
	}
	v.Answered = true
	return v, nil
}
