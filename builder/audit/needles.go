// Package audit finds every place of a tree where the identity of a machine stands: in any encoding that programs write
// it in, in text, binaries, database pages and compressed logs, in one pass over the bytes and with bounded memory. For
// each place it asks who owns it: a rewriter that changes it on a clone, a seal operation that forgets it, or nobody.
package audit

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf16"

	"goldsmith/firstboot/identity"
)

// A Needle is one value that must not be on another machine.
type Needle struct {
	Kind  string `json:"kind"` // address, mac, name, machine-id, uuid
	Value string `json:"value"`
}

// The kinds of needles.
const (
	Address   = "address"
	MAC       = "mac"
	Name      = "name"
	MachineID = "machine-id"
	UUID      = "uuid"
)

// minName is the length of the shortest host name that is searched for: two letters are everywhere.
const minName = 3

// Needles are the values of an identity that can be searched for. A loopback address and the name localhost are left
// out, since every machine has them, and so is a name of less than three letters.
func Needles(id identity.Identity) []Needle {
	var list []Needle
	add := func(kind, value string) {
		if n := (Needle{kind, value}); value != "" && !slices.Contains(list, n) {
			list = append(list, n)
		}
	}
	for _, a := range []netip.Addr{id.Address, id.Address6} {
		if a.IsValid() && !a.IsLoopback() && !a.IsUnspecified() {
			add(Address, a.String())
		}
	}
	for _, n := range id.NICs {
		add(MAC, strings.ToLower(n.MAC))
	}
	if len(id.Hostname) >= minName && id.Hostname != "localhost" {
		add(Name, strings.ToLower(id.Hostname))
	}
	add(MachineID, strings.ToLower(id.MachineID))
	add(UUID, strings.ToLower(id.SystemID))
	return list
}

// A pattern is one way to write one needle.
type pattern struct {
	needle   int    // index
	encoding string // as it is reported
	bytes    []byte
	exact    bool // upper and lower case differ
	edge     edge // what must not stand beside it
}

// An edge tells a value from a longer one that contains it.
type edge int

const (
	anyEdge    edge = iota
	digitEdge       // 10.0.0.1 is not in 10.0.0.10 or 110.0.0.1 or 1.10.0.0.1
	letterEdge      // golden is not in goldeneye
	hexEdge         // no digit of a longer number in hex
)

// patterns lists all ways to write the needles.
func patterns(needles []Needle) []pattern {
	var list []pattern
	for i, n := range needles {
		for _, p := range n.forms() {
			p.needle = i
			if slices.ContainsFunc(needles, func(o Needle) bool { return o != n && o.Value == string(p.bytes) }) {
				continue // the marker's machine id is its name, in hex
			}
			if !slices.ContainsFunc(list, func(q pattern) bool {
				return q.needle == i && q.exact == p.exact && string(q.bytes) == string(p.bytes)
			}) {
				list = append(list, p)
			}
		}
	}
	return list
}

// forms are the ways to write one needle.
func (n Needle) forms() []pattern {
	switch n.Kind {
	case Address:
		if a, err := netip.ParseAddr(n.Value); err == nil {
			return addressForms(a)
		}
	case MAC:
		return macForms(n.Value)
	case MachineID, UUID:
		return idForms(n.Value)
	}
	return textForms(n.Value, letterEdge)
}

func text(encoding, value string, e edge) pattern {
	return pattern{encoding: encoding, bytes: []byte(value), edge: e}
}

// textForms are the ways to write any text.
func textForms(value string, e edge) []pattern {
	list := []pattern{text("plain", value, e), text("hex", hex.EncodeToString([]byte(value)), anyEdge)}
	list = append(list, wide(value)...)
	list = append(list, base64Forms(value)...)
	if escaped := urlEscape(value); escaped != value {
		list = append(list, text("url", escaped, e))
	}
	return list
}

// wide is UTF-16 in both orders.
func wide(value string) []pattern {
	var little, big []byte
	for _, u := range utf16.Encode([]rune(value)) {
		little, big = binary.LittleEndian.AppendUint16(little, u), binary.BigEndian.AppendUint16(big, u)
	}
	return []pattern{{encoding: "utf-16le", bytes: little}, {encoding: "utf-16be", bytes: big}}
}

// base64Forms are what a text becomes inside a longer one: it can start at any of three positions of a group, and the
// characters at its ends mix with what is beside it.
func base64Forms(value string) []pattern {
	var list []pattern
	for shift := range 3 {
		padded := append(make([]byte, shift), value...)
		whole := base64.RawStdEncoding.EncodeToString(padded)
		from, to := (shift*8+5)/6, len(padded)*8/6
		if to-from < 5 {
			continue // too short to mean anything
		}
		core := whole[from:to]
		list = append(list, pattern{encoding: "base64", bytes: []byte(core), exact: true})
		if url := strings.NewReplacer("+", "-", "/", "_").Replace(core); url != core {
			list = append(list, pattern{encoding: "base64url", bytes: []byte(url), exact: true})
		}
	}
	return list
}

// urlEscape escapes what a URL may not hold.
func urlEscape(value string) string {
	var b strings.Builder
	for _, c := range []byte(value) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-_.~", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02x", c)
		}
	}
	return b.String()
}

func addressForms(a netip.Addr) []pattern {
	if a.Is6() && !a.Is4In6() {
		return address6Forms(a)
	}
	a = a.Unmap()
	b := a.As4()
	v := a.String()
	number := binary.BigEndian.Uint32(b[:])
	list := textForms(v, digitEdge)
	return append(list,
		text("dashed", strings.ReplaceAll(v, ".", "-"), digitEdge),
		text("underscored", strings.ReplaceAll(v, ".", "_"), digitEdge),
		text("reversed dns", fmt.Sprintf("%d.%d.%d.%d.in-addr", b[3], b[2], b[1], b[0]), digitEdge),
		text("hex number", fmt.Sprintf("%08x", number), hexEdge),
		text("hex octets", fmt.Sprintf("%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3]), hexEdge),
		text("decimal number", fmt.Sprint(number), digitEdge),
	)
}

func address6Forms(a netip.Addr) []pattern {
	b := a.As16()
	full := a.StringExpanded()
	nibbles := []byte(hex.EncodeToString(b[:]))
	slices.Reverse(nibbles)
	list := textForms(a.String(), hexEdge)
	list = append(list, text("expanded", full, hexEdge), text("hex number", strings.ReplaceAll(full, ":", ""), anyEdge),
		text("reversed dns", strings.Join(strings.Split(string(nibbles), ""), "."), anyEdge))
	return append(list, pattern{encoding: "binary", bytes: b[:], exact: true})
}

func macForms(value string) []pattern {
	digits := strings.NewReplacer(":", "", "-", "").Replace(value)
	raw, err := hex.DecodeString(digits)
	if err != nil || len(raw) != 6 {
		return textForms(value, hexEdge)
	}
	join := func(sep string) string {
		var parts []string
		for _, b := range raw {
			parts = append(parts, fmt.Sprintf("%02x", b))
		}
		return strings.Join(parts, sep)
	}
	list := textForms(join(":"), anyEdge) // a DHCP client id is 01: and the MAC
	list = append(list, text("dashed", join("-"), anyEdge), text("digits", join(""), anyEdge),
		text("dotted", digits[:4]+"."+digits[4:8]+"."+digits[8:], anyEdge),
		text("escaped", `\x`+join(`\x`), anyEdge), text("escaped colons", join(`\:`), anyEdge),
		pattern{encoding: "binary", bytes: raw, exact: true})
	eui := fmt.Sprintf("%x:%x:%x:%x", int(raw[0]^2)<<8|int(raw[1]), int(raw[2])<<8|0xff, 0xfe00|int(raw[3]), int(raw[4])<<8|int(raw[5]))
	return append(list, text("eui-64", eui, hexEdge))
}

func idForms(value string) []pattern {
	digits := strings.ReplaceAll(value, "-", "")
	raw, err := hex.DecodeString(digits)
	if err != nil || len(raw) != 16 {
		return textForms(value, letterEdge)
	}
	dashed := uuidText(digits)
	list := append(textForms(digits, hexEdge), text("dashed", dashed, hexEdge))
	list = append(list, wide(dashed)...)
	return append(list, pattern{encoding: "binary", bytes: raw, exact: true})
}

func uuidText(digits string) string {
	return digits[:8] + "-" + digits[8:12] + "-" + digits[12:16] + "-" + digits[16:20] + "-" + digits[20:]
}
