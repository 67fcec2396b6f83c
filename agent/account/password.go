package account

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"stationd/agent/station"
)

// The cost of argon2id: the first recommendation of RFC 9106 is 2 GiB, which a
// station's PC does not have to spare; these are OWASP's smallest for argon2id.
const (
	argonTime    = 2
	argonMemory  = 19 * 1024 // KiB
	argonThreads = 1
	argonKey     = 32
	argonSalt    = 16
)

// MinPassword is the least length of a password, in characters.
const MinPassword = 8

// CheckPassword reports why a password is not good enough.
func CheckPassword(account string, password station.Secret) error {
	plain := password.Reveal()
	n := utf8.RuneCountInString(plain)
	switch {
	case n < MinPassword:
		return station.Errorf(http.StatusBadRequest, "password.short", fmt.Sprintf("use at least %d characters", MinPassword), "the password has %d characters", n).At("password")
	case n > 256:
		return station.Errorf(http.StatusBadRequest, "password.long", "use at most 256 characters", "the password has %d characters", n).At("password")
	case strings.EqualFold(plain, account):
		return station.Errorf(http.StatusBadRequest, "password.name", "choose another one", "the password is the account's name").At("password")
	case strings.Count(plain, string([]rune(plain)[0])) == n:
		return station.Errorf(http.StatusBadRequest, "password.simple", "choose another one", "the password is one character repeated").At("password")
	}
	return nil
}

// Hash makes the kept form of a password, in the PHC string format of argon2id.
func Hash(password station.Secret) string {
	salt := make([]byte, argonSalt)
	_, _ = rand.Read(salt)
	key := argon2.IDKey([]byte(password.Reveal()), salt, argonTime, argonMemory, argonThreads, argonKey)
	enc := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonThreads, enc.EncodeToString(salt), enc.EncodeToString(key))
}

// Matches tells whether password is the one that hash was made from. An empty
// or broken hash costs the same time and never matches.
func Matches(hash string, password station.Secret) bool {
	var version, memory, time, threads int
	salt, want := make([]byte, argonSalt), make([]byte, argonKey)
	ok := false
	if parts := strings.Split(hash, "$"); len(parts) == 6 && parts[1] == "argon2id" {
		_, err1 := fmt.Sscanf(parts[2], "v=%d", &version)
		_, err2 := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &memory, &time, &threads)
		s, err3 := base64.RawStdEncoding.DecodeString(parts[4])
		k, err4 := base64.RawStdEncoding.DecodeString(parts[5])
		sane := version == argon2.Version && memory > 0 && memory <= 1<<20 && time > 0 && time <= 16 && threads > 0 && threads <= 16 && len(k) >= 16
		if err1 == nil && err2 == nil && err3 == nil && err4 == nil && sane {
			salt, want, ok = s, k, true
		}
	}
	if !ok {
		memory, time, threads = argonMemory, argonTime, argonThreads
	}
	got := argon2.IDKey([]byte(password.Reveal()), salt, uint32(time), uint32(memory), uint8(threads), uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1 && ok
}

// NewToken draws a token of 158 random bits, in letters and digits that can be
// read aloud, and the digest under which it is kept.
func NewToken() (token, digest string) {
	const alphabet = "abcdefghjkmnpqrstuvwxyz23456789" // no i, l, o, 0, 1
	b := make([]byte, 32)
	out := make([]byte, 0, 32)
	for len(out) < 32 {
		_, _ = rand.Read(b)
		for _, c := range b {
			if int(c) < 256-256%len(alphabet) && len(out) < 32 {
				out = append(out, alphabet[int(c)%len(alphabet)])
			}
		}
	}
	return string(out), Digest(string(out))
}

// Digest is the kept form of a random token: hexadecimal SHA-256. A token has
// enough randomness to need no slow hash.
func Digest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}
