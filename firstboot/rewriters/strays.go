package rewriters

import (
	"io/fs"
	"path"
	"strings"

	"goldsmith/firstboot/host"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/text"
	"goldsmith/firstboot/text/authority"
)

// keepStrays keeps the password of every account whose old password also stands where nothing follows: a script, a file of a
// service that is not known here. That place would be locked out.
func (s *Scene) keepStrays(found map[string]*account) error {
	byPassword := map[string][]*account{}
	for _, a := range found {
		if a.changes && a.old != "" {
			byPassword[a.old] = append(byPassword[a.old], a)
		}
	}
	if len(byPassword) == 0 {
		return nil
	}
	swept := map[string]text.Codec{}
	if err := s.sweptFiles(func(sw Sweep, file string) error { swept[file] = sw.Codec; return nil }); err != nil {
		return err
	}
	eyes := s.Host
	if r, ok := eyes.(interface{ Unrecorded() host.Reader }); ok {
		eyes = r.Unrecorded() // that a file was searched is no reason to plan again when it changes
	}
	for _, dir := range []string{"/etc", "/root"} {
		walkFiles(eyes, dir, 0, func(file string, data []byte) {
			for password, list := range byPassword {
				if strings.Contains(string(data), password) || strings.Contains(string(data), escaped(password)) {
					keepStray(file, data, password, list, swept[file])
				}
			}
		})
	}
	return nil
}

func escaped(password string) string {
	u, _ := authority.SetUserinfo("x://u@h", "", password)
	return strings.TrimSuffix(strings.TrimPrefix(u, "x://u:"), "@h")
}

func keepStray(file string, data []byte, password string, list []*account, codec text.Codec) {
	key, stray := strayIn(file, data, password, codec)
	if !stray || isCopy(file) {
		return
	}
	for _, a := range list {
		a.changes, a.prepared, a.whyKept = false, nil, strings.TrimSpace("it also stands in "+file+" "+key)
	}
}

// strayIn looks for a password outside of comments and outside of the credentials that follow.
func strayIn(file string, data []byte, password string, codec text.Codec) (key string, found bool) {
	if codec.List == nil {
		for line := range strings.SplitSeq(string(data), "\n") {
			if t := strings.TrimSpace(line); t != "" && t[0] != '#' && t[0] != ';' && hasWord(line, password) {
				return "", true
			}
		}
		return "", false
	}
	entries, err := codec.List(data)
	if err != nil {
		return "", true
	}
	known := credentials(file, entries)
	for _, e := range entries {
		if c, ok := known[e.Key]; (!ok || c.password != password) && hasWord(e.Value, password) {
			return e.Key, true
		}
	}
	return "", false
}

// hasWord finds a password, as it is or as URLs spell it, where no letter or digit touches it.
func hasWord(in, password string) bool {
	for _, p := range []string{password, escaped(password)} {
		for from := 0; ; {
			i := strings.Index(in[from:], p)
			if i < 0 {
				break
			}
			at := from + i
			if !alnum(in, at-1) && !alnum(in, at+len(p)) {
				return true
			}
			from = at + 1
		}
	}
	return false
}

func alnum(s string, i int) bool {
	return i >= 0 && i < len(s) && (s[i]|0x20 >= 'a' && s[i]|0x20 <= 'z' || s[i] >= '0' && s[i] <= '9')
}

// maxDepth and maxSize bound a search; configuration is neither deeper nor larger.
const (
	maxDepth = 8
	maxSize  = 8 << 20
)

// walkFiles visits the regular files below dir, hidden ones too, not through links.
func walkFiles(h host.Reader, dir string, depth int, visit func(string, []byte)) {
	for _, pattern := range []string{"/*", "/.*"} {
		names, err := h.Glob(dir + pattern)
		if err != nil || depth > maxDepth {
			return
		}
		for _, name := range names {
			info, err := h.Lstat(name)
			switch {
			case err != nil || name == path.Dir(identity.ImprintFile):
			case info.IsDir():
				walkFiles(h, name, depth+1, visit)
			case info.Mode()&fs.ModeType == 0 && info.Size() < maxSize:
				if data, err := h.ReadFile(name); err == nil {
					visit(name, data)
				}
			}
		}
	}
}
