package adopt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/google/renameio/v2"

	"goldsmith/builder/disk"
	"goldsmith/builder/implant"
	"goldsmith/builder/seal"
	"goldsmith/builder/tree"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/report"
)

// An Order says what shall be made of a machine.
type Order struct {
	Image   string // the original, which is only read
	Out     string
	Root    string // volume of the root, where several could be
	Derive  disk.DeriveOptions
	Implant implant.Implant
	Seals   []seal.Operation
	// Check looks at the finished tree, read-only, before the image gets its name. An error of it throws the image away.
	Check func(*tree.FS) error
	Tell  disk.ProgressFunc
}

// A Manifest says how an image came about. It stands beside it, as OUT.json.
type Manifest struct {
	Format    int              `json:"format"`
	Image     string           `json:"image"`
	Original  string           `json:"original"`
	Method    string           `json:"method"` // overlay, copy, conversion
	Goldsmith string           `json:"goldsmith"`
	Made      time.Time        `json:"made"`
	Imprint   identity.Imprint `json:"imprint"`
	Why       []Reason         `json:"why"`
	Notes     []string         `json:"notes,omitempty"`
	Sealed    []seal.Result    `json:"sealed"`
	SELinux   string           `json:"selinux,omitempty"`
}

// ManifestName is where the manifest of an adopted image stands.
func ManifestName(image string) string { return image + ".json" }

// Make makes the image and its manifest. Whatever goes wrong, and however the program ends, neither is there then.
func Make(ctx context.Context, o Order, m Manifest) (Manifest, error) {
	if _, err := os.Lstat(ManifestName(o.Out)); err == nil {
		return m, report.Faultf(report.Usage, "cannot write %s: it exists", ManifestName(o.Out)).WithHint("remove it, or choose another name with -o")
	}
	d, err := disk.Derive(ctx, o.Image, o.Out, o.Derive)
	if err != nil {
		return m, err
	}
	defer d.Discard()
	m.Method, m.Image, m.Original = d.Method, o.Out, o.Image
	if err := o.change(ctx, d.Path, &m); err != nil {
		return m, err
	}
	if err := o.check(ctx, d.Path); err != nil {
		return m, err
	}
	return m, o.publish(d, m)
}

// change opens the new image and makes it golden.
func (o Order) change(ctx context.Context, path string, m *Manifest) (err error) {
	o.tell("put in firstboot")
	i, err := disk.Open(ctx, path, disk.Options{Root: o.Root})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, i.Close()) }()
	written, err := o.Implant.Put(i.FS)
	if err != nil {
		return err
	}
	if m.SELinux, err = implant.Label(i.FS, written); err != nil {
		return err
	}
	o.tell("seal")
	m.Sealed, err = seal.Each(ctx, i.FS, o.Seals, false)
	return err
}

// check opens the image as a clone's hypervisor would find it: a journal that is not clean is refused.
func (o Order) check(ctx context.Context, path string) (err error) {
	o.tell("verify")
	i, err := disk.Open(ctx, path, disk.Options{ReadOnly: true, Root: o.Root})
	if err != nil {
		return fmt.Errorf("the new image is not clean: %w", err)
	}
	defer func() { err = errors.Join(err, i.Close()) }()
	return o.Check(i.FS)
}

// publish gives both files their names, the image last: without it the manifest means nothing.
func (o Order) publish(d *disk.Derived, m Manifest) error {
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	name := ManifestName(o.Out)
	if err := renameio.WriteFile(name, append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("cannot write %s: %w", name, err)
	}
	if err := d.Commit(); err != nil {
		return errors.Join(err, os.Remove(name))
	}
	return nil
}

func (o Order) tell(phase string) {
	if o.Tell != nil {
		o.Tell(disk.Progress{Phase: phase})
	}
}
