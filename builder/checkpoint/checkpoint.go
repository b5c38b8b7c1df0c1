// Package checkpoint keeps the disks of a baking machine between its steps: a chain of qcow2 overlays, each under a digest
// of all that went into it. The same inputs find the same checkpoint; a changed step finds those before its change. It is
// to disks what package layer is to trees.
package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"goldsmith/builder/disk/qcow2"
	"goldsmith/builder/layer"
)

// A Store is the folder of all checkpoints.
type Store struct{ Dir string }

// noteFile is the name of a note. A draft gets its own last, before its final name.
const noteFile = "checkpoint.json"

// A Note says where a checkpoint comes from.
type Note struct {
	layer.Note
	Below string `json:"below,omitempty"` // key of the checkpoint that it stands on
	Disks int    `json:"disks"`
}

func (s Store) dir(key string) string  { return filepath.Join(s.Dir, key) }
func (s Store) note(key string) string { return filepath.Join(s.dir(key), noteFile) }

// Disk is the file of disk i (0 is the root) of a checkpoint. Nobody may write to it.
func (s Store) Disk(key string, i int) string {
	return filepath.Join(s.dir(key), fmt.Sprintf("disk%d.qcow2", i))
}

// Find returns the note of a checkpoint, and false when it, or one that it stands on, is not there.
func (s Store) Find(key string) (Note, bool) {
	n, ok := s.read(key)
	for below := n.Below; ok && below != ""; {
		var b Note
		b, ok = s.read(below)
		below = b.Below
	}
	return n, ok
}

func (s Store) read(key string) (Note, bool) {
	var n Note
	b, err := os.ReadFile(s.note(key))
	if err != nil || json.Unmarshal(b, &n) != nil {
		return Note{}, false
	}
	return n, true
}

// List returns the notes of all checkpoints.
func (s Store) List() ([]Note, error) {
	entries, err := os.ReadDir(s.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var out []Note
	for _, e := range entries {
		if n, ok := s.read(e.Name()); ok {
			out = append(out, n)
		}
	}
	return out, err
}

// Remove removes a checkpoint, its note first. Those that stand on it are not found any more.
func (s Store) Remove(key string) error {
	if err := os.Remove(s.note(key)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot remove checkpoint: %w", err)
	}
	return layer.RemoveTree(s.dir(key))
}

// A Draft is disks that are being written, on top of a checkpoint.
type Draft struct {
	store Store
	work  string
	below string
	disks int
}

// Draft makes new overlays on the checkpoint below. The name tells drafts of several bakes apart.
func (s Store) Draft(name, below string) (*Draft, error) {
	n, ok := s.Find(below)
	if !ok {
		return nil, fmt.Errorf("cannot go on from checkpoint %s: it is not there", below)
	}
	d := &Draft{store: s, work: filepath.Join(s.Dir, name+".draft"), below: below, disks: n.Disks}
	if err := d.empty(); err != nil {
		return nil, err
	}
	for i := range d.disks {
		if err := overlay(s.Disk(below, i), s.Disk(below, i), d.Disk(i)); err != nil {
			return nil, errors.Join(err, d.Discard())
		}
	}
	return d, nil
}

// First makes a draft that stands on nothing and has no files yet: the caller writes them all.
func (s Store) First(name string, disks int) (*Draft, error) {
	d := &Draft{store: s, work: filepath.Join(s.Dir, name+".draft"), disks: disks}
	return d, d.empty()
}

// Next makes the overlays that will stand on this draft once it has become the checkpoint key.
func (d *Draft) Next(name, key string) (*Draft, error) {
	n := &Draft{store: d.store, work: filepath.Join(d.store.Dir, name+".draft"), below: key, disks: d.disks}
	if err := n.empty(); err != nil {
		return nil, err
	}
	for i := range d.disks {
		if err := overlay(d.Disk(i), d.store.Disk(key, i), n.Disk(i)); err != nil {
			return nil, errors.Join(err, n.Discard())
		}
	}
	return n, nil
}

// overlay makes the file out stand on backing, with the size of the disk that is to be found at now.
func overlay(now, backing, out string) error {
	f, err := os.Open(now)
	if err != nil {
		return err
	}
	h, err := qcow2.Read(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("cannot read %s: %w", now, err)
	}
	return qcow2.Overlay{Backing: backing, BackingFormat: "qcow2", Size: h.Size}.Create(out)
}

func (d *Draft) empty() error {
	if err := layer.RemoveTree(d.work); err != nil {
		return err
	}
	if err := os.Mkdir(d.work, 0o700); err != nil { // secrets of a stack are in there
		return fmt.Errorf("cannot make checkpoint: %w", err)
	}
	return nil
}

// Below is the key of the checkpoint that the draft stands on.
func (d *Draft) Below() string { return d.below }

// Disk is the file of disk i.
func (d *Draft) Disk(i int) string { return filepath.Join(d.work, fmt.Sprintf("disk%d.qcow2", i)) }

// Disks are the files of all disks.
func (d *Draft) Disks() []string {
	out := make([]string, d.disks)
	for i := range out {
		out[i] = d.Disk(i)
	}
	return out
}

// Commit makes the checkpoint key of the draft, whose disks nobody writes any more. A machine may have them open.
func (d *Draft) Commit(key string, n layer.Note) error {
	for _, disk := range d.Disks() {
		if err := sync(disk); err != nil {
			return fmt.Errorf("cannot sync checkpoint: %w", err)
		}
	}
	if err := d.store.Remove(key); err != nil { // a dead one of the same name
		return err
	}
	n.Key = key
	b, err := json.MarshalIndent(Note{Note: n, Below: d.below, Disks: d.disks}, "", "  ")
	if err != nil {
		return err
	}
	if err := renameio.WriteFile(filepath.Join(d.work, noteFile), b, 0o600); err != nil {
		return fmt.Errorf("cannot make checkpoint: %w", err)
	}
	if err := os.Rename(d.work, d.store.dir(key)); err != nil {
		return fmt.Errorf("cannot make checkpoint: %w", err)
	}
	return nil
}

// Discard throws the draft away.
func (d *Draft) Discard() error { return layer.RemoveTree(d.work) }

func sync(name string) error {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Sweep removes the drafts whose names begin so: a killed bake has left them.
func (s Store) Sweep(prefix string) error {
	found, err := filepath.Glob(filepath.Join(s.Dir, prefix+"*.draft"))
	for _, dir := range found {
		err = errors.Join(err, layer.RemoveTree(dir))
	}
	return err
}
