// Package implant puts the second trade into a tree: the imprint, the firstboot binary, its units, and the drop-ins that
// hold everything else behind them. A bake and an adoption do it in the same way.
package implant

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"

	"goldsmith/builder/tree"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/report"
	"goldsmith/templates"
)

// An Implant is what a tree gets.
type Implant struct {
	Binary  string   // path of firstboot on this host
	Units   []string // systemd units that wait until a clone is itself
	Imprint identity.Imprint
}

// Put writes the implant and returns the paths that it wrote, with a leading slash.
func (i Implant) Put(root *tree.FS) ([]string, error) {
	files, err := i.files()
	if err != nil {
		return nil, err
	}
	if err := putBinary(root, i.Binary); err != nil {
		return nil, err
	}
	written := []string{identity.Binary}
	for _, f := range files {
		if err := put(root, f); err != nil {
			return written, fmt.Errorf("cannot write %s: %w", f.Path, err)
		}
		written = append(written, f.Path)
	}
	return append(written, identity.StateDir), root.MkdirAll(identity.StateDir, 0o700)
}

// files are the units and the imprint.
func (i Implant) files() ([]templates.File, error) {
	files, err := templates.Units(i.Units)
	if err != nil {
		return nil, err
	}
	data, err := json.MarshalIndent(i.Imprint, "", "  ")
	if err != nil {
		return nil, err
	}
	return append(files, templates.File{Path: identity.ImprintFile, Data: append(data, '\n'), Mode: 0o600}), nil
}

func putBinary(root *tree.FS, from string) error {
	f, err := os.Open(from)
	if err != nil {
		return report.Faultf(report.Usage, "cannot read firstboot: %w", err).WithHint("make bin")
	}
	defer f.Close()
	if err := root.MkdirAll(path.Dir(identity.Binary), 0o755); err != nil {
		return err
	}
	if err := root.WriteFrom(identity.Binary, f, 0o755); err != nil {
		return fmt.Errorf("cannot put in firstboot: %w", err)
	}
	return nil
}

func put(root *tree.FS, f templates.File) error {
	if err := root.MkdirAll(path.Dir(f.Path), 0o755); err != nil {
		return err
	}
	if f.Link == "" {
		return root.WriteFile(f.Path, f.Data, f.Mode)
	}
	return errors.Join(root.Remove(f.Path), root.Symlink(f.Link, f.Path))
}
