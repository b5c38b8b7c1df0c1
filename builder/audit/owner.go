package audit

import (
	"path"
	"strings"
)

// A Claim says whose the places of some files are.
type Claim struct {
	Pattern string // of path.Match; what is below a match belongs to it
	Owner   string
}

// Claims are asked in their order.
type Claims []Claim

// Owner returns who owns a path, "" if nobody does.
func (l Claims) Owner(name string) string {
	for _, c := range l {
		if covers(c.Pattern, name) {
			return c.Owner
		}
	}
	return ""
}

// covers reports whether a pattern matches a path, or a directory above it.
func covers(pattern, name string) bool {
	pattern = "/" + strings.TrimPrefix(pattern, "/")
	for p := name; p != "/" && p != "."; p = path.Dir(p) {
		if ok, err := path.Match(pattern, p); ok && err == nil {
			return true
		}
	}
	return false
}

// An Acceptance lets places be that nobody owns.
type Acceptance struct {
	Path string `json:"path"` // a pattern, as in a Claim
	Why  string `json:"why,omitempty"`
}

// accept gives a hit that nobody owns to the first acceptance that covers it, and notes that it was of use.
func (a *auditor) accept(h *Hit) {
	if h.Owner != "" {
		return
	}
	for i, x := range a.Accept {
		if covers(x.Path, h.Path) {
			h.Owner = strings.TrimSuffix("accepted: "+x.Why, ": ")
			a.used[i] = true
			return
		}
	}
}

// unused lists the acceptances that no place needed.
func (a *auditor) unused() []Acceptance {
	var list []Acceptance
	for i, x := range a.Accept {
		if !a.used[i] {
			list = append(list, x)
		}
	}
	return list
}

// Names reports whether a text names one of the needles, plainly.
func Names(needles []Needle, text []byte) bool {
	for _, n := range needles {
		for _, p := range n.forms() {
			if p.encoding == "plain" && p.in(text) {
				return true
			}
		}
	}
	return false
}

func (p *pattern) in(text []byte) bool {
	for at := range text {
		if p.matches(text, at) {
			return true
		}
	}
	return false
}
