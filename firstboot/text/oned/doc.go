// Package oned reads and edits OpenNebula's template language: oned.conf, monitord.conf, sched.conf, vmm_exec_kvm.conf, and
// every file that onedatastore, onevnet or onehook create take.
//
// The parser follows the generated one of OpenNebula (template_parser.l and template_syntax.y, the same from 5.8 to 7.4),
// with its surprises: the first of two equal keys wins, a comma before a closing bracket is fatal, "A = # text" sets A to
// "text", curly quotes are part of the value. See [Parse] and [Lint].
//
// Edits replace the bytes of one value, or insert one pair or one attribute, and touch nothing else: comments, alignment
// and order stay. Each edit re-reads its result and fails rather than change anything that it was not asked to change.
//
// A key addresses one value:
//
//	MAC_PREFIX                     a single attribute, the first where there are several
//	DB/PASSWD                      a pair of a vector, of the first where there are several
//	VM_MAD[NAME=kvm]/ARGUMENTS     of the first vector in which the pair NAME is kvm
//	INHERIT_DATASTORE_ATTR[3]      the third attribute of that name
//
// Names are case-insensitive, as in the language.
package oned
