package install

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"goldsmith/builder/tree"
)

// VitastorScripts are the scripts of the plugin, below OpenNebula's remotes: what its manual tells to test one by one.
func VitastorScripts() []string {
	var out []string
	for dir, names := range map[string]string{
		"vmm/kvm":            "deploy.vitastor save.vitastor restore.vitastor",
		"datastore/vitastor": "clone cp export mkfs monitor rm snap_delete snap_flatten snap_revert stat",
		"tm/vitastor": "clone context cpds delete failmigrate ln mkimage mkswap monitor mv mvds postbackup postbackup_live postmigrate " +
			"prebackup prebackup_live premigrate resize restore snap_create snap_create_live snap_delete snap_revert",
	} {
		for n := range strings.FieldsSeq(names) {
			out = append(out, dir+"/"+n)
		}
	}
	return out
}

// CheckVitastor looks at a tree in which the plugin was installed: every script is there, can be run and names its interpreter;
// oneadmin may run vitastor-nbd, by a file that sudo reads; QEMU and libvirt are the patched ones. All mistakes come at once.
func CheckVitastor(root *tree.FS) error {
	var errs []error
	for _, s := range VitastorScripts() {
		errs = append(errs, checkScript(root, remotes+"/"+s))
	}
	errs = append(errs, checkSudoers(root))
	for _, lib := range []string{"qemu", "libvirt"} {
		errs = append(errs, checkPatched(root, lib))
	}
	return errors.Join(errs...)
}

func checkScript(root *tree.FS, name string) error {
	st, err := root.Stat(name)
	if err != nil {
		return fmt.Errorf("cannot find script %s: %w", name, err)
	}
	if st.Mode()&0o111 == 0 {
		return fmt.Errorf("script %s cannot be executed\nhint: chmod 755 %[1]s", name)
	}
	data, err := root.ReadFile(name)
	if err == nil && !bytes.HasPrefix(data, []byte("#!")) {
		return fmt.Errorf("script %s does not name its interpreter", name)
	}
	return err
}

// checkSudoers: sudo ignores a file that others can write.
func checkSudoers(root *tree.FS) error {
	const name = "/etc/sudoers.d/opennebula-vitastor"
	st, err := root.Stat(name)
	if err != nil {
		return fmt.Errorf("cannot find oneadmin's right to run vitastor-nbd: %w", err)
	}
	if st.Mode()&0o022 != 0 {
		return fmt.Errorf("%s can be written by others, sudo ignores it\nhint: chmod 440 %[1]s", name)
	}
	return nil
}

// checkPatched looks for packages of Vitastor's archive: their versions hold its name. Where dpkg knows no such package, another
// package manager does, and this check says nothing.
func checkPatched(root *tree.FS, what string) error {
	status, err := root.ReadFile("/var/lib/dpkg/status")
	if err != nil {
		return nil
	}
	found, version := "", ""
	for block := range strings.SplitSeq(string(status), "\n\n") {
		name, v := "", ""
		for line := range strings.Lines(block) {
			if s, ok := strings.CutPrefix(line, "Package: "); ok {
				name = strings.TrimSpace(s)
			}
			if s, ok := strings.CutPrefix(line, "Version: "); ok {
				v = strings.TrimSpace(s)
			}
		}
		if name == what+"-system-x86" || name == what+"-daemon" || name == what+"0" {
			found, version = name, v
			break
		}
	}
	if found != "" && !strings.Contains(version, "vitastor") {
		return fmt.Errorf("package %s %s cannot open Vitastor's images: it is not from Vitastor's archive", found, version)
	}
	return nil
}
