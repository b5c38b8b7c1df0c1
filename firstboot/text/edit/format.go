// Package edit is what the line-preserving editors share: a [Format] says how to find the settings of a file and how to
// spell a new value, and becomes a text.Codec that never writes without proving that only the intended setting changed.
//
// Errors of this package and of the codecs name keys and line numbers, never values or the text of a line: both may be
// passwords.
package edit

import (
	"errors"
	"fmt"

	"goldsmith/firstboot/text"
)

// An Item is one setting as it stands in a file.
type Item struct {
	Key   string // as List shows it
	ID    string // what makes it the same setting; "" when that is Key itself
	Value string // decoded
	Line  int    // 1-based
	Text  Span   // the value as written, with its quotes and continuations
	Whole Span   // what goes when the setting is deleted; with the line end where it has lines of its own
	// Err says why the value cannot be understood. Such an item is not listed, and whoever asks for it gets the error,
	// unless a later one overrides it.
	Err error
}

func (it Item) id() string {
	if it.ID != "" {
		return it.ID
	}
	return it.Key
}

// A Format is what one codec knows of its file format. Where a setting stands several times, the last one is in force.
type Format struct {
	Name string
	// Scan finds all settings in file order, or says why the format's own reader would refuse the file.
	Scan func(data []byte) ([]Item, error)
	// ID returns what makes a key the same as another ("[VNC] x" and "[vnc] x"), or why it is no key of this format.
	ID func(key string) (string, error)
	// Encode spells value in place of it.Text, as close to the present spelling as it can.
	Encode func(data []byte, it Item, value string) (string, error)
	// Add inserts a setting that is not there. Nil: there is no place for a new one.
	Add func(data []byte, items []Item, key, value string) ([]byte, error)
	// Deletes says that Item.Whole is filled in and that nothing is renumbered when one goes.
	Deletes bool
	// Check is a second, independent proof that an edit changed the setting id and nothing else. May be nil.
	Check func(e Edit) error
}

// An Edit is a change that was made to the bytes and is not yet believed.
type Edit struct {
	ID            string // of the setting that was to change
	Before, After []byte
	Was, Is       []Item // the settings of Before and After
}

// Codec returns the codec of the format.
func (f Format) Codec() text.Codec {
	c := text.Codec{Name: f.Name, Get: f.get, Set: f.set, List: f.list}
	if f.Deletes {
		c.Delete = f.delete
	}
	return c
}

// Find returns the last item with the given id.
func Find(items []Item, id string) (Item, bool) {
	for i := len(items) - 1; i >= 0; i-- {
		if items[i].id() == id {
			return items[i], true
		}
	}
	return Item{}, false
}

func (f Format) find(data []byte, key string) (items []Item, it Item, ok bool, err error) {
	id, err := f.ID(key)
	if err != nil {
		return nil, it, false, err
	}
	if items, err = f.Scan(data); err != nil {
		return nil, it, false, err
	}
	if it, ok = Find(items, id); it.Err != nil {
		return nil, it, false, fmt.Errorf("line %d: cannot read %s: %w", it.Line, it.Key, it.Err)
	}
	return items, it, ok, nil
}

func (f Format) get(data []byte, key string) (string, bool, error) {
	_, it, ok, err := f.find(data, key)
	return it.Value, ok, err
}

func (f Format) list(data []byte) ([]text.Entry, error) {
	items, err := f.Scan(data)
	if err != nil {
		return nil, err
	}
	unknown := make(map[string]bool)
	for _, it := range items {
		unknown[it.id()] = it.Err != nil
	}
	var all []text.Entry
	for _, it := range items {
		if !unknown[it.id()] && it.Err == nil {
			all = append(all, text.Entry{Key: it.Key, Value: it.Value, Line: it.Line})
		}
	}
	return all, nil
}

func (f Format) set(data []byte, key, value string) ([]byte, error) {
	items, it, ok, err := f.find(data, key)
	if err != nil || ok && it.Value == value {
		return data, err
	}
	out, err := f.write(data, items, it, ok, key, value)
	if err != nil {
		return nil, err
	}
	if err := f.prove(data, items, out, key, &value); err != nil {
		return nil, fmt.Errorf("cannot write a value of %s that reads back: %w", key, err)
	}
	return out, nil
}

func (f Format) write(data []byte, items []Item, it Item, ok bool, key, value string) ([]byte, error) {
	if ok {
		spelled, err := f.Encode(data, it, value)
		if err != nil {
			return nil, err
		}
		return Splice(data, it.Text, spelled), nil
	}
	if f.Add == nil {
		return nil, fmt.Errorf("%w: %s", text.ErrNoKey, key)
	}
	return f.Add(data, items, key, value)
}

func (f Format) delete(data []byte, key string) ([]byte, error) {
	was, it, ok, err := f.find(data, key)
	if err != nil || !ok {
		return data, err
	}
	out := data
	for range was {
		out = Splice(out, it.Whole, "")
		if _, it, ok, err = f.find(out, key); err != nil {
			return nil, err
		}
		if !ok {
			break
		}
	}
	if err := f.prove(data, was, out, key, nil); err != nil {
		return nil, fmt.Errorf("cannot delete %s alone: %w", key, err)
	}
	return out, nil
}

// prove reads the edited text again. A nil value means that the setting was deleted.
func (f Format) prove(data []byte, was []Item, out []byte, key string, value *string) error {
	is, err := f.Scan(out)
	if err != nil {
		return err
	}
	id, err := f.ID(key)
	if err != nil {
		return err
	}
	if err := onlyChanged(was, is, id); err != nil {
		return err
	}
	if err := readsBack(was, is, id, value); err != nil {
		return err
	}
	if f.Check == nil {
		return nil
	}
	return f.Check(Edit{ID: id, Before: data, After: out, Was: was, Is: is})
}

// onlyChanged compares all settings but id before and after.
func onlyChanged(was, is []Item, id string) error {
	for {
		b, restWas, more := other(was, id)
		a, restIs, left := other(is, id)
		switch {
		case more != left:
			return errors.New("other settings would appear or vanish")
		case !more:
			return nil
		case a.id() != b.id() || a.Value != b.Value || (a.Err == nil) != (b.Err == nil):
			return fmt.Errorf("%s on line %d would change too", b.Key, b.Line)
		}
		was, is = restWas, restIs
	}
}

// other returns the first item that is not id, and the items after it.
func other(items []Item, id string) (Item, []Item, bool) {
	for i, it := range items {
		if it.id() != id {
			return it, items[i+1:], true
		}
	}
	return Item{}, nil, false
}

// readsBack says whether id stands there as often as before, or once if it is new, and has the value.
func readsBack(was, is []Item, id string, value *string) error {
	want := max(1, count(was, id))
	if value == nil {
		want = 0
	}
	it, _ := Find(is, id)
	switch {
	case count(is, id) != want:
		return errors.New("it would stand there more often or less often than it should")
	case value == nil:
		return nil
	case it.Err != nil:
		return it.Err
	case it.Value != *value:
		return errors.New("the format has no spelling for it")
	}
	return nil
}

func count(items []Item, id string) int {
	n := 0
	for _, it := range items {
		if it.id() == id {
			n++
		}
	}
	return n
}
