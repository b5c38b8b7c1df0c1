// Package plan is what shall be done to a machine, as data: no part of it can do anything.
package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A Kind says how a change is read and written; package effect has one file per family of kinds.
type Kind string

// The kinds that are not file formats. Every text.Codec's Name is a kind as well: "ini", "hosts", "apache", ...
const (
	File     Kind = "file"     // Where: path; the whole content
	Row      Kind = "row"      // Where: schema.table; one column of one row, or the row's presence
	DBUser   Kind = "dbuser"   // Where: mysql.user; Key: user@host; the password's hash
	DBHost   Kind = "dbhost"   // Where: mysql.user; Key: user@host; the host that the account is bound to
	OVS      Kind = "ovs"      // Where: table; Key: record column[:key]
	Hostname Kind = "hostname" // Where: kernel; the running machine's host name
	Size     Kind = "size"     // Where: mount point; how much of the disk its file system takes
)

// A Value is what stands, or shall stand, at a place. The zero Value is an empty text that is there.
type Value struct {
	Absent bool   `json:"absent,omitempty"`
	Text   string `json:"text"`
}

// Text is a Value that is there.
func Text(s string) Value { return Value{Text: s} }

// Gone is the Value of a place that does not exist.
var Gone = Value{Absent: true}

func (v Value) String() string {
	if v.Absent {
		return "(absent)"
	}
	return v.Text
}

// A Target is a row of a database, or one column of it.
type Target struct {
	Schema string            `json:"schema"`
	Table  string            `json:"table"`
	Match  map[string]string `json:"match"`            // columns that name the row, all of its primary key
	Column string            `json:"column,omitempty"` // empty: the row itself, which may only be removed
}

// Key renders the row's name and column in a stable order.
func (t Target) Key() string {
	var parts []string
	for c, v := range t.Match {
		parts = append(parts, c+"="+v)
	}
	slices.Sort(parts)
	return strings.TrimRight(strings.Join(parts, ",")+" "+t.Column, " ")
}

// Meta is the owner and mode that a file gets when it is created. An existing file keeps its own.
type Meta struct {
	Mode  uint32 `json:"mode"`
	Owner string `json:"owner,omitempty"` // user name, resolved in the target's own passwd; empty: root
	Group string `json:"group,omitempty"`
}

// A Change is one place that shall hold another value. It is inert, and written so that it can be read by people.
type Change struct {
	By      string   `json:"by"` // the rewriter that owns the place
	Kind    Kind     `json:"kind"`
	Where   string   `json:"where"`
	Key     string   `json:"key,omitempty"`
	Was     Value    `json:"was"`
	Want    Value    `json:"want"`
	Row     *Target  `json:"row,omitempty"`
	Meta    *Meta    `json:"meta,omitempty"`
	Why     string   `json:"why"`
	Restart []string `json:"restart,omitempty"` // units that run on the old value until they are restarted
	Secret  bool     `json:"secret,omitempty"`  // Was and Want are never shown
	Spare   bool     `json:"spare,omitempty"`   // the clone is itself without it: a failure is a warning
}

// ID names the place: kind:where, and the key inside it.
func (c Change) ID() string {
	id := string(c.Kind) + ":" + c.Where
	if c.Key != "" {
		id += " " + c.Key
	}
	return id
}

// Masked returns the change as it may be printed or logged.
func (c Change) Masked() Change {
	if !c.Secret {
		return c
	}
	for _, v := range []*Value{&c.Was, &c.Want} {
		if !v.Absent {
			v.Text = "(secret)"
		}
	}
	return c
}

// A Plan is a list of changes in the order in which they will be applied.
type Plan struct {
	Changes []Change `json:"changes"`
	Notes   []Note   `json:"notes,omitempty"`
}

// A Note is something that a rewriter saw and leaves to a person: a foreign address, a baked port.
type Note struct {
	By   string `json:"by"`
	What string `json:"what"`
	Why  string `json:"why"`
	Bad  bool   `json:"bad,omitempty"` // the clone is not safe on the VLAN with this
}

// Check refuses a plan in which two changes own one place, or one replaces a file that another edits. It names every
// clash.
func (p *Plan) Check() error {
	var errs []error
	owner := map[string]string{}
	whole := map[string]string{}
	for _, c := range p.Changes {
		if c.Kind == File {
			whole[c.Where] = c.By
		}
	}
	for _, c := range p.Changes {
		if first, taken := owner[c.ID()]; taken {
			errs = append(errs, fmt.Errorf("cannot plan %s: both %s and %s own it", c.ID(), first, c.By))
		}
		owner[c.ID()] = c.By
		if by, taken := whole[c.Where]; taken && c.Kind != File {
			errs = append(errs, fmt.Errorf("cannot plan %s: %s edits a file that %s replaces", c.ID(), c.By, by))
		}
	}
	return errors.Join(errs...)
}

// Restarts returns the units owed for the given changes, each once, in order of first need.
func Restarts(changes []Change) []string {
	var units []string
	for _, c := range changes {
		for _, u := range c.Restart {
			if !slices.Contains(units, u) {
				units = append(units, u)
			}
		}
	}
	return units
}
