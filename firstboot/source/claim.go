package source

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"strings"

	"goldsmith/firstboot/identity"
)

// fields are what a claim can say, as the flat sources spell them. A peer is "peer.NAME".
const fields = "hostname, instance, interface, prefix, peer.NAME, phone_home, cluster"

func (d *draft) fail(field, format string, args ...any) {
	d.errs = append(d.errs, fmt.Errorf("cannot read %s of %s: %w", field, d.source, fmt.Errorf(format, args...)))
}

// set puts one value of a flat source into the claim.
func (d *draft) set(field, value string) {
	var err error
	switch {
	case field == "hostname":
		d.claim.Hostname = strings.TrimSuffix(value, ".")
		err = checkHostname(d.claim.Hostname)
	case field == "instance":
		d.claim.Instance = value
		err = checkToken(value, 128, "")
	case field == "interface":
		d.claim.Interface = value
		err = checkInterface(value)
	case field == "prefix":
		d.claim.Prefix = value
		err = checkToken(value, 32, "/\\:@\"'")
	case field == "phone_home":
		d.claim.PhoneHome = value
		err = checkURL(value)
	case field == "cluster":
		d.claim.Cluster = value
		err = identity.CheckSecret(value)
	case strings.HasPrefix(field, "peer."):
		err = d.peer(strings.TrimPrefix(field, "peer."), value)
	default:
		err = fmt.Errorf("no such field; there are %s", fields)
	}
	if err != nil {
		d.fail(field, "%w", err)
	}
}

func (d *draft) peer(name, value string) error {
	if err := checkHostname(name); err != nil {
		return err
	}
	a, err := netip.ParseAddr(value)
	if err != nil {
		return fmt.Errorf("%q is not an address", value)
	}
	if d.claim.Peers == nil {
		d.claim.Peers = map[string]netip.Addr{}
	}
	d.claim.Peers[name] = a
	return nil
}

// decode reads a claim in JSON, as a credential or the identity file hold it. Unknown and repeated fields are mistakes:
// "hostnmae" would otherwise give a clone the golden name.
func decode(source string, data []byte) *draft {
	d := &draft{source: source}
	fields, err := members(data)
	if err != nil {
		d.errs = append(d.errs, fmt.Errorf("cannot read %s: %w", source, err))
		return d
	}
	for _, m := range fields {
		if m.name == "peers" {
			d.peers(m.value)
			continue
		}
		var text string
		if err := json.Unmarshal(m.value, &text); err != nil || text == "" {
			d.fail(m.name, "want a text that is not empty, not %.40s", m.value)
			continue
		}
		d.set(m.name, text)
	}
	return d
}

func (d *draft) peers(raw json.RawMessage) {
	list, err := members(raw)
	if err != nil {
		d.fail("peers", "%w", err)
	}
	for _, m := range list {
		var addr string
		if err := json.Unmarshal(m.value, &addr); err != nil {
			d.fail("peer."+m.name, "want an address, not %.40s", m.value)
			continue
		}
		d.set("peer."+m.name, addr)
	}
}

type member struct {
	name  string
	value json.RawMessage
}

// members splits one JSON object in file order. encoding/json alone would take the last of two equal names, ignore the
// case of letters, and not mind what follows.
func members(data []byte) ([]member, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	var list []member
	seen := map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("not JSON: %w", err)
		}
		name := t.(string) // the decoder lets nothing else stand there
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, fmt.Errorf("not JSON in %q: %w", name, err)
		}
		if seen[name] {
			return nil, fmt.Errorf("%q stands twice", name)
		}
		seen[name] = true
		list = append(list, member{name, raw})
	}
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the JSON object")
	}
	return list, nil
}

// checkHostname takes a host name with or without a domain (RFC 1123, section 2.1).
func checkHostname(name string) error {
	if len(name) > 253 {
		return fmt.Errorf("%d characters are too many for a host name (253)", len(name))
	}
	for label := range strings.SplitSeq(name, ".") {
		if !validLabel(label) {
			return fmt.Errorf("%q is not a host name: labels are 1 to 63 letters, digits and inner hyphens", name)
		}
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return fmt.Errorf("%q is an address, not a host name", name)
	}
	if strings.EqualFold(name, "localhost") || strings.HasPrefix(strings.ToLower(name), "localhost.") {
		return fmt.Errorf("%q is every machine's own name", name)
	}
	return nil
}

func validLabel(l string) bool {
	if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' {
		return false
	}
	return !strings.ContainsFunc(l, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-'
	})
}

// checkInterface takes what the kernel takes (dev_valid_name).
func checkInterface(name string) error {
	if len(name) > 15 || name == "." || name == ".." {
		return fmt.Errorf("%q is not the name of a link", name)
	}
	return checkToken(name, 15, "/:")
}

// checkToken takes printable ASCII without blanks and without the given characters.
func checkToken(v string, limit int, without string) error {
	if v == "" || len(v) > limit {
		return fmt.Errorf("want 1 to %d characters, not %d", limit, len(v))
	}
	for _, r := range v {
		if r <= ' ' || r > '~' || strings.ContainsRune(without, r) {
			return fmt.Errorf("%q may not stand in %q", r, v)
		}
	}
	return nil
}

func checkURL(v string) error {
	u, err := url.Parse(v)
	if err != nil || strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("not a URL") // the cause would repeat a token that may be in it
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return errors.New("it begins with neither http://HOST nor https://HOST")
	}
	return nil
}
