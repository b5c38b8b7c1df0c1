package builder

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"goldsmith/builder/audit"
	"goldsmith/builder/recipe"
	"goldsmith/builder/tree"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/report"
)

// stagedJob is a bake that has come as far as its golden tree.
func stagedJob(t *testing.T, accept []recipe.Accept, files map[string]string) (*Job, *[]Event) {
	t.Helper()
	var told []Event
	j := &Job{
		Home: Home{Dir: t.TempDir()}, Name: "x", Recipe: &recipe.Recipe{Name: "x", Audit: recipe.Audit{Accept: accept}}, manifest: &Manifest{Format: manifestFormat},
		Tell: func(e Event) { told = append(told, e) },
		Owners: func(_ context.Context, _ *tree.FS, imp identity.Imprint) (func(audit.Hit) string, error) {
			return func(h audit.Hit) string {
				return audit.Claims{{Pattern: "/etc/hosts", Owner: "rewriter hosts"}}.Owner(h.Path)
			}, nil
		},
	}
	for name, data := range files {
		full := filepath.Join(j.Home.staging(j.Name), RootDir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return j, &told
}

func TestUnownedPlaceFailsTheBake(t *testing.T) {
	marker := identity.Marker()
	files := map[string]string{
		"etc/hosts":    marker.Address.String() + " " + marker.Hostname + "\n",
		"opt/app.conf": "listen=" + marker.Address.String() + "\n",
		"opt/clean":    "listen=" + marker.Address.String() + "0\n",
	}
	j, _ := stagedJob(t, nil, files)
	err := auditTree(t.Context(), j)
	if report.CodeOf(err) != report.Unverified || !strings.Contains(err.Error(), "1 places") || !strings.Contains(err.Error(), "/opt/app.conf:1 (address 198.51.100.77, plain)") {
		t.Errorf("got %v, code %d", err, report.CodeOf(err))
	}
	m, err := readManifest(j.Home.staging("x"))
	if err != nil || len(m.Audit.Hits) != 3 {
		t.Errorf("the manifest has %+v, %v", m, err)
	}
	if _, err := os.Stat(j.Home.Image("x")); err == nil {
		t.Error("it was published")
	}
}

func TestAcceptedPlacesAndWhatNothingNeeds(t *testing.T) {
	files := map[string]string{"opt/app.conf": identity.Marker().Hostname}
	j, told := stagedJob(t, []recipe.Accept{{Path: "/opt/*.conf", Why: "a demo"}, {Path: "/srv", Why: "was there"}}, files)
	if err := auditTree(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	if h := j.manifest.Audit.Hits; len(h) != 1 || h[0].Owner != "accepted: a demo" {
		t.Errorf("hits %+v", h)
	}
	var notes []string
	for _, e := range *told {
		if e.Kind == Note {
			notes = append(notes, e.Text)
		}
	}
	if len(notes) != 1 || !strings.Contains(notes[0], "/srv") {
		t.Errorf("notes %q", notes)
	}
}

func TestNobodyOwnsWithoutOwners(t *testing.T) {
	j, _ := stagedJob(t, nil, map[string]string{"etc/hosts": identity.Marker().Hostname})
	j.Owners = nil
	if err := auditTree(t.Context(), j); report.CodeOf(err) != report.Unverified {
		t.Errorf("got %v", err)
	}
}
