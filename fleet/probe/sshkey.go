package probe

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"os/exec"
	"slices"
	"strings"
)

// hostKey asks the SSH server for its keys, as a client would meet it. An image without a server has none.
func hostKey() Probe {
	return Probe{Name: "ssh host key", Question: "are its SSH host keys its own?", Ask: func(ctx context.Context, t Target) Answer {
		if _, err := t.ReadFile("/etc/ssh/sshd_config"); err != nil {
			return skip("no SSH server in this image")
		}
		var out []byte
		err := t.Inside(func() error {
			var err error
			out, err = exec.CommandContext(ctx, "ssh-keyscan", "-T", "8", t.Address.String()).Output()
			return err
		})
		keys := fingerprints(out)
		if len(keys) == 0 {
			return fail("silent", "the SSH server at %s shows no host key: %v", t.Address, err)
		}
		return pass(keys[0][:len("SHA256:")+8], keys...)
	}}
}

// fingerprints turns lines of "host type key" into fingerprints as ssh-keygen -l prints them, sorted.
func fingerprints(scan []byte) []string {
	var out []string
	for line := range bytes.Lines(scan) {
		f := strings.Fields(string(line))
		if len(f) != 3 || strings.HasPrefix(f[0], "#") {
			continue
		}
		key, err := base64.StdEncoding.DecodeString(f[2])
		if err != nil || len(key) == 0 {
			continue
		}
		sum := sha256.Sum256(key)
		out = append(out, "SHA256:"+base64.RawStdEncoding.EncodeToString(sum[:]))
	}
	slices.Sort(out)
	return out
}
