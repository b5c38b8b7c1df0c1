package probe

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
)

// secret compares passwords that clones keep in files. What leaves this function is a digest under a key that is drawn anew for each
// run of verify and stays in memory, so that not even a weak password can be guessed from it.
func secret() Probe {
	return Probe{Name: "secret", Question: "are its administrator's password, its broker's cookie and oneadmin's password its own?", Ask: func(_ context.Context, t Target) Answer {
		var show, unique []string
		kept := 0
		for _, s := range secrets() {
			value := s.read(t)
			if value == "" {
				continue
			}
			if slices.Contains(t.Kept, s.name) || slices.Contains(t.Kept, "all") {
				kept++
				continue
			}
			show = append(show, s.short)
			unique = append(unique, s.name+" "+t.digest(s.name, value))
		}
		switch {
		case len(unique) > 0:
			return pass(strings.Join(show, ", "), unique...)
		case kept > 0:
			return skip("shared by all clones, as the image says")
		}
		return skip("no file of this image holds one")
	}}
}

// A secretFile is one secret, under the name that a recipe keeps it by.
type secretFile struct {
	name, short string
	read        func(Target) string
}

func secrets() []secretFile {
	return []secretFile{
		{"keystone/admin", "password", func(t Target) string {
			// Nodes of one cluster share the password; keystone is on one of them.
			if _, err := t.ReadFile("/etc/keystone/keystone.conf"); err != nil {
				return ""
			}
			rc, err := readOpenrc(t)
			if err != nil {
				return ""
			}
			return rc["OS_PASSWORD"]
		}},
		{"rabbitmq/cookie", "cookie", func(t Target) string { return t.text("/var/lib/rabbitmq/.erlang.cookie") }},
		{"opennebula/oneadmin", "oneadmin", func(t Target) string {
			_, password, _ := strings.Cut(t.text(oneAuth), ":")
			return password
		}},
	}
}

// text reads a file of one line, "" where there is none.
func (t Target) text(path string) string {
	b, err := t.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func (t Target) digest(name, value string) string {
	m := hmac.New(sha256.New, t.Salt)
	m.Write([]byte(name + "\x00" + value))
	return hex.EncodeToString(m.Sum(nil)[:8])
}
