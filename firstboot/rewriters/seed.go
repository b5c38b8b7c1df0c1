package rewriters

import (
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
)

// A Seed is 32 random bytes, made once per clone and kept in its state (0600). All of the clone's secrets are derived from
// it, so that an interrupted run, started again, wants exactly what it wanted before.
type Seed []byte

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// ClusterSeed is the seed that all nodes of a cluster make of the secret that they were told; nil where there is none.
func ClusterSeed(secret string) Seed {
	if secret == "" {
		return nil
	}
	return Seed(secret).Bytes("cluster", 32)
}

// Bytes returns n bytes that belong to name (HKDF-SHA256, RFC 5869).
func (s Seed) Bytes(name string, n int) []byte {
	b, err := hkdf.Key(sha256.New, []byte(s), nil, "goldsmith/"+name, n)
	if err != nil {
		panic(fmt.Sprintf("internal error: %d bytes of secret %s: %v", n, name, err)) // n > 8160 only
	}
	return b
}

// Password returns n characters of [A-Za-z0-9] that belong to name. Bytes that would favour a letter are skipped.
func (s Seed) Password(name string, n int) string {
	out := make([]byte, 0, n)
	limit := byte(256 / len(alphabet) * len(alphabet))
	for round := 0; len(out) < n; round++ {
		for _, b := range s.Bytes(fmt.Sprintf("%s#%d", name, round), 2*n) {
			if b < limit && len(out) < n {
				out = append(out, alphabet[int(b)%len(alphabet)])
			}
		}
	}
	return string(out)
}

// String hides the seed from every log and error.
func (s Seed) String() string { return "(secret)" }

// GoString hides the seed from %#v.
func (s Seed) GoString() string { return "(secret)" }
