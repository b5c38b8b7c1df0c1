// Package layer keeps the trees between the phases of a bake: directories that hold only what a phase changed, as overlayfs
// writes it, each under a digest of all that went into it. The same inputs find the same layer; a changed recipe finds
// those before its change.
package layer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"goldsmith/builder/tree"
	"goldsmith/firstboot/report"
)

// A Store is the folder of all layers. It must be on a file system that overlayfs takes for its upper directory.
type Store struct{ Dir string }

// A Note says where a layer comes from. It is written last: a layer without a note is not there.
type Note struct {
	Key   string        `json:"key"`
	Phase string        `json:"phase"`
	Image string        `json:"image"` // that it was first made for
	Made  time.Time     `json:"made"`
	Took  time.Duration `json:"took_ns"`
	// Extra is what the phase found out and later phases want to know.
	Extra json.RawMessage `json:"extra,omitempty"`
}

func (s Store) dir(key string) string  { return filepath.Join(s.Dir, key) }
func (s Store) note(key string) string { return filepath.Join(s.dir(key), "layer.json") }

// Tree is the directory of a layer.
func (s Store) Tree(key string) string { return filepath.Join(s.dir(key), "tree") }

// Find returns the note of a layer, and false when there is no such layer.
func (s Store) Find(key string) (Note, bool) {
	var n Note
	b, err := os.ReadFile(s.note(key))
	if err != nil || json.Unmarshal(b, &n) != nil {
		return Note{}, false
	}
	return n, true
}

// List returns the notes of all layers.
func (s Store) List() ([]Note, error) {
	entries, err := os.ReadDir(s.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var out []Note
	for _, e := range entries {
		if n, ok := s.Find(e.Name()); ok {
			out = append(out, n)
		}
	}
	return out, err
}

// Remove removes a layer, its note first.
func (s Store) Remove(key string) error {
	if err := os.Remove(s.note(key)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot remove layer: %w", err)
	}
	return RemoveTree(s.dir(key))
}

// A Draft is a layer being made: Root shows everything below it and takes the changes.
type Draft struct {
	store Store
	key   string
	work  string // what is removed when it does not become a layer
	Root  string
}

// Draft starts the layer key on top of others, the lowest first. The caller holds the layer's lock and is in a mount
// namespace of its own.
//
// The overlay is mounted volatile: what is written into it is not synced, file by file, by programs that call fsync a
// hundred thousand times (dpkg, MariaDB). Commit syncs once, and a draft that was not committed is thrown away.
func (s Store) Draft(key string, below []string) (*Draft, error) {
	d := &Draft{store: s, key: key, work: s.dir(key) + ".new"}
	if err := d.Discard(); err != nil {
		return nil, err
	}
	d.Root = filepath.Join(d.work, "root")
	for _, dir := range []string{d.work, d.upper(), d.Root, filepath.Join(d.work, "work"), filepath.Join(d.work, "empty")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("cannot make layer: %w", err)
		}
	}
	if err := os.Chmod(d.work, 0o700); err != nil { // secrets of a stack are in there
		return nil, err
	}
	lower := s.trees(below)
	if len(lower) == 0 {
		lower = []string{filepath.Join(d.work, "empty")}
	}
	options := fmt.Sprintf("%s,upperdir=%s,workdir=%s,volatile", lowerdir(lower), d.upper(), filepath.Join(d.work, "work"))
	return d, mount(d.Root, options, 0)
}

func (d *Draft) upper() string { return filepath.Join(d.work, "tree") }

// Commit makes a layer of the draft. trim gets the directory of the changes first, when nothing is mounted any more.
func (d *Draft) Commit(n Note, trim func(upper string) error) error {
	if err := unix.Unmount(d.Root, 0); err != nil {
		return fmt.Errorf("cannot unmount layer: %w", err)
	}
	if err := trim(d.upper()); err != nil {
		return err
	}
	for _, sub := range []string{"work", "root", "empty"} {
		if err := RemoveTree(filepath.Join(d.work, sub)); err != nil {
			return err
		}
	}
	n.Key = d.key
	b, err := json.MarshalIndent(n, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(d.work, "layer.json"), b, 0o600); err != nil {
		return err
	}
	if err := syncfs(d.work); err != nil {
		return err
	}
	return os.Rename(d.work, d.store.dir(d.key))
}

// Discard throws the draft away. It works on what a killed bake left, too.
func (d *Draft) Discard() error {
	if d.Root != "" {
		if err := unix.Unmount(d.Root, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("cannot unmount layer: %w", err)
		}
	}
	return RemoveTree(d.work)
}

// View mounts layers, the lowest first, read-only at a directory; unmount it with the function that comes back.
func (s Store) View(keys []string, at string) (func() error, error) {
	trees := s.trees(keys)
	if len(trees) == 1 { // overlayfs wants two
		empty := at + ".empty"
		if err := os.MkdirAll(empty, 0o700); err != nil {
			return nil, err
		}
		trees = append([]string{empty}, trees...)
	}
	if err := mount(at, lowerdir(trees), unix.MS_RDONLY); err != nil {
		return nil, err
	}
	return func() error {
		err := unix.Unmount(at, unix.MNT_DETACH)
		return errors.Join(err, ignoreMissing(os.Remove(at+".empty")))
	}, nil
}

func (s Store) trees(keys []string) []string {
	out := make([]string, len(keys))
	for i, k := range keys {
		out[i] = s.Tree(k)
	}
	return out
}

// lowerdir is the mount option; overlayfs wants the uppermost first.
func lowerdir(trees []string) string {
	list := make([]string, 0, len(trees))
	for i := range trees {
		list = append(list, trees[len(trees)-1-i])
	}
	return "lowerdir=" + strings.Join(list, ":")
}

// mount mounts an overlay that stores plain copies only: no renames by reference, no inodes without data. Flatten knows
// no others.
func mount(at, options string, flags uintptr) error {
	options += ",index=off,metacopy=off,redirect_dir=nofollow"
	if len(options) >= os.Getpagesize() {
		return report.Faultf(report.Usage, "cannot mount overlay: too many layers, or too long a path: %d bytes of options", len(options)).
			WithHint("use a shorter --home, or fewer layers in the recipe")
	}
	if err := unix.Mount("overlay", at, "overlay", flags, options); err != nil {
		return fmt.Errorf("cannot mount overlay at %s: %w", at, err)
	}
	return nil
}

func syncfs(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// RemoveTree removes a directory and what is below it, but stops where another file system is mounted.
func RemoveTree(dir string) error {
	parent, err := tree.Open(filepath.Dir(dir))
	if err != nil {
		return ignoreMissing(err)
	}
	defer parent.Close()
	if err := parent.RemoveAll(filepath.Base(dir)); err != nil {
		return fmt.Errorf("cannot remove %s: %w", dir, err)
	}
	return nil
}
