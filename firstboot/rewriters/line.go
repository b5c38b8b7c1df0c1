package rewriters

import (
	"errors"
	"io/fs"
	"strings"

	"goldsmith/firstboot/plan"
)

// line follows a file that holds one value and nothing else. A missing file is nothing to do.
func (s *Scene) line(path string, rule Rule) error {
	data, err := s.Host.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	was := strings.TrimSpace(string(data))
	want, err := rule(s, was)
	if err != nil || want == was {
		return err
	}
	return s.File(path, []byte(strings.Replace(string(data), was, want, 1)), plan.Meta{}, "holds the identity and nothing else")
}
