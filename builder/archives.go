package builder

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"goldsmith/builder/install"
	"goldsmith/builder/recipe"
	"goldsmith/builder/tree"
	"goldsmith/firstboot/report"
)

// archivesPhase adds the recipe's archives. Where packages make the system they are needed before the first of them; in a disk
// image the recipe's steps use them.
func (j *Job) archivesPhase() []Phase {
	if len(j.Recipe.Archives) == 0 {
		return nil
	}
	p := Phase{Name: "archives", Short: "add package archives and their keyrings", Inputs: archiveInputs, Run: addArchives}
	if j.Recipe.Base.Image != "" {
		p.Disk, p.Run = true, uploadArchives
	}
	return []Phase{p}
}

func archiveInputs(j *Job) any { return j.Recipe.Archives }

// addArchives writes into the tree and reads the archives' lists, which shows at once whether the keys are the right ones.
func addArchives(ctx context.Context, j *Job) error {
	files, err := j.archiveFiles(ctx)
	if err != nil {
		return err
	}
	err = j.inTree(ctx, func(root *tree.FS) error { return install.PutFiles(root, files) })
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(j.Home.Layers().Dir, ".apt-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	return install.Apt{Spec: j.spec(), Debs: j.Home.Debs(), Dir: dir, Log: j.log, Wait: j.wait}.Update(ctx)
}

func uploadArchives(ctx context.Context, j *Job) error {
	files, err := j.archiveFiles(ctx)
	if err != nil {
		return err
	}
	return j.uploadAll(ctx, files)
}

func (j *Job) archiveFiles(ctx context.Context) ([]recipe.File, error) {
	var out []recipe.File
	for _, a := range j.Recipe.Archives {
		keyring, err := j.keyring(ctx, a)
		if err != nil {
			return nil, err
		}
		out = append(out, install.ArchiveFiles(a, keyring)...)
	}
	return out, nil
}

// maxKeyring is far above any keyring of an archive.
const maxKeyring = 1 << 20

// keyring is the recipe's own, or the one at its URL, when it holds none but the keys that the recipe names.
func (j *Job) keyring(ctx context.Context, a recipe.Archive) (string, error) {
	if a.Key.URL == "" {
		return a.Key.Content, nil
	}
	j.wait("key of "+a.Name, 0, 0)
	data, err := get(ctx, a.Key.URL, maxKeyring)
	if err != nil {
		return "", fmt.Errorf("cannot fetch the key of archive %s: %w", a.Name, err)
	}
	text, err := a.Key.Keyring(data)
	if err != nil {
		return "", report.Faultf(report.Usage, "cannot use the key of archive %s from %s: %w", a.Name, a.Key.URL, err).
			WithHint("compare it with what the vendor publishes: gpg --show-keys; a new key needs its fingerprint in the recipe")
	}
	return text, nil
}

// get reads a small file. What it is worth is for the caller to find out.
func get(ctx context.Context, url string, limit int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", url, resp.Status)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s is larger than %d bytes", url, limit)
	}
	return data, err
}

// archiveDetails are the lines of the plan.
func archiveDetails(list []recipe.Archive) []string {
	var out []string
	for _, a := range list {
		where := strings.Join(append(append([]string{a.Kind, a.URL}, a.Suites...), a.Components...), " ")
		key := "key in the recipe"
		if a.Key.URL != "" {
			key = "key from " + a.Key.URL
		}
		out = append(out, a.Name+": "+where, a.Name+": "+key+", "+strings.Join(a.Key.Fingerprints, ", "))
	}
	return out
}
