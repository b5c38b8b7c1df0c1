// Package rewriters is the catalogue of what firstboot knows: one file per stack, each a value that looks at the machine
// and proposes changes. A rewriter cannot write: it gets a [Scene], not a host.
//
// Most of a rewriter is a table of [Setting]. What a table cannot say is in Plan.
package rewriters

import (
	"context"

	"goldsmith/firstboot/text"
)

// A Phase is one of the two moments at which a clone changes.
type Phase string

// The phases. Local runs before any network: MACs, names, keys, DHCP identity. Stack runs when the address is known and
// the database answers, before the stack's own services start.
const (
	Local Phase = "local"
	Stack Phase = "stack"
)

// A Rewriter makes one part of a machine follow its identity.
type Rewriter struct {
	Name  string // as it stands in an imprint's stacks
	Short string // one line for help and the manual
	Phase Phase
	// Base rewriters run on every machine; the others when the imprint names them.
	Base bool
	// Units run on the old values until they are restarted. A unit that is not running owes nothing.
	Units    []string
	Settings []Setting
	// Sweeps are files in which every value follows the identity where it names an earlier one.
	Sweeps []Sweep
	// Plan proposes what the table cannot say. It may be nil.
	Plan func(context.Context, *Scene) error
	// Owns lists the places that Plan may propose, and Leaves those that it leaves alone on purpose, for "firstboot list".
	Owns, Leaves []Place
}

// A Place is a line of the catalogue.
type Place struct {
	Where string `json:"where"` // path, schema.table.column, OVSDB table and column
	Key   string `json:"key,omitempty"`
	Why   string `json:"why"` // what it is; for a place left alone, the reason
}

// A Setting is one key of one file that follows the identity.
type Setting struct {
	File  string // path; may be a glob when the file's name varies
	Codec text.Codec
	Key   string
	Rule  Rule
	// Required: a missing file or key is an error. Otherwise nothing there means nothing to do.
	Required bool
	Secret   bool
	// Restart replaces the rewriter's Units for this setting when it is not nil.
	Restart []string
	Why     string
}

// A Sweep is a file, or files, in which any value may name the golden machine: service configuration, where each release
// and each installer spells it in other keys. Values are parsed, never searched: an address is replaced where it is the
// value, an item of its list, or the host of its URL.
type Sweep struct {
	File  string // path or glob
	Codec text.Codec
	// Except are keys that Settings or Plan own, or that must stay.
	Except []string
	// Secret values may be in this file: what changes is not shown.
	Secret bool
}

// A Rule returns the value that should stand where was stands. Returning was itself leaves the place alone.
type Rule func(s *Scene, was string) (string, error)
