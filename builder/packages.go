package builder

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"goldsmith/builder/tree"
)

// A Package is one installed package.
type Package struct {
	Name         string `json:"name"`
	Version      string `json:"version"`
	Architecture string `json:"architecture"`
}

// installedPackages reads dpkg's database. A tree without one has no packages that we know how to list.
func installedPackages(root *tree.FS) ([]Package, error) {
	data, err := root.ReadFile("var/lib/dpkg/status")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot list packages: %w", err)
	}
	return parseStatus(data)
}

// parseStatus reads the paragraphs of /var/lib/dpkg/status (deb822(5)) and returns the installed ones, in its order.
func parseStatus(data []byte) ([]Package, error) {
	var out []Package
	p, installed := Package{}, false
	flush := func() {
		if installed && p.Name != "" {
			out = append(out, p)
		}
		p, installed = Package{}, false
	}
	sc := bufio.NewScanner(bytes.NewReader(data))
	sc.Buffer(nil, 16<<20) // a line of conffiles or a description can be long
	for sc.Scan() {
		line := sc.Text()
		if line == "" {
			flush()
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok || strings.HasPrefix(line, " ") {
			continue
		}
		value = strings.TrimSpace(value)
		switch key {
		case "Package":
			p.Name = value
		case "Version":
			p.Version = value
		case "Architecture":
			p.Architecture = value
		case "Status":
			installed = strings.HasSuffix(value, " installed")
		}
	}
	flush()
	return out, sc.Err()
}
