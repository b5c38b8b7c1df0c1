package seal

import (
	"os"
	"path/filepath"
	"testing"
)

func TestPresetsKeepWhatIsEnabled(t *testing.T) {
	root, dir := plant(t, map[string]string{"etc/systemd/system/own.service": "", "etc/machine-id": "x"})
	for _, l := range []string{"multi-user.target.wants/ssh.service", "sockets.target.wants/ssh.service", "getty.target.wants/getty@tty1.service",
		"dev-x.device.requires/a@.service"} {
		p := filepath.Join(dir, "etc/systemd/system", l)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("/lib/systemd/system/x.service", p); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Run(root, presets, true); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, presetFile)); err == nil {
		t.Error("a dry run wrote the file")
	}
	for range 2 {
		if _, err := Run(root, presets, false); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(filepath.Join(dir, presetFile))
	want := "# written when this image was sealed\nenable a@.service\nenable getty@.service tty1\nenable ssh.service\ndisable *\n"
	if string(got) != want || err != nil {
		t.Errorf("got %q %v", got, err)
	}
}

func TestPresetsWithoutSystemd(t *testing.T) {
	root, dir := plant(t, map[string]string{"etc/hostname": "x"})
	if _, err := Run(root, presets, false); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, presetFile)); err == nil {
		t.Error("a machine without systemd got a preset")
	}
}
