package builder

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// status has what dpkg writes: folded fields, a removed package, one that is only half there, an empty last line or none.
const status = `Package: adduser
Status: install ok installed
Version: 3.134
Architecture: all
Description: add and remove users
 Version: not this one
 .
 Package: nor this

Package: gone
Status: deinstall ok config-files
Version: 1
Architecture: amd64

Package: half
Status: install ok unpacked
Version: 1
Architecture: amd64

Package: libc6
Architecture: amd64
Status: install ok installed
Conffiles:
 /etc/ld.so.conf.d/x86_64-linux-gnu.conf d4e7a7b88a71b5ffd9e2644e71a0cfab
Version: 2.36-9+deb12u10`

func TestParseStatus(t *testing.T) {
	got, err := parseStatus([]byte(status))
	if err != nil {
		t.Fatal(err)
	}
	want := []Package{{"adduser", "3.134", "all"}, {"libc6", "2.36-9+deb12u10", "amd64"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func FuzzParseStatus(f *testing.F) {
	f.Add([]byte(status))
	f.Add([]byte("Package:\n\n\n:\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, _ := parseStatus(data)
		for _, p := range list {
			if p.Name == "" {
				t.Errorf("a package without a name in %q", data)
			}
		}
	})
}

// TestCheckName refuses what would be more than a name.
func TestCheckName(t *testing.T) {
	for _, good := range []string{"a", "openstack-debian", "d12.5"} {
		if err := CheckName(good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", ".", "..", "a/b", "-x", "A", "a b", "ä", "../../etc"} {
		if CheckName(bad) == nil {
			t.Errorf("%q is taken for a name", bad)
		}
	}
}
