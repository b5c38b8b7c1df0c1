// Package openpgp reads as much of OpenPGP as it takes to know which keys a keyring holds (RFC 4880, RFC 9580). It verifies no
// signature: apt and rpm do that, with the keyring that was found to be the right one here.
package openpgp

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

const (
	begin = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
	end   = "-----END PGP PUBLIC KEY BLOCK-----"
)

// Tags of packets.
const (
	secretKey = 5
	publicKey = 6
)

// Fingerprints returns those of the primary keys of a keyring, armoured or not, in upper-case hex as gpg prints them. Subkeys are
// bound to their primary key by a signature, so they need no list of their own.
func Fingerprints(data []byte) ([]string, error) {
	raw, err := binaryOf(data)
	if err != nil {
		return nil, err
	}
	var out []string
	for len(raw) > 0 {
		tag, body, rest, err := packet(raw)
		if err != nil {
			return nil, err
		}
		raw = rest
		switch tag {
		case secretKey:
			return nil, errors.New("it holds a secret key, which belongs in no recipe")
		case publicKey:
			f, err := fingerprint(body)
			if err != nil {
				return nil, err
			}
			out = append(out, f)
		}
	}
	if out == nil {
		return nil, errors.New("it holds no public key")
	}
	return out, nil
}

// Armor returns a keyring as text, which is what files that end in .asc hold. One that is text already stays as it is.
func Armor(data []byte) string {
	if bytes.Contains(data, []byte(begin)) {
		return string(data)
	}
	var b strings.Builder
	b.WriteString(begin + "\n\n")
	for text := base64.StdEncoding.EncodeToString(data); text != ""; {
		n := min(64, len(text))
		b.WriteString(text[:n] + "\n")
		text = text[n:]
	}
	sum := crc24(data)
	b.WriteString("=" + base64.StdEncoding.EncodeToString([]byte{byte(sum >> 16), byte(sum >> 8), byte(sum)}) + "\n" + end + "\n")
	return b.String()
}

// Clean brings a fingerprint into the form that Fingerprints returns. It is empty for what is none: 40 digits, or 64 of a newer key.
func Clean(fingerprint string) string {
	f := strings.ToUpper(strings.TrimPrefix(strings.ReplaceAll(fingerprint, " ", ""), "0x"))
	if _, err := hex.DecodeString(f); err != nil || len(f) != 2*sha1.Size && len(f) != 2*sha256.Size {
		return ""
	}
	return f
}

// binaryOf decodes all armoured blocks; what is not text is binary already.
func binaryOf(data []byte) ([]byte, error) {
	text := strings.ReplaceAll(string(data), "\r\n", "\n")
	if !strings.Contains(text, begin) {
		if strings.Contains(text, "-----BEGIN PGP PRIVATE KEY BLOCK-----") {
			return nil, errors.New("it holds a secret key, which belongs in no recipe")
		}
		return data, nil
	}
	var out []byte
	for {
		_, after, ok := strings.Cut(text, begin+"\n")
		if !ok {
			return out, nil
		}
		block, rest, ok := strings.Cut(after, end)
		if !ok {
			return nil, errors.New("the text of the key breaks off")
		}
		text = rest
		raw, err := block64(block)
		if err != nil {
			return nil, err
		}
		out = append(out, raw...)
	}
}

// block64 decodes what stands between the first and the last line: headers, an empty line, base64, and a checksum that is optional.
func block64(block string) ([]byte, error) {
	_, body, ok := strings.Cut("\n"+block, "\n\n")
	if !ok {
		return nil, errors.New("the text of the key has no empty line after its headers")
	}
	if i := strings.LastIndex(body, "\n="); i >= 0 {
		body = body[:i]
	}
	raw, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(body), ""))
	if err != nil {
		return nil, fmt.Errorf("the text of the key is damaged: %w", err)
	}
	return raw, nil
}

var errShort = errors.New("the key breaks off, or it is no OpenPGP key")

// packet takes the first packet off data.
func packet(data []byte) (tag byte, body, rest []byte, err error) {
	if data[0]&0x80 == 0 || len(data) < 2 {
		return 0, nil, nil, errShort
	}
	var n, head int
	if data[0]&0x40 != 0 {
		tag = data[0] & 0x3f
		n, head, err = newLength(data[1:])
	} else {
		tag = data[0] >> 2 & 0x0f
		n, head, err = oldLength(data[0]&3, data[1:])
	}
	if err != nil || head+n > len(data)-1 {
		return 0, nil, nil, errors.Join(err, errShort)
	}
	return tag, data[1+head : 1+head+n], data[1+head+n:], nil
}

// newLength reads one, two or five octets. A body in parts is for data of unknown length, which no key has.
func newLength(b []byte) (n, head int, err error) {
	switch {
	case b[0] < 192:
		return int(b[0]), 1, nil
	case b[0] < 224 && len(b) >= 2:
		return int(b[0]-192)<<8 + int(b[1]) + 192, 2, nil
	case b[0] == 255 && len(b) >= 5:
		return limited(binary.BigEndian.Uint32(b[1:])), 5, nil
	}
	return 0, 0, errShort
}

func oldLength(kind byte, b []byte) (n, head int, err error) {
	switch {
	case kind == 0:
		return int(b[0]), 1, nil
	case kind == 1 && len(b) >= 2:
		return int(binary.BigEndian.Uint16(b)), 2, nil
	case kind == 2 && len(b) >= 4:
		return limited(binary.BigEndian.Uint32(b)), 4, nil
	}
	return 0, 0, errShort
}

// limited keeps a length that is larger than any key from overflowing an int.
func limited(n uint32) int { return int(min(n, 1<<30)) }

// fingerprint of a public key packet: by its version.
func fingerprint(body []byte) (string, error) {
	if len(body) == 0 {
		return "", errShort
	}
	n := uint32(len(body))
	switch body[0] {
	case 4:
		sum := sha1.Sum(append([]byte{0x99, byte(n >> 8), byte(n)}, body...))
		return strings.ToUpper(hex.EncodeToString(sum[:])), nil
	case 5, 6:
		first := map[byte]byte{5: 0x9a, 6: 0x9b}[body[0]]
		sum := sha256.Sum256(append(binary.BigEndian.AppendUint32([]byte{first}, n), body...))
		return strings.ToUpper(hex.EncodeToString(sum[:])), nil
	}
	return "", fmt.Errorf("the key is of version %d, which nothing verifies any more", body[0])
}

// crc24 is the checksum of armour (RFC 4880, 6.1).
func crc24(data []byte) uint32 {
	crc := uint32(0xb704ce)
	for _, b := range data {
		crc ^= uint32(b) << 16
		for range 8 {
			if crc <<= 1; crc&0x1000000 != 0 {
				crc ^= 0x1864cfb
			}
		}
	}
	return crc & 0xffffff
}
