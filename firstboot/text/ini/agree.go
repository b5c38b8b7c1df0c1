package ini

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	ini "gopkg.in/ini.v1"

	"goldsmith/firstboot/text/edit"
)

// errSecondReader is what a Set returns when ini.v1 does not see the change that our own reader saw.
var errSecondReader = errors.New("gopkg.in/ini.v1 reads the result differently")

// ini.v1 looks for each option of a section among all those before it: beyond this number it would cost more than the edit.
const mostOptions = 2000

// agree is the second proof of an edit: gopkg.in/ini.v1 reads the file before and after, and must see that the one option
// has its new value and all others have their old ones.
//
// ini.v1 cannot always be the judge, because its dialect differs from oslo.config's: it ends values at a backtick, gives
// meaning to """ and to quoted option names, and takes "-" for a counter. So it is asked only where it read the file before the edit exactly as our own reader did, and where it can read
// the new assignment standing alone. Where it cannot, the comparison of our own reader's two readings, which package edit
// has made before this, stands alone.
func agree(e edit.Edit) error {
	if len(e.Was) > mostOptions {
		return nil
	}
	before, ok := reading(e.Before)
	if !ok || !maps.EqualFunc(before, ours(e.Was), slices.Equal) {
		return nil
	}
	want := ours(e.Is)
	if !alone(e.ID, want[e.ID]) {
		return nil
	}
	after, ok := reading(e.After)
	if !ok {
		return errSecondReader
	}
	if !maps.EqualFunc(after, want, slices.Equal) {
		return fmt.Errorf("%w near %s", errSecondReader, e.ID)
	}
	return nil
}

// alone says whether ini.v1 reads these assignments as we do when nothing else is in the file.
func alone(id string, values []string) bool {
	section, option, err := split(id)
	if err != nil {
		return false
	}
	var b strings.Builder
	b.WriteString("[" + section + "]\n")
	for _, v := range values {
		b.WriteString(strings.Join(assignment(nil, nil, 0, option, v), "\n") + "\n")
	}
	got, ok := reading([]byte(b.String() + "[goldsmith]\nend = 1\n"))
	return ok && slices.Equal(got[id], values) && slices.Equal(got["[goldsmith] end"], []string{"1"})
}

// ours returns all values by the id of their option.
func ours(items []edit.Item) map[string][]string {
	all := make(map[string][]string, len(items))
	for _, it := range items {
		all[it.ID] = full(append(all[it.ID], it.Value))
	}
	return all
}

// reading returns all values by id as ini.v1 reads them. Its options are those that come nearest to oslo.config; quotes
// and the blanks of continuation lines are removed here, since it leaves both.
func reading(data []byte) (map[string][]string, bool) {
	f, err := ini.LoadSources(ini.LoadOptions{
		InsensitiveSections:        true,
		IgnoreContinuation:         true,
		IgnoreInlineComment:        true,
		AllowShadows:               true,
		AllowDuplicateShadowValues: true,
		AllowPythonMultilineValues: true,
		PreserveSurroundedQuote:    true,
		ReaderBufferSize:           len(data) + 1, // a continuation is looked for no further than this
	}, withoutComments(data))
	if err != nil {
		return nil, false
	}
	all := make(map[string][]string)
	for _, s := range f.Sections() {
		for _, k := range s.Keys() {
			id := join(s.Name(), k.Name())
			all[id] = nil
			for _, v := range k.ValueWithShadows() {
				all[id] = append(all[id], plain(v))
			}
			all[id] = full(all[id])
		}
	}
	return all, true
}

// withoutComments empties the lines that begin with "#" or ";". They mean nothing to either reader, and are 9 of 10 lines
// of a nova.conf: ini.v1 would collect them all, which takes longer than the rest of an edit.
func withoutComments(data []byte) []byte {
	out := make([]byte, 0, len(data))
	for l := range edit.Lines(data) {
		if len(l.Text) == 0 || l.Text[0] != '#' && l.Text[0] != ';' {
			out = append(out, l.Text...)
		}
		out = append(out, l.End...)
	}
	return out
}

// full drops empty values: ini.v1 does not say where between the others one stands.
func full(values []string) []string {
	return slices.DeleteFunc(values, func(v string) bool { return v == "" })
}

// plain turns a value of ini.v1 into what oslo.config makes of the same lines.
func plain(v string) string {
	lines := strings.Split(strings.TrimRight(v, " \t\r\n"), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimSpace(l)
	}
	lines[0] = unquote(lines[0])
	return strings.Join(lines, "\n")
}
