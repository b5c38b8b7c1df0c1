package install

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"goldsmith/builder/recipe"
	"goldsmith/builder/tree"
)

// Where keyrings of archives go: each signs for the archives that name it, and for no other.
const (
	aptKeyrings = "/etc/apt/keyrings"
	rpmKeyrings = "/etc/pki/rpm-gpg"
	aptParts    = "/etc/apt/sources.list.d"
)

// ArchiveFiles renders what makes an archive known to the image: its keyring and the file that names both.
func ArchiveFiles(a recipe.Archive, keyring string) []recipe.File {
	file := func(path, content string) recipe.File {
		return recipe.File{Path: path, Content: content, Mode: 0o644, Owner: "root"}
	}
	if a.Kind == recipe.DnfArchive {
		key := rpmKeyrings + "/RPM-GPG-KEY-" + a.Name
		return []recipe.File{file(key, keyring), file("/etc/yum.repos.d/"+a.Name+".repo",
			fmt.Sprintf("[%s]\nname=%[1]s\nbaseurl=%s\nenabled=1\ngpgcheck=1\nrepo_gpgcheck=1\ngpgkey=file://%s\n", a.Name, a.URL, key))}
	}
	key := aptKeyrings + "/" + a.Name + ".asc"
	if a.Format == "one-line" {
		var lines strings.Builder
		for _, s := range a.Suites {
			fmt.Fprintln(&lines, strings.Join(append([]string{"deb", "[signed-by=" + key + "]", a.URL, s}, a.Components...), " "))
		}
		return []recipe.File{file(key, keyring), file(aptParts+"/"+a.Name+".list", lines.String())}
	}
	text := fmt.Sprintf("Types: deb\nURIs: %s\nSuites: %s\n", a.URL, strings.Join(a.Suites, " "))
	if len(a.Components) > 0 {
		text += "Components: " + strings.Join(a.Components, " ") + "\n"
	}
	return []recipe.File{file(key, keyring), file(aptParts+"/"+a.Name+".sources", text+"Signed-By: "+key+"\n")}
}

// signedBy finds the keyring of a source in apt's two forms.
var signedBy = regexp.MustCompile(`(?m)(^Signed-By:\s*|[\[ \t]signed-by=)(/\S*[^\s\]])`)

// sources copies the archives of the tree into the scratch folder, with their keyrings as the host sees them: apt, told to work on
// a tree, still takes the path of a keyring for one of the host. Keyrings that the tree does not have are the host's indeed:
// mmdebstrap names them so.
func (a Apt) sources(root *tree.FS) error {
	dir := filepath.Join(a.Dir, "sources")
	if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700)); err != nil {
		return err
	}
	list, err := root.ReadDir(aptParts)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range list {
		if ext := path.Ext(e.Name()); ext != ".list" && ext != ".sources" {
			continue
		}
		data, err := root.ReadFile(path.Join(aptParts, e.Name()))
		if err != nil {
			return err
		}
		data = signedBy.ReplaceAllFunc(data, func(m []byte) []byte {
			g := signedBy.FindSubmatch(m)
			if !root.Exists(string(g[2])) {
				return m
			}
			return bytes.Join([][]byte{g[1], []byte(filepath.Join(a.Spec.Root, string(g[2])))}, nil)
		})
		if err := os.WriteFile(filepath.Join(dir, e.Name()), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}
