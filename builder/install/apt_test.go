package install

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestStatus reads what apt writes to its status descriptor, between other lines.
func TestStatus(t *testing.T) {
	var got []string
	s := status{wait: func(what string, done, total int64) { got = append(got, fmt.Sprintf("%s %d/%d", what, done, total)) }}
	for _, line := range []string{
		"Reading package lists...",
		"dlstatus:3:12.5000:Retrieving file 3 of 300 (1min 2s remaining)",
		"pmstatus:libc6:59.1362:Installing: a name: with colons",
		"pmstatus:dpkg-exec:abc:Running dpkg",
		"pmerror:erlang-base:59.4684:installed post-installation script failed",
		"dlstatus:", "",
	} {
		s.line(line)
	}
	want := []string{"Retrieving file 3 of 300 (1min 2s remaining) 1250/10000", "Installing: a name: with colons 5913/10000"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
