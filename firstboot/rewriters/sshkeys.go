package rewriters

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"path"
	"strings"

	"goldsmith/firstboot/plan"
)

// sshKeys gives each clone host keys of its own. Ed25519 and ECDSA keys are derived from the clone's seed, so an
// interrupted run ends with the keys that it began with. An RSA key cannot be derived that way with Go's library and is
// removed: every OpenSSH since 6.5 (2014) takes Ed25519.
func sshKeys() Rewriter {
	return Rewriter{
		Name: "ssh-host-keys", Short: "SSH host keys", Phase: Local, Base: true, Units: []string{"ssh.service", "sshd.service"},
		Owns: []Place{{Where: "/etc/ssh/ssh_host_*_key", Why: "who can read one clone's key can pose as all of them"}},
		Plan: planSSHKeys,
	}
}

const sshDir = "/etc/ssh"

func planSSHKeys(_ context.Context, s *Scene) error {
	if _, err := s.Host.Stat(sshDir + "/sshd_config"); err != nil || !s.Rekeys("ssh-host-keys") {
		return nil // no server, or not the first time
	}
	old, err := s.Host.Glob(sshDir + "/ssh_host_*_key*")
	if err != nil {
		return err
	}
	keys, err := hostKeys(s)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if err := s.SecretFile(path.Join(sshDir, k.name), k.private, plan.Meta{Mode: 0o600}, "the clone's own host key"); err != nil {
			return err
		}
		if err := s.File(path.Join(sshDir, k.name+".pub"), k.public, plan.Meta{Mode: 0o644}, "the clone's own host key"); err != nil {
			return err
		}
	}
	for _, p := range old {
		base := strings.TrimSuffix(path.Base(p), ".pub")
		if base != keys[0].name && base != keys[1].name {
			if err := s.file(p, nil, plan.Meta{}, "a host key of the golden image", !strings.HasSuffix(p, ".pub")); err != nil {
				return err
			}
		}
	}
	return nil
}

type hostKey struct {
	name            string
	private, public []byte
}

func hostKeys(s *Scene) ([2]hostKey, error) {
	const comment = "goldsmith" // not the host name, which may change while the key stays
	ed := ed25519.NewKeyFromSeed(s.SecretBytes("ssh/ed25519", ed25519.SeedSize))
	ec, err := deriveECDSA(s.seed, "ssh/ecdsa")
	if err != nil {
		return [2]hostKey{}, err
	}
	der, err := x509.MarshalECPrivateKey(ec)
	if err != nil {
		return [2]hostKey{}, err
	}
	point, err := ec.PublicKey.Bytes()
	if err != nil {
		return [2]hostKey{}, err
	}
	edPublic := sshStrings([]byte("ssh-ed25519"), ed.Public().(ed25519.PublicKey))
	ecPublic := sshStrings([]byte("ecdsa-sha2-nistp256"), []byte("nistp256"), point)
	return [2]hostKey{
		{"ssh_host_ed25519_key", opensshKey(ed, edPublic, comment, s.SecretBytes("ssh/checkint", 4)),
			authorized("ssh-ed25519", edPublic, comment)},
		{"ssh_host_ecdsa_key", pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}),
			authorized("ecdsa-sha2-nistp256", ecPublic, comment)},
	}, nil
}

// deriveECDSA derives a P-256 key from the clone's seed. A candidate outside the group's order, one in 2^32, is skipped.
func deriveECDSA(seed Seed, name string) (*ecdsa.PrivateKey, error) {
	for i := range 8 {
		if k, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), seed.Bytes(fmt.Sprintf("%s#%d", name, i), 32)); err == nil {
			return k, nil
		}
	}
	return nil, fmt.Errorf("cannot derive a key for %s", name)
}

func authorized(kind string, blob []byte, comment string) []byte {
	return []byte(kind + " " + base64.StdEncoding.EncodeToString(blob) + " " + comment + "\n")
}

// opensshKey writes a private key in OpenSSH's own format without a passphrase (openssh PROTOCOL.key): the only one in
// which every sshd reads Ed25519.
func opensshKey(k ed25519.PrivateKey, public []byte, comment string, check []byte) []byte {
	secret := append(append([]byte{}, check...), check...)
	secret = append(secret, public...)
	secret = append(secret, sshStrings(k, []byte(comment))...)
	for i := byte(1); len(secret)%8 != 0; i++ {
		secret = append(secret, i)
	}
	body := append([]byte("openssh-key-v1\x00"), sshStrings([]byte("none"), []byte("none"), nil)...)
	body = binary.BigEndian.AppendUint32(body, 1)
	body = append(body, sshStrings(public, secret)...)
	return pem.EncodeToMemory(&pem.Block{Type: "OPENSSH PRIVATE KEY", Bytes: body})
}

// sshStrings joins strings with their lengths (RFC 4251, 5).
func sshStrings(list ...[]byte) []byte {
	var out []byte
	for _, s := range list {
		out = binary.BigEndian.AppendUint32(out, uint32(len(s)))
		out = append(out, s...)
	}
	return out
}
