package recipe

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// A Size is a number of bytes, written as in qemu-img: 8G, 512M, 1.5T, or plain bytes.
type Size int64

// UnmarshalText reads a size.
func (s *Size) UnmarshalText(b []byte) error {
	text := strings.TrimSpace(string(b))
	unit := int64(1)
	if n := len(text); n > 0 {
		if i := strings.IndexByte("KMGT", text[n-1]&^0x20); i >= 0 {
			unit, text = 1<<(10*(i+1)), text[:n-1]
		}
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || !(f > 0 && f*float64(unit) <= 1<<50) { // also refuses NaN
		return fmt.Errorf("%q is no size such as 8G", b)
	}
	*s = Size(f * float64(unit))
	return nil
}

// MarshalText writes the size in the largest unit that divides it.
func (s Size) MarshalText() ([]byte, error) {
	for i, u := range []string{"T", "G", "M", "K"} {
		if unit := Size(1) << (10 * (4 - i)); s >= unit && s%unit == 0 {
			return fmt.Appendf(nil, "%d%s", s/unit, u), nil
		}
	}
	return fmt.Appendf(nil, "%d", s), nil
}

// A Mode is a file's permissions. In YAML it must be text: 0644 without quotes is octal to one reader of YAML and decimal
// to the next.
type Mode uint32

// UnmarshalText reads three or four octal digits.
func (m *Mode) UnmarshalText(b []byte) error {
	v, err := strconv.ParseUint(string(b), 8, 12)
	if err != nil || len(b) < 3 || len(b) > 4 {
		return fmt.Errorf("%q is no mode such as \"0644\"", b)
	}
	*m = Mode(v)
	return nil
}

// MarshalText writes four octal digits.
func (m Mode) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%04o", uint32(m)), nil }

// Perm returns the mode as Go's bits, with set-id and sticky bits.
func (m Mode) Perm() fs.FileMode {
	out := fs.FileMode(m & 0o777)
	for bit, flag := range map[Mode]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if m&bit != 0 {
			out |= flag
		}
	}
	return out
}
