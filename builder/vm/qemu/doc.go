// Package qemu holds what everybody needs who runs QEMU: its monitor's protocol, the guest agent's, which is nearly the
// same, and the choice of an accelerator. The bench's baking machine and the fleet's clones share it; it knows neither.
package qemu

import "strings"

// Program is the emulator.
const Program = "qemu-system-x86_64"

// MaxSocketPath is what the kernel lets a UNIX socket's path be, with its final zero (unix(7)).
const MaxSocketPath = 108

// Comma escapes a value, such as a path, for QEMU's option lists.
func Comma(value string) string { return strings.ReplaceAll(value, ",", ",,") }
