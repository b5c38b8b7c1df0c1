// Package authority changes the hosts of a URL and nothing else.
//
// It splits by hand: net/url rejects 12 of the 30 rows of packstack's catalogue ("%(tenant_id)s" is no escape), mangles
// a message bus URL with several hosts, and normalises what it prints. Here every byte that is not a host stays.
//
// Three shapes are known: scheme://[userinfo@]host[:port][,...]rest with any number of hosts (oslo.messaging), and
// tcp:host:port, ssl:host:port as Open vSwitch and OVN write their connections, also in lists with commas. Anything else
// has no hosts.
package authority

import (
	"slices"
	"strings"
)

// A span is where a host stands in a URL: without brackets, userinfo and port.
type span struct{ from, to int }

// Hosts returns the hosts of a URL as they stand there, brackets removed, in order.
func Hosts(url string) []string {
	var out []string
	for _, s := range spans(url) {
		out = append(out, url[s.from:s.to])
	}
	return out
}

// Rewrite replaces every host that old accepts by host, and tells whether any was. An IPv6 address gets its brackets, an
// IPv4 address or a name loses them. Case and form of the old host are for old to judge: it gets the text between the
// brackets.
func Rewrite(url string, old func(host string) bool, host string) (string, bool) {
	var b strings.Builder
	last, changed := 0, false
	for _, s := range spans(url) {
		if !old(url[s.from:s.to]) {
			continue
		}
		from, to := s.from, s.to
		if from > 0 && url[from-1] == '[' {
			from, to = from-1, to+1
		}
		b.WriteString(url[last:from])
		b.WriteString(bracket(host))
		last, changed = to, true
	}
	b.WriteString(url[last:])
	return b.String(), changed
}

// bracket writes a host as it stands in a URL.
func bracket(host string) string {
	if strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
		return "[" + host + "]"
	}
	return host
}

// spans finds the hosts.
func spans(url string) []span {
	if i := strings.Index(url, "://"); i > 0 && schemeName(url[:i]) {
		var out []span
		for _, a := range authorities(url, i+len("://")) {
			if s, ok := host(url, a.from+strings.LastIndexByte(url[a.from:a.to], '@')+1, a.to); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return connections(url)
}

// authorities returns the items of the comma list that begins at from, userinfo and port included. Connection strings of
// databases have one host (SQLAlchemy), and there a comma belongs to the password.
func authorities(url string, from int) []span {
	end := from + authorityEnd(url[from:])
	if oneHost(url[:from]) {
		return []span{{from, end}}
	}
	var out []span
	for at := from; at <= end; {
		to := end
		if i := strings.IndexByte(url[at:end], ','); i >= 0 {
			to = at + i
		}
		out = append(out, span{at, to})
		at = to + 1
	}
	return out
}

func oneHost(scheme string) bool {
	dialect, _, _ := strings.Cut(strings.ToLower(strings.TrimSuffix(scheme, "://")), "+")
	return slices.Contains([]string{"mysql", "mariadb", "postgresql", "postgres", "mssql", "oracle"}, dialect)
}

// authorityEnd returns the length of the authority: up to the first /, ? or # (RFC 3986, 3.2). The template
// {scheme}://{username}... of nova's cell mappings has no host either way.
func authorityEnd(rest string) int {
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		return i
	}
	return len(rest)
}

// schemeName tells a scheme (RFC 3986, 3.1) from text that happens to have "://" in it.
func schemeName(s string) bool {
	for i, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || !(c >= '0' && c <= '9' || c == '+' || c == '-' || c == '.')) {
			return false
		}
	}
	return s != ""
}

// host cuts brackets and port off one authority. An empty host, or one with braces (a template's), is none.
func host(url string, from, to int) (span, bool) {
	text := url[from:to]
	if strings.HasPrefix(text, "[") {
		i := strings.IndexByte(text, ']')
		if i < 2 || len(text) > i+1 && text[i+1] != ':' {
			return span{}, false
		}
		return span{from + 1, from + i}, true
	}
	if i := strings.LastIndexByte(text, ':'); i >= 0 {
		text = text[:i]
	}
	if text == "" || strings.ContainsAny(text, "{}[]: \t") {
		return span{}, false
	}
	return span{from, from + len(text)}, true
}

// connections finds the hosts of tcp:host:port[,tcp:host:port].
func connections(url string) []span {
	var out []span
	for from := 0; from <= len(url); {
		end := len(url)
		if i := strings.IndexByte(url[from:], ','); i >= 0 {
			end = from + i
		}
		item := url[from:end]
		for _, p := range []string{"tcp:", "ssl:"} {
			if rest, ok := strings.CutPrefix(item, p); ok && strings.Contains(rest, ":") {
				if s, ok := host(url, from+len(p), end); ok {
					out = append(out, s)
				}
			}
		}
		from = end + 1
	}
	return out
}

// SetUserinfo replaces user and password before every host of a URL that has userinfo there, percent-encoded, and tells
// whether any was. An empty user keeps the one that stands there.
func SetUserinfo(url, user, password string) (string, bool) {
	i := strings.Index(url, "://")
	if i <= 0 || !schemeName(url[:i]) {
		return url, false
	}
	var b strings.Builder
	last := 0
	for _, a := range authorities(url, i+len("://")) {
		at := strings.LastIndexByte(url[a.from:a.to], '@')
		if at < 0 {
			continue
		}
		name, _, _ := strings.Cut(url[a.from:a.from+at], ":")
		if user != "" {
			name = escape(user)
		}
		b.WriteString(url[last:a.from] + name + ":" + escape(password))
		last = a.from + at
	}
	b.WriteString(url[last:])
	return b.String(), b.String() != url
}

// Userinfo returns user and password of the first authority that has them, percent-decoded.
func Userinfo(url string) (user, password string, ok bool) {
	i := strings.Index(url, "://")
	if i <= 0 || !schemeName(url[:i]) {
		return "", "", false
	}
	a := authorities(url, i+len("://"))[0]
	item := url[a.from:a.to]
	at := strings.LastIndexByte(item, '@')
	if at < 0 {
		return "", "", false
	}
	user, password, ok = strings.Cut(item[:at], ":")
	return unescape(user), unescape(password), ok
}

const hex = "0123456789ABCDEF"

// escape leaves unreserved characters (RFC 3986, 2.3) and encodes the rest.
func escape(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
		} else {
			b.WriteString(string([]byte{'%', hex[c>>4], hex[c&15]}))
		}
	}
	return b.String()
}

// unescape decodes what is a valid escape and leaves the rest as it is.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			hi := strings.IndexByte(hex, upper(s[i+1]))
			lo := strings.IndexByte(hex, upper(s[i+2]))
			if hi >= 0 && lo >= 0 {
				b.WriteByte(byte(hi<<4 | lo))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func upper(c byte) byte {
	if c >= 'a' && c <= 'f' {
		return c - 'a' + 'A'
	}
	return c
}
