package vm

import (
	"io"
	"os"
	"regexp"
	"strings"
)

// readFrom returns what a file holds from offset on, 1 MiB at most, and where that ends.
func readFrom(name string, offset int64) (string, int64) {
	f, err := os.Open(name)
	if err != nil {
		return "", offset
	}
	defer f.Close()
	b, err := io.ReadAll(io.NewSectionReader(f, offset, 1<<20))
	if err != nil {
		return "", offset
	}
	return string(b), offset + int64(len(b))
}

// escapes are colours and movements of the cursor.
var escapes = regexp.MustCompile("\x1b\\[[0-9;?]*[A-Za-z]|\x1b[c()][0B]?")

// lastLines returns the last n lines of a console that say something, without colours and control characters.
func lastLines(name string, n int) string {
	st, err := os.Stat(name)
	if err != nil {
		return ""
	}
	text, _ := readFrom(name, max(0, st.Size()-64<<10))
	var lines []string
	for line := range strings.SplitSeq(strings.ReplaceAll(text, "\r", "\n"), "\n") {
		if line = clean(line); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// clean takes out what a terminal would obey.
func clean(line string) string {
	line = escapes.ReplaceAllString(line, "")
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f || r == '\ufffd' {
			return -1
		}
		return r
	}, line))
}

// indent sets a text off from the message that it stands in.
func indent(text string) string {
	if text == "" {
		return "  (nothing)"
	}
	return "  " + strings.ReplaceAll(text, "\n", "\n  ")
}
