package seal

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goldsmith/firstboot/report"
)

const key1, key2 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA== one", `from="10.0.0.0/8" ssh-rsa AAAAB3NzaC1yc2EAAAADAQAB two`

func TestAccess(t *testing.T) {
	password := func(hash string, expire bool) Operation {
		op, err := RootPassword(hash, expire)
		if err != nil {
			t.Fatal(err)
		}
		return op
	}
	keys := func(lines string) Operation {
		op, err := AuthorizedKeys([]byte(lines))
		if err != nil {
			t.Fatal(err)
		}
		return op
	}
	const shadow = "daemon:*:19000:0:99999:7:::\nroot:$y$old:19000:0:99999:7:::\nrooty:!:19000::::::\n"
	for name, c := range map[string]struct {
		op            Operation
		before, after map[string]string
	}{
		"password": {password("$6$salt$hash/.", false), map[string]string{"etc/shadow": shadow},
			map[string]string{"etc/shadow": strings.Replace(shadow, "$y$old:19000", "$6$salt$hash/.:1", 1)}},
		"password to be changed": {password("$y$j9T$salt$hash", true), map[string]string{"etc/shadow": shadow},
			map[string]string{"etc/shadow": strings.Replace(shadow, "$y$old:19000", "$y$j9T$salt$hash:0", 1)}},
		"first key":   {keys("# mine\n\n" + key1 + "\n"), map[string]string{"root/": ""}, map[string]string{"root/.ssh/authorized_keys": key1 + "\n"}},
		"another key": {keys(key1 + "\n" + key2), map[string]string{"root/.ssh/authorized_keys": key1}, map[string]string{"root/.ssh/authorized_keys": key1 + "\n" + key2 + "\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			root, dir := plant(t, c.before)
			if _, err := Run(root, c.op, true); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.before, snapshot(t, dir)); diff != "" {
				t.Fatalf("a dry run changed something:\n%s", diff)
			}
			for range 2 {
				r, err := Run(root, c.op, false)
				if err != nil {
					t.Fatal(err)
				}
				if strings.Contains(strings.Join(r.Paths, ""), "hash") {
					t.Errorf("the result tells the secret: %v", r.Paths)
				}
			}
			if diff := cmp.Diff(c.after, snapshot(t, dir)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestAccessRefuses(t *testing.T) {
	for _, hash := range []string{"", "secret", "$6$", "$6$salt$ha:sh", "$6$salt$ha\nsh", "*", "!"} {
		if _, err := RootPassword(hash, false); report.CodeOf(err) != report.Usage || hash != "" && strings.Contains(err.Error(), hash) {
			t.Errorf("%q: %v", hash, err)
		}
	}
	for _, keys := range []string{"", "# none\n", "-----BEGIN OPENSSH PRIVATE KEY-----\n", key1 + "\nssh-ed25519\n"} {
		if _, err := AuthorizedKeys([]byte(keys)); report.CodeOf(err) != report.Usage {
			t.Errorf("%q: %v", keys, err)
		}
	}
	root, _ := plant(t, map[string]string{"etc/shadow": "daemon:*:1::::::\n"})
	op, err := RootPassword("$6$salt$hash", false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Run(root, op, false); err == nil || !strings.Contains(err.Error(), "no line for root") {
		t.Errorf("got %v", err)
	}
}
