package audit

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestClaimsCoverWhatIsBelow(t *testing.T) {
	l := Claims{{"/etc/nova/*.conf", "nova"}, {"var/lib/mysql/nova", "tables"}, {`/a\*b`, "literal"}}
	for name, want := range map[string]string{
		"/etc/nova/nova.conf": "nova", "/etc/nova": "", "/etc/nova/sub/x.conf": "", "/etc/nova/x.conf/y": "nova",
		"/var/lib/mysql/nova/instances.ibd": "tables", "/var/lib/mysql/novas": "", "/a*b": "literal", "/axb": "", "/": "",
	} {
		if got := l.Owner(name); got != want {
			t.Errorf("%s belongs to %q, want %q", name, got, want)
		}
	}
}

// TestAcceptedOnlyWhereNobodyOwns shows which acceptance is of use.
func TestAcceptedOnlyWhereNobodyOwns(t *testing.T) {
	root := treeOf(t, map[string][]byte{
		"etc/hosts": []byte("golden"), "usr/share/doc/a": []byte("golden"), "usr/share/doc/b": []byte("golden"), "opt/x": []byte("golden"),
	})
	got, err := Tree(t.Context(), root, Options{
		Needles: []Needle{{Name, "golden"}},
		Owner:   Claims{{"/etc/hosts", "hosts"}}.ofHit,
		Accept:  []Acceptance{{"/etc/hosts", "owned anyway"}, {"/usr/share/doc", "prose"}, {"/gone", "was there once"}},
	})
	check(t, err)
	owners := map[string]string{}
	for _, h := range got.Hits {
		owners[h.Path] = h.Owner
	}
	want := map[string]string{"/etc/hosts": "hosts", "/usr/share/doc/a": "accepted: prose", "/usr/share/doc/b": "accepted: prose", "/opt/x": ""}
	if diff := cmp.Diff(want, owners); diff != "" {
		t.Errorf("owners (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]Acceptance{{"/etc/hosts", "owned anyway"}, {"/gone", "was there once"}}, got.Unused); diff != "" {
		t.Errorf("unused (-want +got):\n%s", diff)
	}
}

func (l Claims) ofHit(h Hit) string { return l.Owner(h.Path) }

func TestNamesPlainly(t *testing.T) {
	for text, want := range map[string]bool{
		"host = golden": true, "host = goldenx": false, "GOLDEN.example": true, "10.0.0.1/24": true, "10.0.0.10": false, "": false,
		"52:54:00:ab:cd:01": true,
	} {
		if got := Names(golden(), []byte(text)); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
