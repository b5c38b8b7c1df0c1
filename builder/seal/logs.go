package seal

import (
	"errors"
	"io/fs"
	"path"
	"regexp"
)

// rotated is how logrotate and others name what they have put aside.
var rotated = regexp.MustCompile(`\.(gz|xz|zst|bz2|old|[0-9]+)$|-[0-9]{8}$`)

// logs empties every log below /var/log, whoever writes it: a list of names would miss the next service. Folders and files
// stay, with their owners: many services cannot make them anew.
var logs = Operation{
	Name:  "logs",
	Short: "contents of all logs; rotated ones are removed",
	Do: func(s *Scene) error {
		err := fs.WalkDir(s.Tree, "var/log", func(p string, e fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case e.IsDir() && p == "var/log/journal":
				return fs.SkipDir // has an operation of its own
			case !e.Type().IsRegular():
				return nil
			case rotated.MatchString(path.Base(p)):
				return s.Remove(Escape(p))
			}
			return s.Empty(Escape(p))
		})
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	},
}

// Escape makes a pattern that matches just this path.
func Escape(p string) string {
	return special.ReplaceAllString(p, `\$0`)
}

var special = regexp.MustCompile(`[\\*?\[]`)
