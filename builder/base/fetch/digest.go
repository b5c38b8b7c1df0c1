package fetch

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"regexp"
	"strings"
)

// A Digest is an algorithm and a checksum in lower-case hexadecimal: "sha256:01ab...".
type Digest string

// parts cuts a digest; sum is "" when there is no colon.
func (d Digest) parts() (algorithm, sum string) {
	algorithm, sum, _ = strings.Cut(string(d), ":")
	return algorithm, sum
}

// Valid reports whether the digest is one of a known algorithm.
func (d Digest) Valid() bool {
	algorithm, sum := d.parts()
	h := newHash(algorithm)
	b, err := hex.DecodeString(sum)
	return h != nil && err == nil && len(b) == h.Size() && sum == strings.ToLower(sum)
}

// newHash returns a hash of an algorithm, nil if it is not known.
func newHash(algorithm string) hash.Hash {
	switch algorithm {
	case "sha256":
		return sha256.New()
	case "sha512":
		return sha512.New()
	}
	return nil
}

var (
	gnuLine = regexp.MustCompile(`^\\?([0-9a-fA-F]{64}|[0-9a-fA-F]{128}) [ *](.+)$`)
	bsdLine = regexp.MustCompile(`^SHA(256|512) \((.+)\) = ([0-9a-fA-F]{64}|[0-9a-fA-F]{128})$`)
)

// ParseSums finds the digest of a file in a checksum file. It reads lines as sha256sum writes them (HEX  NAME) and as the BSD
// tools do (SHA256 (NAME) = HEX); other lines are comments, signatures or sums of other kinds. Two different sums of one kind
// for the file are an error: one of them would be a lie.
func ParseSums(data []byte, algorithm, file string) (Digest, error) {
	var found Digest
	for line := range strings.Lines(string(data)) {
		d, name, ok := sumLine(strings.TrimRight(line, "\r\n"))
		if got, _ := d.parts(); !ok || got != algorithm || strings.TrimPrefix(name, "./") != file {
			continue
		}
		if found != "" && found != d {
			return "", fmt.Errorf("it has two different %s sums for %s", algorithm, file)
		}
		found = d
	}
	if found == "" {
		return "", fmt.Errorf("it has no %s sum for %s", algorithm, file)
	}
	return found, nil
}

func sumLine(line string) (d Digest, file string, ok bool) {
	if g := gnuLine.FindStringSubmatch(line); g != nil {
		return digestOf(g[1]), g[2], true
	}
	if g := bsdLine.FindStringSubmatch(line); g != nil && strings.HasSuffix(string(digestOf(g[3])[:6]), g[1]) {
		return digestOf(g[3]), g[2], true
	}
	return "", "", false
}

// digestOf tells the algorithm by the length.
func digestOf(sum string) Digest {
	if len(sum) == sha512.Size*2 {
		return Digest("sha512:" + strings.ToLower(sum))
	}
	return Digest("sha256:" + strings.ToLower(sum))
}
