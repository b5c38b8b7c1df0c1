// Package host is the only door to the machine: files below a root, database rows, Open vSwitch, links, units.
//
// It has two halves. [Reader] is what rewriters and checks get: they can look at everything and touch nothing. [Host] adds
// the writing half, which only package effect uses.
package host

import (
	"context"
	"errors"
	"io/fs"

	"goldsmith/firstboot/host/volume"
)

// ErrNoDatabase is returned, wrapped, when rows are asked of a machine where no database server can be reached. A rewriter
// never decides that this is fine: a stack that is in the imprint needs its database.
var ErrNoDatabase = errors.New("no database server answers")

// ErrNoTable is returned, wrapped, when rows are asked of a table that the server does not have.
var ErrNoTable = errors.New("no such table")

// ErrNoOVS is the same for Open vSwitch.
var ErrNoOVS = errors.New("no Open vSwitch database")

// A Row is one row of a table by column name. A NULL column is not in the map.
type Row map[string]string

// A Reader looks at one machine: the running one, or a tree mounted somewhere. Paths are absolute and mean the machine's
// own root; symbolic links never lead out of it.
type Reader interface {
	// ReadFile returns a file's content; the error satisfies errors.Is(err, fs.ErrNotExist) when there is none.
	ReadFile(path string) ([]byte, error)
	// Stat follows symbolic links inside the root, Lstat does not follow the last one.
	Stat(path string) (fs.FileInfo, error)
	Lstat(path string) (fs.FileInfo, error)
	Readlink(path string) (string, error)
	// Glob returns the paths that match, sorted. Syntax of path.Match.
	Glob(pattern string) ([]string, error)
	// Running tells whether this is the machine that we run on, rather than a tree.
	Running() bool
	// KernelHostname returns the running kernel's host name.
	KernelHostname() (string, error)
	// Root returns what the running machine's root file system stands on; nil in a tree, in a container, and where it is no
	// file system that can grow.
	Root() (*volume.Root, error)

	// Schemas returns the names of the databases.
	Schemas(ctx context.Context) ([]string, error)
	// Rows returns the named columns of all rows of a table in the order of its primary key; all columns when none is named. A
	// missing table or column is an error. A schema that is a path is an SQLite file; one that PostgresSchema made is a database
	// of PostgreSQL, where columns must be named and give the order.
	Rows(ctx context.Context, schema, table string, columns ...string) ([]Row, error)
	// DBUsers returns the server's accounts: columns user, host, hash.
	DBUsers(ctx context.Context) ([]Row, error)
	// OVS returns the value of one column of every record of an OVSDB table, keyed by the record's name column. Map columns
	// are flattened to "column:key".
	OVS(ctx context.Context, table string, columns ...string) (map[string]Row, error)
}
