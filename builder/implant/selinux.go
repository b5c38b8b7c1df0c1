package implant

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"goldsmith/builder/tree"
	"goldsmith/firstboot/identity"
)

// selinuxAttr holds a file's context.
const selinuxAttr = "security.selinux"

// programLike is a program that services may be; firstboot gets its context. The policy's own rules would make it lib_t,
// from which no service starts.
var programLike = []string{"usr/bin/true", "usr/bin/env", "bin/true"}

// Label gives the written paths the SELinux contexts that they need, and says what it did; "" where the system has no
// SELinux. What is new gets the context of the directory that it is in, as if it had been made on the running system.
func Label(root *tree.FS, written []string) (string, error) {
	mode, kind := selinuxConfig(root)
	if mode != "enforcing" && mode != "permissive" {
		return "", nil
	}
	program := contextOf(root, programLike...)
	if program == nil || contextOf(root, "etc") == nil {
		// A tree that lost its labels on the way here does not boot without new ones.
		return "files have no SELinux contexts: all get new ones at the next boot (/.autorelabel)",
			root.WriteFile(".autorelabel", nil, 0o644)
	}
	for _, p := range written {
		if err := label(root, p); err != nil {
			return "", fmt.Errorf("cannot set SELinux context of %s: %w", p, err)
		}
	}
	if err := root.SetLxattr(identity.Binary, selinuxAttr, program); err != nil {
		return "", fmt.Errorf("cannot set SELinux context of %s: %w", identity.Binary, err)
	}
	return "SELinux contexts are set like the neighbours', firstboot's like that of " + programLike[0], keepContext(root, kind, program)
}

// selinuxConfig reads the mode and the name of the policy.
func selinuxConfig(root *tree.FS) (mode, kind string) {
	b, err := root.ReadFile("etc/selinux/config")
	if err != nil {
		return "", ""
	}
	for line := range strings.Lines(string(b)) {
		switch k, v, _ := strings.Cut(strings.TrimSpace(line), "="); k {
		case "SELINUX":
			mode = v
		case "SELINUXTYPE":
			kind = v
		}
	}
	return mode, kind
}

func contextOf(root *tree.FS, names ...string) []byte {
	for _, n := range names {
		if v, err := root.Lxattr(n, selinuxAttr); err == nil && len(v) > 0 {
			return v
		}
	}
	return nil
}

// label walks down to a path and gives what has no context its parent's.
func label(root *tree.FS, name string) error {
	parent := "."
	for part := range strings.SplitSeq(strings.Trim(name, "/"), "/") {
		at := path.Join(parent, part)
		if contextOf(root, at) == nil {
			if err := root.SetLxattr(at, selinuxAttr, contextOf(root, parent)); err != nil {
				return err
			}
		}
		parent = at
	}
	return nil
}

// keepContext tells the policy, so that a later restorecon keeps firstboot's context.
func keepContext(root *tree.FS, kind string, context []byte) error {
	if kind == "" || strings.Contains(kind, "/") {
		return nil
	}
	file := "etc/selinux/" + kind + "/contexts/files/file_contexts.local"
	old, err := root.ReadFile(file)
	if err != nil {
		return nil // a policy without local rules
	}
	rule := identity.Binary + "\t--\t" + strings.TrimRight(string(context), "\x00")
	if slices.Contains(strings.Split(string(old), "\n"), rule) {
		return nil
	}
	text := string(old)
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return root.WriteFile(file, []byte(text+rule+"\n"), 0o644)
}
