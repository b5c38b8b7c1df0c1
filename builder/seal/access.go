package seal

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"goldsmith/builder/tree"
	"goldsmith/firstboot/report"
)

// hashForm is what crypt(5) calls a hashed passphrase; never a password in clear.
var hashForm = regexp.MustCompile(`^\$[0-9a-z]{1,4}\$[./0-9A-Za-z$=,+-]+$`)

// RootPassword is an operation that gives root another password; hash is in the form of crypt(5). With expire, root must
// choose a new one at the first login.
func RootPassword(hash string, expire bool) (Operation, error) {
	if !hashForm.MatchString(hash) {
		return Operation{}, report.Faultf(report.Usage, "cannot set password of root: this is no hash as crypt(5) writes it").
			WithHint("openssl passwd -6 | goldsmith seal IMAGE --root-password-hash -")
	}
	return Operation{
		Name: "root-password", Short: "password of root",
		Do: func(s *Scene) error { return s.shadow("root", hash, expire) },
	}, nil
}

// shadow sets two fields of an account's line in shadow(5): the hash, and the day of its last change, where 0 means that it
// has expired. 1 stands for "some day": a build must not hang on today's date.
func (s *Scene) shadow(user, hash string, expire bool) error {
	const file = "etc/shadow"
	old, err := s.Tree.ReadFile(file)
	if err != nil {
		return err
	}
	lines := strings.SplitAfter(string(old), "\n")
	for i, line := range lines {
		f := strings.Split(line, ":")
		if f[0] != user || len(f) < 8 {
			continue
		}
		f[1], f[2] = hash, "1"
		if expire {
			f[2] = "0"
		}
		lines[i] = strings.Join(f, ":")
		return s.Write(file, []byte(strings.Join(lines, "")), 0o640)
	}
	return fmt.Errorf("/%s has no line for %s", file, user)
}

// keyForm is one line of authorized_keys: options, a type, the key in base64, a comment (sshd(8)).
var keyForm = regexp.MustCompile(`(^|[\s"])(ssh-(ed25519|rsa|dss)|ecdsa-sha2-nistp\d+|sk-[a-z0-9-]+@openssh\.com)\s+[A-Za-z0-9+/]{16,}={0,3}(\s|$)`)

// AuthorizedKeys is an operation that lets the owners of public keys log in as root; keys that are there stay.
func AuthorizedKeys(keys []byte) (Operation, error) {
	var wanted [][]byte
	for line := range bytes.Lines(keys) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		if !keyForm.Match(line) {
			return Operation{}, report.Faultf(report.Usage, "cannot authorize key: %.40q is no public key of SSH", line).
				WithHint("--authorized-key ~/.ssh/id_ed25519.pub")
		}
		wanted = append(wanted, bytes.Clone(line))
	}
	if len(wanted) == 0 {
		return Operation{}, report.Faultf(report.Usage, "cannot authorize keys: there is none in the file")
	}
	return Operation{
		Name: "authorized-keys", Short: "keys that may log in as root",
		Do: func(s *Scene) error { return s.authorize("root/.ssh", wanted) },
	}, nil
}

func (s *Scene) authorize(dir string, wanted [][]byte) error {
	file := dir + "/authorized_keys"
	old, err := s.Tree.ReadFile(file)
	if err != nil && s.Tree.Exists(file) {
		return err
	}
	lines := bytes.Split(bytes.TrimRight(old, "\n"), []byte("\n"))
	if len(lines[0]) == 0 && len(lines) == 1 {
		lines = nil
	}
	for _, k := range wanted {
		if !slices.ContainsFunc(lines, func(l []byte) bool { return bytes.Equal(l, k) }) {
			lines = append(lines, k)
		}
	}
	if !s.dry {
		if err := private(s.Tree, dir); err != nil {
			return err
		}
	}
	return s.Write(file, append(bytes.Join(lines, []byte("\n")), '\n'), 0o600)
}

// private makes a folder that sshd accepts; one that is there stays as it is.
func private(root *tree.FS, dir string) error { return root.MkdirAll(dir, 0o700) }
