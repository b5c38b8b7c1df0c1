package rewriters

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"goldsmith/firstboot/plan"
)

const oneSSH = oneHome + "/.ssh"

// A sshPair is a user's key.
type sshPair struct{ private, public []byte }

// sshKey is oneadmin's own: Ed25519, derived from the seed, where packages make RSA (see sshKeys for why). Front-end and nodes that
// were told one cluster secret come to one key, so that nobody has to carry it to the nodes: OpenNebula's drivers log into them.
func (o *oneScene) sshKey() sshPair {
	secret := o.SecretBytes
	if o.Cluster != nil {
		secret = o.Cluster.Bytes
	}
	k := ed25519.NewKeyFromSeed(secret("opennebula/ssh", ed25519.SeedSize))
	public := sshStrings([]byte("ssh-ed25519"), k.Public().(ed25519.PublicKey))
	return sshPair{opensshKey(k, public, "oneadmin", secret("opennebula/ssh/checkint", 4)),
		authorized("ssh-ed25519", public, "oneadmin")}
}

// ssh gives oneadmin a key of the clone's own and takes the golden one out of authorized_keys: with a shared key, whoever is
// oneadmin on one clone is it on all of them. known_hosts learns the clone's host key, since drivers connect to the machine
// itself and stop at a changed one.
func (o *oneScene) ssh() error {
	if _, err := o.Host.Stat(oneSSH); err != nil || !o.Rekeys("opennebula/ssh") {
		return nil
	}
	// the old public keys go last: they tell which lines of authorized_keys to drop, also after a cut
	return errors.Join(o.authorizedKeys(), o.knownHosts(), o.sshKeys())
}

func (o *oneScene) sshKeys() error {
	pair := o.sshKey()
	public := onePrivate
	public.Mode = 0o644
	errs := []error{
		o.SecretFile(oneSSH+"/id_ed25519", pair.private, onePrivate, "the clone's own key"),
		o.File(oneSSH+"/id_ed25519.pub", pair.public, public, "the clone's own key"),
	}
	for _, kind := range []string{"rsa", "ecdsa", "dsa"} {
		errs = append(errs, o.file(oneSSH+"/id_"+kind, nil, plan.Meta{}, "the golden image's key", true),
			o.Remove(oneSSH+"/id_"+kind+".pub", "the golden image's key"))
	}
	return errors.Join(errs...)
}

// goldenKeys are the public keys of the machine's oneadmin before this run, without their comments.
func (o *oneScene) goldenKeys() []string {
	paths, err := o.Host.Glob(oneSSH + "/id_*.pub")
	if err != nil {
		return nil
	}
	var out []string
	for _, p := range paths {
		if data, err := o.Host.ReadFile(p); err == nil {
			out = append(out, keyBlob(string(data)))
		}
	}
	return slices.DeleteFunc(out, func(b string) bool { return b == "" || b == keyBlob(string(o.sshKey().public)) })
}

// keyBlob is the base64 part of a public key or of a line of authorized_keys, "" where there is none.
func keyBlob(line string) string {
	for f := range strings.FieldsSeq(line) {
		if strings.HasPrefix(f, "AAAA") {
			return f
		}
	}
	return ""
}

// ownKey tells whether a line holds a key that oneadmin had on this disk.
func (o *oneScene) ownKey(line string) bool {
	blob := keyBlob(line)
	return blob != "" && slices.Contains(o.goldenKeys(), blob)
}

func (o *oneScene) authorizedKeys() error {
	const file = oneSSH + "/authorized_keys"
	data, err := o.Host.ReadFile(file)
	if err != nil {
		return nil
	}
	mine := string(o.sshKey().public)
	lines := slices.DeleteFunc(strings.SplitAfter(string(data), "\n"), func(l string) bool {
		return l == "" || o.ownKey(l) || keyBlob(l) == keyBlob(mine)
	})
	return o.File(file, []byte(mine+strings.Join(lines, "")), onePrivate, "the clone's own key in place of the golden image's")
}

// knownHosts drops what is known of this machine's names, plain or hashed, and adds its own host key.
func (o *oneScene) knownHosts() error {
	const file = oneSSH + "/known_hosts"
	data, err := o.Host.ReadFile(file)
	if err != nil {
		return nil
	}
	key, err := o.Host.ReadFile(sshDir + "/ssh_host_ed25519_key.pub")
	if err != nil {
		return nil
	}
	names := []string{"localhost", "127.0.0.1", "::1"}
	for _, id := range append(slices.Clone(o.Old), o.To) {
		names = append(names, id.Hostname, id.FQDN())
		if id.Address.IsValid() {
			names = append(names, id.Address.String())
		}
	}
	var out strings.Builder
	for line := range strings.Lines(string(data)) {
		if hosts, _, _ := strings.Cut(line, " "); !knows(hosts, names) {
			out.WriteString(line)
		}
	}
	blob := strings.Fields(string(key))
	if len(blob) < 2 {
		return nil
	}
	self := slices.DeleteFunc([]string{"localhost", o.To.Hostname, o.To.FQDN()}, func(n string) bool { return n == "" })
	out.WriteString(strings.Join(slices.Compact(self), ",") + " " + blob[0] + " " + blob[1] + "\n")
	return o.File(file, []byte(out.String()), onePrivate, "the clone's own host key in place of the golden image's")
}

// knows tells whether the first field of a known_hosts line means one of the names: a list, or |1|salt|HMAC-SHA1 of one name.
func knows(hosts string, names []string) bool {
	part := strings.Split(hosts, "|")
	if len(part) == 4 && part[1] == "1" {
		salt, err1 := base64.StdEncoding.DecodeString(part[2])
		want, err2 := base64.StdEncoding.DecodeString(part[3])
		return err1 == nil && err2 == nil && slices.ContainsFunc(names, func(n string) bool {
			h := hmac.New(sha1.New, salt)
			h.Write([]byte(n))
			return hmac.Equal(h.Sum(nil), want)
		})
	}
	return slices.ContainsFunc(strings.Split(hosts, ","), func(h string) bool { return h != "" && slices.Contains(names, h) })
}
