// Package text is the contract of the small editors below it: bytes in, bytes out, and everything that was not asked for
// stays as it was, to the byte.
//
// A format is described by one [Codec]. Its keys are semantic ("[vnc] server_listen", not "line 4711"), so that a change
// planned before the file moved by a line still finds its place, and a change planned against another value is refused by
// the caller's compare-and-swap.
//
// Nothing below this package touches the machine: no file, no network, no environment. That is what makes fuzzing cheap.
package text

import "errors"

// ErrNoKey is returned, wrapped, by Set and Delete when the key does not exist and the format does not say where a new one
// would go.
var ErrNoKey = errors.New("no such key")

// An Entry is one setting of a file.
type Entry struct {
	Key   string // as Get and Set take it
	Value string // decoded: quotes and continuation marks of the format removed
	Line  int    // 1-based line of the key's first byte
}

// A Codec reads and sets single values of one file format. The laws that every codec obeys, and that the shared suite in
// texttest checks and fuzzes:
//
//   - Set(data, k, v) followed by Get(k) gives v;
//   - setting the value that is there already returns the same bytes;
//   - setting twice is setting once;
//   - List before and after a Set differ in that key only;
//   - line ends (LF or CRLF), a missing last newline, comments, order and spacing elsewhere stay as they were;
//   - input that the format's own reader would reject is an error, never a guess.
type Codec struct {
	Name string // the format's name in the field: "ini", "hosts", "ifcfg"
	// Get returns the effective value of key: where the format lets a key stand several times, the one its reader would
	// use. ok is false when the key is absent.
	Get func(data []byte, key string) (value string, ok bool, err error)
	// Set returns data with key set to value. A missing key is added where the format's readers find it, or ErrNoKey.
	Set func(data []byte, key, value string) ([]byte, error)
	// Delete returns data without key; a key that is absent already is no error. Nil where the format has no use for it.
	Delete func(data []byte, key string) ([]byte, error)
	// List returns all settings in file order.
	List func(data []byte) ([]Entry, error)
}
