package install

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"

	"golang.org/x/crypto/ssh"

	"goldsmith/builder/tree"
)

// PutHostKey gives the tree an SSH host key, where sshd has none that it could start with. It is for a machine that is
// baked: sealing forgets it again.
func PutHostKey(root *tree.FS) error {
	const name = "/etc/ssh/ssh_host_ed25519_key"
	if !root.Exists("/etc/ssh/sshd_config") || root.Exists(name) {
		return nil
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return fmt.Errorf("cannot make host key: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		return fmt.Errorf("cannot make host key: %w", err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return fmt.Errorf("cannot make host key: %w", err)
	}
	return errors.Join(root.WriteFile(name, pem.EncodeToMemory(block), 0o600),
		root.WriteFile(name+".pub", ssh.MarshalAuthorizedKey(signer.PublicKey()), 0o644))
}
