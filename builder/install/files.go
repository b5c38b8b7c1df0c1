package install

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"goldsmith/builder/recipe"
	"goldsmith/builder/tree"
)

// PutFiles writes files into a tree. Owners are names of the tree's own users.
func PutFiles(root *tree.FS, files []recipe.File) error {
	var errs []error
	for _, f := range files {
		if err := putFile(root, f); err != nil {
			errs = append(errs, fmt.Errorf("cannot write %s: %w", f.Path, err))
		}
	}
	return errors.Join(errs...)
}

func putFile(root *tree.FS, f recipe.File) error {
	uid, gid, err := owner(root, f.Owner)
	if err != nil {
		return err
	}
	if err := root.MkdirAll(path.Dir(f.Path), 0o755); err != nil {
		return err
	}
	if err := root.WriteFile(f.Path, []byte(f.Content), 0o600); err != nil {
		return err
	}
	if err := root.Chown(f.Path, uid, gid); err != nil {
		return err
	}
	return root.Chmod(f.Path, f.Mode.Perm())
}

// owner turns "user" or "user:group" into numbers. Without a group it is the user's own.
func owner(root *tree.FS, text string) (uid, gid int, err error) {
	user, group, hasGroup := strings.Cut(text, ":")
	if user == "root" && (!hasGroup || group == "root") {
		return 0, 0, nil
	}
	line, err := lookup(root, "etc/passwd", user)
	if err != nil {
		return 0, 0, err
	}
	if uid, err = strconv.Atoi(line[2]); err != nil {
		return 0, 0, err
	}
	if !hasGroup {
		gid, err = strconv.Atoi(line[3])
		return uid, gid, err
	}
	if line, err = lookup(root, "etc/group", group); err != nil {
		return 0, 0, err
	}
	gid, err = strconv.Atoi(line[2])
	return uid, gid, err
}

// lookup finds a name in passwd(5) or group(5) and returns its at least four fields.
func lookup(root *tree.FS, file, name string) ([]string, error) {
	data, err := root.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for sc := bufio.NewScanner(bytes.NewReader(data)); sc.Scan(); {
		if f := strings.Split(sc.Text(), ":"); len(f) >= 4 && f[0] == name {
			return f, nil
		}
	}
	return nil, fmt.Errorf("%s has no %q", file, name)
}
