package builder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"goldsmith/builder/checkpoint"
	"goldsmith/builder/layer"
	"goldsmith/firstboot/report"
)

// DefaultHome is where a bench keeps its images and its cache.
const DefaultHome = "/var/lib/goldsmith"

// A Home is the folder of a bench. Nothing but root may look into it: layers hold the secrets of the stacks.
type Home struct{ Dir string }

// homeDirs are the folders of a home, each after the one that it is in.
var homeDirs = []struct {
	name string
	mode fs.FileMode
}{
	{"", 0o755}, {"cache", 0o700}, {"cache/layers", 0o700}, {"cache/trees", 0o700}, {"cache/checkpoints", 0o700}, {"cache/debs", 0o755}, {"cache/debs/base", 0o755},
	{"images", 0o711}, {"locks", 0o700}, {"run", 0o700}, {"logs", 0o700},
}

// OpenHome makes the folder where it does not exist, or says why it cannot serve.
func OpenHome(dir string) (Home, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return Home{}, err
	}
	h := Home{Dir: abs}
	if strings.ContainsAny(abs, `:,\"'`) || strings.ContainsFunc(abs, func(r rune) bool { return r <= ' ' }) {
		return h, report.Faultf(report.Usage, "cannot use %q as home: overlayfs and apt read some of its characters as their own", abs).
			WithHint("--home %s", DefaultHome)
	}
	for _, d := range homeDirs {
		if err := os.MkdirAll(filepath.Join(abs, d.name), d.mode); err != nil {
			return h, report.Faultf(report.Usage, "cannot make home: %w", err).WithHint("run as root, or choose another folder with --home")
		}
	}
	return h, nil
}

// Layers is the store of the trees between phases.
func (h Home) Layers() layer.Store { return layer.Store{Dir: filepath.Join(h.Dir, "cache", "layers")} }

// Checkpoints is the store of disks between the steps of bakes in virtual machines.
func (h Home) Checkpoints() checkpoint.Store {
	return checkpoint.Store{Dir: filepath.Join(h.Dir, "cache", "checkpoints")}
}

// Debs is the folder of downloaded packages; base has those of the bootstrap.
func (h Home) Debs() string     { return filepath.Join(h.Dir, "cache", "debs") }
func (h Home) baseDebs() string { return filepath.Join(h.Debs(), "base") }

// Image is the folder of a finished image.
func (h Home) Image(name string) string { return filepath.Join(h.Dir, "images", name) }

// staging is where an image is until it is complete.
func (h Home) staging(name string) string { return filepath.Join(h.Dir, "images", "."+name+".new") }

// Log is the file that gets the output of a phase's programs.
func (h Home) Log(image, phase string) string {
	return filepath.Join(h.Dir, "logs", image, strings.Map(plain, phase)+".log")
}

// plain keeps what is plain in a file's name.
func plain(r rune) rune {
	if r < 0x80 && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_') {
		return r
	}
	return '-'
}

// The files of an image's folder.
const (
	ImageFile    = "image.qcow2"
	ManifestFile = "manifest.json"
	RootDir      = "root"
)

// imageName is what an image may be called: it becomes a folder, part of a machine's name, a lock.
var imageName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,62}$`)

// CheckName refuses a name that could not be a folder below images.
func CheckName(name string) error {
	if !imageName.MatchString(name) {
		return report.Faultf(report.Usage, "cannot name an image %q: wanted are small letters, digits, dots and hyphens, at most 63", name)
	}
	return nil
}

// Clean removes what interrupted bakes have left: drafts of layers, half-made images, empty cgroups. What belongs to a bake
// that runs is left alone. It returns what it removed. end ends the trial clone in a half-made image's folder.
func (h Home) Clean(end func(dir string) error) ([]string, error) {
	var removed []string
	var errs []error
	for _, pattern := range []string{"cache/layers/*.new", "cache/trees/*.new", "cache/checkpoints/*.draft", "images/.*.new", "images/.*.old"} {
		found, err := filepath.Glob(filepath.Join(h.Dir, pattern))
		errs = append(errs, err)
		for _, dir := range found {
			ok, err := h.removeUnlocked(dir, end)
			if ok {
				removed = append(removed, dir)
			}
			errs = append(errs, err)
		}
	}
	return removed, errors.Join(append(errs, h.dropLocks())...)
}

// dropLocks removes the files of locks that nobody holds.
func (h Home) dropLocks() error {
	found, err := filepath.Glob(filepath.Join(h.Dir, "locks", "*.lock"))
	for _, f := range found {
		l, busy := h.lock(strings.TrimSuffix(filepath.Base(f), ".lock"))
		if busy == nil {
			l.release()
		}
	}
	return err
}

// removeUnlocked removes a leftover unless somebody is at work on it.
func (h Home) removeUnlocked(dir string, end func(string) error) (bool, error) {
	base := filepath.Base(dir)
	name := "layer-" + strings.TrimSuffix(base, ".new")
	switch {
	case filepath.Dir(dir) == h.trees():
		name = "tree-" + strings.TrimSuffix(base, ".new")
	case strings.HasSuffix(base, ".draft"):
		image, _, _ := strings.Cut(base, "@")
		name = "image-" + image
	case strings.HasPrefix(base, "."):
		name = "image-" + strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(base, "."), ".new"), ".old")
	}
	l, err := h.lock(name)
	if errors.Is(err, errBusy) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer l.release()
	if err := end(dir); err != nil {
		return false, err
	}
	return true, layer.RemoveTree(dir)
}

// CleanCache removes all layers, checkpoints and downloaded packages that no running bake uses, and the unpacked trees but those used.
func (h Home) CleanCache(used []string) ([]string, error) {
	removed, err := h.cleanTrees(used)
	if err != nil {
		return removed, err
	}
	notes, err := h.Layers().List()
	if err != nil {
		return removed, err
	}
	for _, n := range notes {
		l, err := h.lock("layer-" + n.Key)
		if errors.Is(err, errBusy) {
			continue
		}
		if err != nil {
			return removed, err
		}
		err = h.Layers().Remove(n.Key)
		l.release()
		if err != nil {
			return removed, err
		}
		removed = append(removed, h.Layers().Tree(n.Key))
	}
	more, err := h.cleanCheckpoints()
	if removed = append(removed, more...); err != nil {
		return removed, err
	}
	debs, err := filepath.Glob(filepath.Join(h.Debs(), "*.deb"))
	base, _ := filepath.Glob(filepath.Join(h.baseDebs(), "*.deb"))
	for _, d := range append(debs, base...) {
		if err := os.Remove(d); err != nil {
			return removed, fmt.Errorf("cannot remove package: %w", err)
		}
	}
	return removed, err
}

// cleanCheckpoints removes all checkpoints unless an image is being baked: its machine may stand on any of them.
func (h Home) cleanCheckpoints() ([]string, error) {
	busy, err := filepath.Glob(filepath.Join(h.Dir, "locks", "image-*.lock"))
	if err != nil || len(busy) > 0 {
		return nil, err
	}
	store := h.Checkpoints()
	notes, err := store.List()
	if err != nil {
		return nil, err
	}
	var removed []string
	for _, n := range notes {
		if err := store.Remove(n.Key); err != nil {
			return removed, err
		}
		removed = append(removed, filepath.Dir(store.Disk(n.Key, 0)))
	}
	return removed, nil
}
