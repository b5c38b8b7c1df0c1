// Package disk makes, opens, grows and converts disk images of virtual machines.
//
// Partition tables are read and written by go-diskfs, file systems by the kernel and by their own mkfs, qcow2 by qemu's
// tools (overlays by our own writer, package qcow2), LVM by our own reader (package lvm). Nothing here shows up in the
// host's mount table, and nothing has to be cleaned up after a crash; package kernel says how.
package disk

// A Progress is how far one step of a long job is. Done and Total are bytes; Total is 0 where it is not known.
type Progress struct {
	Phase string `json:"phase"`
	Done  int64  `json:"done"`
	Total int64  `json:"total"`
}

// A ProgressFunc is told about progress, often. It must be quick.
type ProgressFunc func(Progress)

// tell calls f unless it is nil.
func (f ProgressFunc) tell(phase string, done, total int64) {
	if f != nil {
		f(Progress{Phase: phase, Done: done, Total: total})
	}
}
