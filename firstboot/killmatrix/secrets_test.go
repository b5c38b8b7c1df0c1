//go:build integration

package killmatrix

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"goldsmith/firstboot/host/hosttest"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/rewriters/rewritertest"
)

// TestNoSecretIsTold runs every verb of the binary on every fixture, also where a run is cut, refused or stopped, and searches
// all that it says, and all that it leaves below /var/log, /run and its own directory, for the golden machine's secrets and
// the clone's. The clone's stand in one file of mode 0600, for its administrator; the seed that they are made from stands
// in firstboot's state.
func TestNoSecretIsTold(t *testing.T) {
	bin := build(t)
	for _, f := range rewritertest.All(t, fixtures) {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			l := &lab{f: f, bin: bin, dir: hosttest.Dir(t)}
			if f.MariaDB() {
				l.sock, l.db = hosttest.MariaDB(t)
			}
			if f.Postgres() {
				l.pg = hosttest.Postgres(t)
			}
			l.fresh(t, nil)
			secrets := l.secrets(t)
			golden := len(secrets)
			said := l.wholeLife(t, secrets)
			l.brokenLives(t, said, secrets)
			for _, what := range slices.Sorted(maps.Keys(said)) {
				for _, line := range strings.Split(said[what], "\n") {
					for secret, of := range secrets {
						if strings.Contains(line, secret) {
							t.Errorf("%s tells the secret of %s: %.200s", what, of, strings.ReplaceAll(line, secret, "<SECRET>"))
						}
					}
				}
			}
			t.Logf("%d secrets of the golden machine, %d of clones, %d outputs and files", golden, len(secrets)-golden, len(said))
		})
	}
}

// wholeLife plans, applies and looks, as a person and as the units, for two identities. It returns what was said, and adds
// the clones' secrets to those that it was given.
func (l *lab) wholeLife(t *testing.T, secrets map[string]string) map[string]string {
	t.Helper()
	said := map[string]string{}
	for i, to := range l.f.Scene.To[:2] {
		for _, args := range []string{"plan", "plan --json", "diff", "apply --boot", "apply", "apply --json", "verify", "verify --json", "status",
			"status --json", "list --places"} {
			said[fmt.Sprintf("%d %s", i, args)] = l.say(t, to, strings.Fields(args))
		}
		if len(said[fmt.Sprintf("%d diff", i)]) == 0 {
			t.Error("diff says nothing")
		}
		maps.Copy(secrets, l.secrets(t))
		l.left(t, said, fmt.Sprintf("%d ", i))
		l.reboot(t)
	}
	return said
}

// brokenLives cuts a run in the middle, and stops others: with a place that somebody else changes, a server that is gone,
// a unit that does not restart.
func (l *lab) brokenLives(t *testing.T, said, secrets map[string]string) {
	t.Helper()
	to := l.f.Scene.To[0]
	for _, n := range []int{10, 40} {
		l.fresh(t, nil)
		if l.try(t, to, n) {
			continue
		}
		said[fmt.Sprintf("diff after cut %d", n)] = l.say(t, to, []string{"diff"})
		l.left(t, said, fmt.Sprintf("cut %d ", n))
		said[fmt.Sprintf("apply after cut %d", n)] = l.say(t, to, []string{"apply"})
		maps.Copy(secrets, l.secrets(t))
	}
	l.fresh(t, nil)
	said["a unit fails"] = l.say(t, to, []string{"apply"}, "GOLDSMITH_UNITS=/nonexistent/ledger")
	said["status after it"] = l.say(t, to, []string{"status"})
	maps.Copy(secrets, l.secrets(t))
	l.left(t, said, "unit ")
	if l.sock != "" {
		l.fresh(t, nil)
		sock := l.sock
		l.sock = "/nonexistent/s"
		said["no server"] = l.say(t, to, []string{"apply", "--json"})
		l.sock = sock
		l.left(t, said, "server ")
	}
	l.fresh(t, nil)
	broken := l.breakFiles(t)
	said["broken files"] = l.say(t, to, []string{"apply"})
	if broken > 0 && !strings.Contains(said["broken files"], "cannot") {
		t.Errorf("broken files are no fault:\n%.500s", said["broken files"])
	}
	l.left(t, said, "broken ")
}

// breakFiles puts, into every file with a password, a line that no parser takes, in the middle of the password. It returns
// in how many.
func (l *lab) breakFiles(t *testing.T) int {
	t.Helper()
	broken := 0
	for name := range l.f.Files {
		if !strings.HasPrefix(name, "/etc/") {
			continue
		}
		file := filepath.Join(l.root(), name)
		data, err := os.ReadFile(file)
		if err != nil || !secretLine.Match(data) {
			continue
		}
		check(t, os.WriteFile(file, secretLine.ReplaceAll(data, []byte("$0\n'$1${4}$5\n[{\"")), 0o600))
		broken++
	}
	return broken
}

// say runs the binary and returns all that it says, whatever the end.
func (l *lab) say(t *testing.T, to identity.Identity, args []string, env ...string) string {
	t.Helper()
	cmd := l.command(t, to, args[0], env...)
	cmd.Args = append(cmd.Args, args[1:]...)
	out, _ := cmd.CombinedOutput()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() < 0 || bytes.Contains(out, []byte("Incorrect Usage")) {
		t.Fatalf("firstboot %v did not run:\n%s", args, out)
	}
	return string(out)
}

// left adds the files in which a log or a report might be, and looks at their modes.
func (l *lab) left(t *testing.T, said map[string]string, when string) {
	t.Helper()
	for _, dir := range []string{"/var/log", "/run", identity.StateDir} {
		err := filepath.WalkDir(filepath.Join(l.root(), dir), func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			name := strings.TrimPrefix(p, l.root())
			info, err := d.Info()
			if err != nil {
				return err
			}
			if dir == identity.StateDir && info.Mode().Perm() != 0o600 {
				t.Errorf("%s has mode %v", name, info.Mode())
			}
			if name == identity.SecretsFile || l.f.Files[name] != "" {
				return nil // what it is for; what was in the image
			}
			data, err := os.ReadFile(p)
			said[when+name] = string(data)
			return err
		})
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
}

// Places that hold a secret, found by how they look: this search knows nothing of rewriters.
var (
	secretLine = regexp.MustCompile(`(?im)^[ \t"'a-z]*[a-z_."' \[\]]*(?:password|passwd|secret|secret_key|metadata_proxy_shared_secret|cookie|_pw|os_password)["'\]]*\s*[:=]\s*("([^"\n]+)"|'([^'\n]+)'|([^\s"'#;,]+))()`)
	inRow      = regexp.MustCompile(`(?m)(?:authentication_string|password_hash|password|passwd)=(\S+)`)
	inURL      = regexp.MustCompile(`://[^:/@\s]+:([^@/\s]+)@`)
	keyBody    = regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----\n(.*?)-----END`)
)

// secrets returns what stands in places of secrets, and where.
func (l *lab) secrets(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	add := func(secret, where string) {
		secret = strings.Trim(secret, `"'`)
		if len(secret) >= 8 && !strings.HasPrefix(secret, "/") && !strings.Contains(secret, "PLACEHOLDER") {
			out[secret] = where
		}
	}
	for name, data := range l.snapshot(t) {
		switch {
		case name == identity.SecretsFile:
			told := map[string]string{}
			_, body, _ := strings.Cut(data, "\n")
			check(t, json.Unmarshal([]byte(body), &told))
			for of, secret := range told {
				add(secret, "the clone's "+of)
			}
		case strings.HasSuffix(name, ".erlang.cookie"), strings.Contains(name, "-keys/"):
			_, body, _ := strings.Cut(data, "\n")
			add(strings.TrimSpace(body), name)
		case strings.HasSuffix(name, "_auth"): // OpenNebula's, user:password
			_, password, _ := strings.Cut(strings.TrimSpace(data), ":")
			add(password[strings.LastIndex(password, ":")+1:], name)
		case strings.HasPrefix(name, "db "):
			for _, m := range inRow.FindAllStringSubmatch(data, -1) {
				add(m[1], name)
			}
		}
		for _, m := range append(secretLine.FindAllStringSubmatch(data, -1), inURL.FindAllStringSubmatch(data, -1)...) {
			add(m[1], name)
		}
		for _, m := range keyBody.FindAllStringSubmatch(data, -1) {
			for _, line := range strings.Split(strings.TrimSpace(m[1]), "\n") {
				if len(line) > 40 {
					add(line, name)
				}
			}
		}
	}
	return out
}
