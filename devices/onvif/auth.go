package onvif

import (
	"crypto/md5"  // what RFC 7616 and cameras use
	"crypto/rand" // nonces
	"crypto/sha1" // what WS-UsernameToken prescribes
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// securityHeader is a WS-UsernameToken with the digest of the password, for the
// device's own time: a device refuses a token that is minutes off its clock.
func securityHeader(user, password string, deviceTime time.Time) string {
	nonce := make([]byte, 20)
	_, _ = rand.Read(nonce) // never fails
	created := deviceTime.UTC().Format("2006-01-02T15:04:05.000Z")
	sum := sha1.Sum([]byte(string(nonce) + created + password))
	const (
		wsse = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
		wsu  = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
		kind = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordDigest"
		b64  = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary"
	)
	return `<wsse:Security xmlns:wsse="` + wsse + `" xmlns:wsu="` + wsu + `" s:mustUnderstand="1"><wsse:UsernameToken><wsse:Username>` + escape(user) +
		`</wsse:Username><wsse:Password Type="` + kind + `">` + base64.StdEncoding.EncodeToString(sum[:]) +
		`</wsse:Password><wsse:Nonce EncodingType="` + b64 + `">` + base64.StdEncoding.EncodeToString(nonce) +
		`</wsse:Nonce><wsu:Created>` + created + `</wsu:Created></wsse:UsernameToken></wsse:Security>`
}

// challenge is what an HTTP server asks for (RFC 7616).
type challenge struct {
	realm, nonce, opaque, algorithm string
	qop                             bool // quality of protection "auth" is offered
	count                           int
}

// readChallenge finds the Digest challenge among a 401's headers; nil where there is
// none that is understood.
func readChallenge(h http.Header) *challenge {
	for _, line := range h.Values("WWW-Authenticate") {
		scheme, rest, _ := strings.Cut(line, " ")
		if !strings.EqualFold(scheme, "Digest") {
			continue
		}
		fields := readParams(rest)
		c := &challenge{realm: fields["realm"], nonce: fields["nonce"], opaque: fields["opaque"], algorithm: strings.ToUpper(fields["algorithm"])}
		for q := range strings.SplitSeq(fields["qop"], ",") {
			c.qop = c.qop || strings.EqualFold(strings.TrimSpace(q), "auth")
		}
		if c.nonce == "" || c.algorithm != "" && c.algorithm != "MD5" && c.algorithm != "SHA-256" {
			continue
		}
		return c
	}
	return nil
}

// readParams reads name="value, with commas", name=value.
func readParams(text string) map[string]string {
	out := map[string]string{}
	for text != "" && len(out) < 20 {
		name, rest, found := strings.Cut(text, "=")
		if !found {
			break
		}
		name = strings.ToLower(strings.Trim(name, " ,\t"))
		var value string
		if strings.HasPrefix(rest, `"`) {
			value, text, _ = strings.Cut(rest[1:], `"`)
		} else {
			value, text, _ = strings.Cut(rest, ",")
		}
		out[name] = strings.TrimSpace(value)
	}
	return out
}

// answer is the Authorization header of one request.
func (c *challenge) answer(method, uri, user, password string) string {
	hash := func(text string) string {
		if c.algorithm == "SHA-256" {
			sum := sha256.Sum256([]byte(text))
			return hex.EncodeToString(sum[:])
		}
		sum := md5.Sum([]byte(text))
		return hex.EncodeToString(sum[:])
	}
	c.count++
	count := fmt.Sprintf("%08x", c.count)
	own := make([]byte, 8)
	_, _ = rand.Read(own)
	cnonce := hex.EncodeToString(own)
	secret, what := hash(user+":"+c.realm+":"+password), hash(method+":"+uri)
	response := hash(secret + ":" + c.nonce + ":" + what)
	if c.qop {
		response = hash(secret + ":" + c.nonce + ":" + count + ":" + cnonce + ":auth:" + what)
	}
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	var b strings.Builder
	fmt.Fprintf(&b, `Digest username="%s", realm="%s", nonce="%s", uri="%s", response="%s"`, quoted.Replace(user), c.realm, c.nonce, uri, response)
	if c.algorithm != "" {
		b.WriteString(", algorithm=" + c.algorithm)
	}
	if c.opaque != "" {
		b.WriteString(`, opaque="` + c.opaque + `"`)
	}
	if c.qop {
		b.WriteString(`, qop=auth, nc=` + count + `, cnonce="` + cnonce + `"`)
	}
	return b.String()
}
