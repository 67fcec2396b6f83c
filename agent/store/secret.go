package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"stationd/agent/station"
)

// Problems of the secrets' key.
var (
	// ErrNoKey is returned for secrets whose key file is missing.
	ErrNoKey = station.Errorf(500, "secret.no-key", "put the key file back and restart; if it is lost, remove the cameras and brokers that have passwords, restart, and add them again", "the key of the stored passwords is missing")
	// ErrWrongKey is returned for secrets that another key sealed.
	ErrWrongKey = station.Errorf(500, "secret.wrong-key", "put the right key file back and restart; if it is lost, remove the cameras and brokers that have passwords, restart, and add them again", "the stored passwords were sealed with another key")
)

// sealing seals secrets with AES-256-GCM under a key in a file. The name of a
// secret is its additional data: a sealed value cannot be moved to another name.
type sealing struct {
	aead cipher.AEAD
	// problem says why there is no usable key.
	problem *station.Problem
}

func newSealing(key []byte) (*sealing, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	return &sealing{aead: aead}, err
}

func (s *sealing) seal(name, plain string) []byte {
	nonce := make([]byte, s.aead.NonceSize())
	_, _ = rand.Read(nonce) // crypto/rand.Read never fails since Go 1.24
	return s.aead.Seal(nonce, nonce, []byte(plain), []byte(name))
}

func (s *sealing) open(name string, sealed []byte) (string, error) {
	n := s.aead.NonceSize()
	if len(sealed) < n {
		return "", errShort
	}
	plain, err := s.aead.Open(nil, sealed[:n], sealed[n:], []byte(name))
	return string(plain), err
}

// PutSecret seals a secret under a name.
func (tx *Tx) PutSecret(name string, plain station.Secret) error {
	if p := tx.s.seal.problem; p != nil {
		return p
	}
	return tx.put(secretRealm+name, tx.s.seal.seal(name, plain.Reveal()))
}

// Secret opens the secret of that name; it tells whether there is one.
func (tx *Tx) Secret(name string) (station.Secret, bool, error) {
	b, err := tx.get(secretRealm + name)
	if err != nil || b == nil {
		return "", false, err
	}
	if p := tx.s.seal.problem; p != nil {
		return "", false, p
	}
	plain, err := tx.s.seal.open(name, b)
	if err != nil {
		return "", false, ErrWrongKey.At(name).Because(err)
	}
	return station.Secret(plain), true, nil
}

// DeleteSecret forgets the secret of that name; it is no error when there is
// none.
func (tx *Tx) DeleteSecret(name string) error { return tx.put(secretRealm+name, nil) }

// sealingWord is sealed when a key is first used; that it opens shows that the
// key is still the same.
const sealingWord = "stationd"

// openSealing finds the key, or makes one as long as nothing is sealed. Without
// the right key it still returns: cameras then stay dark, alarms do not.
func openSealing(tx *Tx, path string) (*sealing, error) {
	word, err := tx.get(sealingKey)
	if err != nil {
		return nil, err
	}
	sealed := false
	err = tx.scan(secretRealm, "", false, func(string, []byte) error {
		sealed = true
		return ErrStop
	})
	if err != nil && !errors.Is(err, ErrStop) {
		return nil, err
	}
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && sealed:
		return &sealing{problem: ErrNoKey.At(path)}, nil
	case errors.Is(err, fs.ErrNotExist):
		key := make([]byte, 32)
		_, _ = rand.Read(key) // as above
		text = []byte(hex.EncodeToString(key) + "\n")
		if err := writeFile(path, text, 0o600); err != nil {
			return nil, fmt.Errorf("make the secrets' key: %w", err)
		}
		word = nil
	case err != nil:
		return nil, fmt.Errorf("read the secrets' key: %w", err)
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != 32 {
		return &sealing{problem: ErrWrongKey.At(path).Because(errors.New("the file does not hold a key"))}, nil
	}
	s, err := newSealing(key)
	if err != nil {
		return nil, err
	}
	if word != nil {
		plain, err := s.open(sealingKey, word)
		if err == nil && plain == sealingWord {
			return s, nil
		}
		if sealed {
			return &sealing{problem: ErrWrongKey.At(path)}, nil
		}
	}
	return s, tx.put(sealingKey, s.seal(sealingKey, sealingWord))
}

// writeFile writes a file so that after a loss of power there is the old content
// or the new one.
func writeFile(path string, b []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // after the rename there is nothing to remove
	_, err = f.Write(b)
	if err := errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}
