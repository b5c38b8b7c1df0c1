package rewriters

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// passlibRounds are few, against passlib's 25000: the clone's passwords have 190 bits, which no number of rounds makes harder
// to guess, and keystone pays for each at every login of a service.
const passlibRounds = 1000

// passlib64 is passlib's ab64: base64 with "." for "+" and no padding.
var passlib64 = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789./").WithPadding(base64.NoPadding)

// keystoneHash returns a password in passlib's pbkdf2_sha512 form, which every keystone since Pike takes whatever its
// password_hash_algorithm says. The salt is given: the same secret must give the same row again.
func keystoneHash(password string, salt []byte, rounds int) (string, error) {
	sum, err := pbkdf2.Key(sha512.New, password, salt, rounds, sha512.Size)
	if err != nil {
		return "", fmt.Errorf("cannot hash a password: %w", err)
	}
	return fmt.Sprintf("$pbkdf2-sha512$%d$%s$%s", rounds, passlib64.EncodeToString(salt), passlib64.EncodeToString(sum)), nil
}

// keystoneVerifies tells whether hash is that of password, for the two kinds of hash that keystone makes unless it is told
// otherwise: bcrypt, and pbkdf2_sha512. A hash of another kind verifies nothing.
func keystoneVerifies(hash, password string) bool {
	if strings.HasPrefix(hash, "$2") {
		if len(password) > 54 { // keystone cuts there
			password = password[:54]
		}
		return bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) == nil
	}
	f := strings.Split(hash, "$")
	if len(f) != 5 || f[1] != "pbkdf2-sha512" {
		return false
	}
	rounds, err := strconv.Atoi(f[2])
	salt, err2 := passlib64.DecodeString(f[3])
	if err != nil || err2 != nil || rounds < 1 || rounds > 10_000_000 {
		return false
	}
	again, err := keystoneHash(password, salt, rounds)
	return err == nil && subtle.ConstantTimeCompare([]byte(again), []byte(hash)) == 1
}

// brokerHash returns a password as RabbitMQ's definitions hold it (rabbit_password_hashing_sha256): base64 of the salt, four
// bytes, and the SHA-256 of salt and password.
func brokerHash(password string, salt []byte) string {
	sum := sha256.Sum256(append(salt[:4:4], password...))
	return base64.StdEncoding.EncodeToString(append(salt[:4:4], sum[:]...))
}
