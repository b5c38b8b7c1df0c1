// Package secret makes passwords that need no quoting anywhere: not in URLs, shell lines, YAML, INI or SQL.
package secret

import (
	"fmt"
	"io"
)

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// New returns length characters of [A-Za-z0-9], each with the same probability; the first is a letter, so that no reader
// takes the secret for a number. One character holds 5.95 bits: 24 hold 142. Random is crypto/rand.Reader.
func New(random io.Reader, length int) (string, error) {
	out := make([]byte, 0, length)
	one := make([]byte, 1)
	for len(out) < length {
		if _, err := io.ReadFull(random, one); err != nil {
			return "", fmt.Errorf("cannot read random bytes: %w", err)
		}
		// 248 is the largest multiple of 62 in a byte: what is above would make some characters likelier.
		if one[0] >= 248 {
			continue
		}
		if c := alphabet[one[0]%62]; len(out) > 0 || c > '9' {
			out = append(out, c)
		}
	}
	return string(out), nil
}
