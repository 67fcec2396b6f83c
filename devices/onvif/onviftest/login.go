package onviftest

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strings"
	"time"
)

// clockWindow is how far a token may be off the device's clock.
const clockWindow = 10 * time.Second

// admitted tells whether a request comes with the right password, as a token that
// is of this moment and new, or as an HTTP digest.
func (d *Device) admitted(r *http.Request, root node, q Quirks) bool {
	if q.Refuse {
		return d.count(false)
	}
	if d.Username == "" {
		return true
	}
	if r.Header.Get("Authorization") != "" {
		return d.count(d.digestRight(r, q))
	}
	token := root.find("Header").find("UsernameToken")
	if q.DigestOnly || token.XMLName.Local == "" {
		return false // it has not tried yet
	}
	nonce64, created := strings.TrimSpace(token.find("Nonce").Text), strings.TrimSpace(token.find("Created").Text)
	nonce, err := base64.StdEncoding.DecodeString(nonce64)
	at, err2 := time.Parse(time.RFC3339Nano, created)
	if err != nil || err2 != nil {
		return d.count(false)
	}
	sum := sha1.Sum([]byte(string(nonce) + created + d.Password))
	off := time.Now().Add(q.ClockOffset).Sub(at)
	d.mu.Lock()
	if d.nonces == nil {
		d.nonces = map[string]bool{}
	}
	again := d.nonces[nonce64]
	d.nonces[nonce64] = true
	d.mu.Unlock()
	return d.count(!again && off.Abs() < clockWindow && token.find("Username").Text == d.Username &&
		strings.TrimSpace(token.find("Password").Text) == base64.StdEncoding.EncodeToString(sum[:]))
}

func (d *Device) count(right bool) bool {
	if !right {
		d.mu.Lock()
		d.denied++
		d.mu.Unlock()
	}
	return right
}

const nonce = "7f3a9c0d11"

func (d *Device) challenge(w http.ResponseWriter, q Quirks) {
	algorithm := "MD5"
	if q.SHA256 {
		algorithm = "SHA-256"
	}
	w.Header().Set("WWW-Authenticate", `Digest realm="IP Camera, test", nonce="`+nonce+`", qop="auth", algorithm=`+algorithm)
	w.WriteHeader(http.StatusUnauthorized)
}

func (d *Device) refuse(w http.ResponseWriter, q Quirks) {
	if q.DigestOnly {
		d.challenge(w, q)
		return
	}
	soap(w, http.StatusBadRequest, faultBody("NotAuthorized"))
}

// digestRight checks an HTTP digest (RFC 7616, quality "auth").
func (d *Device) digestRight(r *http.Request, q Quirks) bool {
	if q.Refuse {
		return false
	}
	text, digest := strings.CutPrefix(r.Header.Get("Authorization"), "Digest ")
	if !digest {
		return false
	}
	f := map[string]string{}
	for part := range strings.SplitSeq(text, ", ") {
		name, value, _ := strings.Cut(part, "=")
		f[name] = strings.Trim(value, `"`)
	}
	hash := func(s string) string {
		if q.SHA256 {
			sum := sha256.Sum256([]byte(s))
			return hex.EncodeToString(sum[:])
		}
		sum := md5.Sum([]byte(s))
		return hex.EncodeToString(sum[:])
	}
	secret := hash(d.Username + ":IP Camera, test:" + d.Password)
	what := hash(r.Method + ":" + r.URL.RequestURI())
	return f["username"] == d.Username && f["uri"] == r.URL.RequestURI() && len(f["nc"]) == 8 &&
		f["response"] == hash(secret+":"+nonce+":"+f["nc"]+":"+f["cnonce"]+":auth:"+what)
}
