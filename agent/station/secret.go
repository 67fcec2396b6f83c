package station

import (
	"encoding/json"
	"log/slog"
)

// SecretMask is what is shown instead of a secret, and what a form sends back
// when the secret was not changed.
const SecretMask = "••••••"

// Secret is a password in memory. Whatever prints, logs or encodes it gets the
// mask; only Reveal gives it away. Decoded from JSON it is the plain text.
type Secret string

// Reveal is the plain text.
func (s Secret) Reveal() string { return string(s) }

// Unchanged tells that a form sent the mask back: keep the secret that is kept.
func (s Secret) Unchanged() bool { return s == SecretMask }

// String masks.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return SecretMask
}

// GoString masks in %#v.
func (s Secret) GoString() string { return s.String() }

// LogValue masks in slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON masks.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }
