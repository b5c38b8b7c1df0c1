package vm

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem/iso9660"
	"golang.org/x/crypto/ssh"

	"goldsmith/firstboot/identity"
)

// keyComment marks our line in root's authorized_keys.
const keyComment = "goldsmith-bake"

// A key opens one run of one machine.
type key struct {
	signer ssh.Signer
	line   string // for authorized_keys
}

func newKey() (*key, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("cannot make a key: %w", err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return nil, fmt.Errorf("cannot make a key: %w", err)
	}
	line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey()))) + " " + keyComment
	return &key{signer, line}, nil
}

// putKey is a shell command that puts a line into root's authorized_keys, and nothing else of ours.
func putKey(line string) string {
	return dropKey + `; mkdir -p -m 700 /root/.ssh && echo '` + line + `' >>/root/.ssh/authorized_keys && chmod 600 /root/.ssh/authorized_keys; ` +
		`command -v restorecon >/dev/null && restorecon -R /root/.ssh; true`
}

// dropKey takes our line out again, and the file when nothing else was in it.
const dropKey = `f=/root/.ssh/authorized_keys; [ ! -f $f ] || { sed -i '/ ` + keyComment + `$/d' $f; [ -s $f ] || rm -f $f; }`

// userData makes cloud-init put the key in at every boot (bootcmd), since its own way does so once for each instance. Root
// gets in with the key alone: some cloud images forbid it.
func userData(line string) ([]byte, error) {
	b, err := json.Marshal(map[string]any{ // JSON is YAML
		"disable_root": false, "ssh_pwauth": false, "manage_etc_hosts": false, "preserve_hostname": false,
		"bootcmd": [][]string{{"sh", "-c", putKey(line)}},
	})
	return append([]byte("#cloud-config\n"), b...), err
}

// writeSeed makes a NoCloud seed: an ISO 9660 volume called cidata with user-data and meta-data.
func writeSeed(path string, id identity.Identity, line string) (err error) {
	user, err := userData(line)
	if err != nil {
		return err
	}
	meta := fmt.Sprintf("instance-id: %s\nlocal-hostname: %s\n", id.MachineID, id.FQDN())
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("cannot write the machine's seed: %w", err)
		}
	}()
	const size = 2 << 20 // the smallest that holds the volume's own structures with room
	b, err := file.CreateFromPath(path, size)
	if err != nil {
		return err
	}
	defer b.Close()
	work, err := os.MkdirTemp(filepath.Dir(path), "seed-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if err := os.Chmod(work, 0o755); err != nil { // becomes the mode of the volume's root
		return err
	}
	for name, data := range map[string][]byte{"user-data": user, "meta-data": []byte(meta)} {
		if err := os.WriteFile(filepath.Join(work, name), data, 0o644); err != nil {
			return err
		}
	}
	iso, err := iso9660.Create(b, size, 0, 2048, work)
	if err != nil {
		return err
	}
	return iso.Finalize(iso9660.FinalizeOptions{RockRidge: true, Joliet: true, VolumeIdentifier: "cidata"})
}
