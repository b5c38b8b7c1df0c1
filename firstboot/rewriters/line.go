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

// eachLine proposes a file with its lines edited one by one. A file that is not there is nothing to do.
func (s *Scene) eachLine(path, why string, edit func(string) string) error {
	return s.editLines(path, why, false, edit)
}

// editLines is eachLine for files that may hold secrets.
func (s *Scene) editLines(path, why string, secret bool, edit func(string) string) error {
	data, err := s.Host.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	lines := strings.Split(string(data), "\n")
	for i, l := range lines {
		lines[i] = edit(l)
	}
	return s.file(path, []byte(strings.Join(lines, "\n")), plan.Meta{}, why, secret)
}

// dropLines proposes a file without some of its lines.
func (s *Scene) dropLines(path, why string, drop func(string) bool) error {
	data, err := s.Host.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var out strings.Builder
	for line := range strings.Lines(string(data)) {
		if !drop(line) {
			out.WriteString(line)
		}
	}
	return s.File(path, []byte(out.String()), plan.Meta{}, why)
}
