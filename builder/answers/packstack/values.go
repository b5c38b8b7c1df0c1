package packstack

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A problem is what is wrong with one value.
type problem struct{ code, text string }

// validate says what packstack, or what it sets up, will not take about value. It follows the validators and processors that
// the parameter names, without their side effects (connecting to port 22 of every host, ping, ssh-keygen), and is stricter
// where packstack lets an empty value pass and then fails on it.
func (p *Parameter) validate(value string) []problem {
	if value == "" {
		return p.validateEmpty()
	}
	var out []problem
	for _, name := range p.Validators {
		if pr, bad := p.rule(name, value); bad {
			out = append(out, pr)
		}
	}
	for _, name := range p.Processors {
		if pr, bad := processed(name, value); bad {
			out = append(out, pr)
		}
	}
	if p.hosts() {
		out = append(out, hostList(value, p.Multi)...)
	}
	if p.Key == "CONFIG_NOVA_LIBVIRT_VIRT_TYPE" && !slices.Contains(p.Options, value) && value != p.Default {
		out = append(out, problem{"bad-option", fmt.Sprintf("%q is not one of %s", value, strings.Join(p.Options, ", "))})
	}
	return out
}

// hosts reports whether the value is one address or name, or several.
func (p *Parameter) hosts() bool {
	return p.Kind == HostIP || slices.Contains(p.Validators, "ssh") || slices.Contains(p.Validators, "multi_ssh") ||
		slices.Contains(p.Validators, "multi_ping")
}

// validateEmpty: not_empty, multi_export and storage_size refuse an empty value. options, port, integer, ssh and ip let it
// pass, and then a service has no host, or neither y nor n holds.
func (p *Parameter) validateEmpty() []problem {
	has := func(names ...string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return slices.Contains(p.Validators, n) })
	}
	switch {
	case p.Secret && has("not_empty"):
		return []problem{{"empty-password", "the password is empty"}}
	case has("not_empty", "multi_export", "storage_size", "neutron"):
		return []problem{{"empty", "the value is empty, and packstack wants one"}}
	case p.Kind == HostIP:
		return []problem{{"empty-host", "the host is empty: packstack lets that pass, and then installs nothing there"}}
	case p.Default != "" && has("options", "multi_options", "port", "integer", "float", "regexp"):
		return []problem{{"empty", "the value is empty: packstack lets that pass, and then fails on it"}}
	}
	return nil
}

// rule is one validator of packstack on a value that is not empty.
func (p *Parameter) rule(name, value string) (problem, bool) {
	switch name {
	case "options", "neutron":
		return p.option(value, name == "neutron")
	case "multi_options":
		for item := range strings.SplitSeq(value, ",") {
			if pr, bad := p.option(strings.TrimSpace(item), false); bad {
				return pr, true
			}
		}
	case "integer":
		_, err := strconv.Atoi(value)
		return problem{"bad-number", fmt.Sprintf("%q is not a whole number", value)}, err != nil
	case "float":
		_, err := strconv.ParseFloat(value, 64)
		return problem{"bad-number", fmt.Sprintf("%q is not a number", value)}, err != nil
	case "port":
		return port(value)
	case "ip":
		_, err := netip.ParseAddr(value)
		return problem{"bad-address", fmt.Sprintf("%q is not an IP address", value)}, err != nil
	case "regexp":
		return p.pattern(value)
	case "storage":
		return problem{"bad-path", "the storage must be a path, as /path/to/device"}, !strings.HasPrefix(value, "/")
	case "storage_size":
		return problem{"bad-size", fmt.Sprintf("%q is not a size as 2G, 500M or 100000K", value)}, !sizePattern.MatchString(value)
	case "multi_export":
		return exports(value)
	case "writeable_directory":
		return problem{"bad-path", "the directory must be an absolute path, or one below ~"}, !strings.HasPrefix(value, "/") && !strings.HasPrefix(value, "~")
	case "ldap_url":
		return problem{"bad-url", "an LDAP URL starts with ldap://, ldaps:// or ldapi://"}, !ldapPattern.MatchString(value)
	case "ldap_dn":
		return problem{"bad-dn", "a distinguished name is made of parts as dc=example"}, !strings.Contains(value, "=")
	}
	return problem{}, false
}

var (
	sizePattern = regexp.MustCompile(`(?i)^\d+[GMK]`)
	ldapPattern = regexp.MustCompile(`^ldap[si]?://`)
	namePattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$`)
)

func (p *Parameter) option(value string, neutron bool) (problem, bool) {
	if neutron && value == "n" {
		return problem{"bad-option", "packstack no longer installs without neutron (nova-network is gone)"}, true
	}
	if slices.Contains(p.Options, value) {
		return problem{}, false
	}
	text := fmt.Sprintf("%q is not one of %s", value, strings.Join(p.Options, ", "))
	i := slices.IndexFunc(p.Options, func(o string) bool { return strings.EqualFold(o, value) })
	if i >= 0 {
		text += fmt.Sprintf(" (case counts: write %s)", p.Options[i])
	}
	return problem{"bad-option", text}, true
}

// port: packstack compares with < 65535, so the last port is not allowed.
func port(value string) (problem, bool) {
	n, err := strconv.Atoi(value)
	switch {
	case err != nil:
		return problem{"bad-port", fmt.Sprintf("%q is not a port number", value)}, true
	case n == 65535:
		return problem{"bad-port", "packstack does not take port 65535, only up to 65534"}, true
	case n < 1 || n > 65535:
		return problem{"bad-port", fmt.Sprintf("port %d is not in 1 to 65534", n)}, true
	}
	return problem{}, false
}

func (p *Parameter) pattern(value string) (problem, bool) {
	for _, o := range p.Options {
		if re, err := regexp.Compile(o); err == nil && re.MatchString(value) {
			return problem{}, false
		}
	}
	return problem{"bad-value", fmt.Sprintf("%q does not match %s", value, strings.Join(p.Options, " or "))}, true
}

// exports: NFS exports as 10.0.0.1:/path, IPv6 in brackets; names are not allowed.
func exports(value string) (problem, bool) {
	for e := range strings.SplitSeq(value, ",") {
		host, path, ok := strings.Cut(e, ":/")
		inner, bracketed := strings.CutPrefix(host, "[")
		addr, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		if !ok || err != nil || path == "" || strings.Contains(path, ":/") || bracketed != addr.Is6() {
			return problem{"bad-export", fmt.Sprintf("%q is not an NFS export as 10.0.0.1:/path or [fd00::1]:/path", e)}, true
		}
	}
	return problem{}, false
}

// processed says where packstack would replace the value by another one.
func processed(name, value string) (problem, bool) {
	switch name {
	case "bool":
		known := []string{"y", "yes", "true", "n", "no", "false"}
		return problem{"bad-option", fmt.Sprintf("%q is neither y nor n", value)}, !slices.Contains(known, strings.ToLower(value))
	case "string_nofloat":
		return problem{"replaced", "the key reads as a number, so packstack replaces it by one of its own"}, floaty(value)
	}
	return problem{}, false
}

// floaty reports whether Python's float() takes the text.
func floaty(value string) bool {
	_, err := strconv.ParseFloat(strings.ReplaceAll(value, "_", ""), 64)
	return err == nil && !strings.ContainsAny(value, "xX")
}

func hostList(value string, multi bool) []problem {
	list := []string{value}
	if multi {
		list = strings.Split(value, ",")
	}
	var out []problem
	for _, h := range list {
		if h = strings.TrimSpace(h); h == "" {
			out = append(out, problem{"bad-host", "the list of hosts has an empty place"})
		} else if !Host(h) {
			out = append(out, problem{"bad-host", fmt.Sprintf("%q is neither an address nor a host name", h)})
		}
	}
	return out
}

// Host reports whether text is an IP address or a host name of RFC 1123. A name of digits and dots is neither.
func Host(text string) bool {
	if _, err := netip.ParseAddr(text); err == nil {
		return true
	}
	if len(text) > 253 || strings.Trim(text, "0123456789.") == "" {
		return false
	}
	for label := range strings.SplitSeq(text, ".") {
		if len(label) > 63 || !namePattern.MatchString(label) {
			return false
		}
	}
	return true
}

// unsafe lists, once each, the characters of a password that do not survive the way to the services: into URLs without
// escaping (@ : / ? # % +), into a single-quoted line of keystonerc_admin, into oslo.config files ($), and into hiera (%).
func unsafe(secret string) string {
	var out []rune
	for _, r := range secret {
		plain := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._~-", r)
		if !plain && !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	return string(out)
}
