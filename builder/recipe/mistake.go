package recipe

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"goldsmith/firstboot/report"
)

// A Mistake is one thing that is wrong with a recipe, and where.
type Mistake struct {
	File string `json:"file"`
	Line int    `json:"line"` // 1-based; 0 where the file as a whole is meant
	Path string `json:"path"` // such as layers[0].packages[3]
	Text string `json:"text"`
}

func (m Mistake) String() string {
	where := m.File
	if m.Line > 0 {
		where += fmt.Sprintf(":%d", m.Line)
	}
	if m.Path != "" {
		where += ": " + m.Path
	}
	return where + ": " + m.Text
}

// Mistakes is the error of a recipe: all of them, in the order of the file.
type Mistakes []Mistake

func (l Mistakes) Error() string {
	lines := make([]string, len(l))
	for i, m := range l {
		lines[i] = m.String()
	}
	return strings.Join(lines, "\n")
}

// fault makes bad input of the list, or nil when it is empty.
func (l Mistakes) fault() error {
	if len(l) == 0 {
		return nil
	}
	slices.SortStableFunc(l, func(a, b Mistake) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	return report.Faultf(report.Usage, "%w", l)
}

// suggest returns the candidate that word was probably meant to be, or "" when none is near: at most a third of its
// letters differ.
func suggest(word string, candidates []string) string {
	best, limit := "", len(word)/3+1
	for _, c := range candidates {
		if d := distance(strings.ToLower(word), c); d <= limit && d < len(c) {
			best, limit = c, d-1
		}
	}
	return best
}

// distance is the number of letters to insert, delete or replace (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
