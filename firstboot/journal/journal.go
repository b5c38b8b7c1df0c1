// Package journal is the debt book of firstboot: what was begun, and which restarts are still owed for it.
//
// The machine itself says which changes are done: every one can be read back. What cannot be seen is a service that still
// runs on its old file. So the line that announces a batch names the restarts that it will owe, and is on disk before the
// batch is written; only a later line, written after the restart, pays them. A cut anywhere in between leaves a debt, never
// a forgotten one.
//
// A batch that cannot be replaced atomically (a bind-mounted file) puts its new content into its line, and a cut in the
// middle of it is repaired from there.
package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"goldsmith/firstboot/cut"
)

// A Line is one entry. Exactly one of the fields is set.
type Line struct {
	Begin string   `json:"begin,omitempty"` // a batch: what is about to be written
	Owes  []string `json:"owes,omitempty"`  // units, with Begin
	Redo  *Redo    `json:"redo,omitempty"`  // with Begin
	Done  string   `json:"done,omitempty"`  // a batch that is on disk: its redo is void
	Paid  []string `json:"paid,omitempty"`  // units restarted, or found not running
}

// A Redo is the whole new content of a file that is written in place.
type Redo struct {
	Path string `json:"path"`
	Data []byte `json:"data"`
}

// A Journal is open for one run.
type Journal struct {
	f     *os.File
	owed  []string
	redo  map[string]Redo
	begun []string
}

// Open reads the journal in f, which must be open for reading and writing, and takes it over. A torn last line, which is
// what a power cut leaves, is cut off; a torn line elsewhere is an error, because nothing that we do makes one.
func Open(f *os.File) (*Journal, error) {
	j := &Journal{f: f, redo: map[string]Redo{}}
	if err := j.load(); err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot read journal: %w", err)
	}
	return j, nil
}

func (j *Journal) load() error {
	data, err := io.ReadAll(j.f)
	if err != nil {
		return err
	}
	whole := bytes.LastIndexByte(data, '\n') + 1
	for i, line := range bytes.Split(data[:whole], []byte("\n")) {
		if len(line) == 0 {
			continue
		}
		var l Line
		if err := json.Unmarshal(line, &l); err != nil {
			return fmt.Errorf("line %d: %w", i+1, err)
		}
		j.apply(l)
	}
	if err := j.f.Truncate(int64(whole)); err != nil {
		return err
	}
	_, err = j.f.Seek(int64(whole), io.SeekStart)
	return err
}

func (j *Journal) apply(l Line) {
	for _, u := range l.Owes {
		if !slices.Contains(j.owed, u) {
			j.owed = append(j.owed, u)
		}
	}
	if l.Begin != "" {
		j.begun = append(j.begun, l.Begin)
	}
	if l.Redo != nil {
		j.redo[l.Begin] = *l.Redo
	}
	delete(j.redo, l.Done)
	j.owed = slices.DeleteFunc(j.owed, func(u string) bool { return slices.Contains(l.Paid, u) })
}

func (j *Journal) write(l Line) error {
	b, err := json.Marshal(l)
	if err != nil {
		return err
	}
	if _, err := j.f.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("cannot write journal: %w", err)
	}
	cut.Point("journal written")
	if err := j.f.Sync(); err != nil {
		return fmt.Errorf("cannot sync journal: %w", err)
	}
	j.apply(l)
	cut.Point("journal synced")
	return nil
}

// Begin announces a batch and the restarts that it will owe. It returns when that is on disk.
func (j *Journal) Begin(batch string, owes []string, redo *Redo) error {
	return j.write(Line{Begin: batch, Owes: owes, Redo: redo})
}

// Done says that a batch is on disk. Only a batch with a redo needs it.
func (j *Journal) Done(batch string) error { return j.write(Line{Done: batch}) }

// Pay says that units were restarted or do not run.
func (j *Journal) Pay(units ...string) error { return j.write(Line{Paid: units}) }

// Owed returns the units that still have to be restarted, in order of first need.
func (j *Journal) Owed() []string { return slices.Clone(j.owed) }

// Redos returns the in-place writes that a cut may have torn.
func (j *Journal) Redos() map[string]Redo { return j.redo }

// Begun returns the batches that were announced since the journal was last empty: one of them may have been cut.
func (j *Journal) Begun() []string { return j.begun }

// Empty tells whether nothing is open.
func (j *Journal) Empty() bool { return len(j.owed) == 0 && len(j.redo) == 0 }

// Close closes the journal. When nothing is open it is emptied, so that it does not grow over the years.
func (j *Journal) Close() error {
	var err error
	if j.Empty() {
		if err = j.f.Truncate(0); err == nil {
			err = j.f.Sync()
		}
	}
	return errors.Join(err, j.f.Close())
}
