package builder

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"goldsmith/builder/install"
	"goldsmith/builder/recipe"
	"goldsmith/builder/tree"
	"goldsmith/builder/vm"
)

// openNebula does an opennebula step in the virtual machine.
func (j *Job) openNebula(ctx context.Context, m *vm.Machine, s recipe.Step) error {
	in := insideGuest{m: m, log: j.live(), dir: j.runDir(), trees: install.OneFiles(), folders: install.OneFolders(*s.OpenNebula)}
	return install.SetUpOpenNebula(ctx, *s.OpenNebula, in, j.log, func(what string) { j.wait(s.Name+": "+what, 0, 0) })
}

// A guestMachine is what insideGuest needs of a virtual machine.
type guestMachine interface {
	Run(ctx context.Context, argv []string, stdin string, log io.Writer) error
	Output(ctx context.Context, argv []string, out io.Writer) error
	Upload(ctx context.Context, from io.Reader, to string, mode uint32, owner string) error
	Dial(ctx context.Context, network, address string) (net.Conn, error)
}

// insideGuest is a virtual machine to a step that was made for trees: files come out of it as a copy, and those that were changed
// go in again. The running system writes them, so that they get its labels.
type insideGuest struct {
	m              guestMachine
	log            io.Writer
	dir            string   // for the copies
	trees, folders []string // of the machine: with what is in them, and only that they are there
}

// Do implements install.Inside.
func (g insideGuest) Do(ctx context.Context, user, stdin string, argv ...string) error {
	if user != "" {
		argv = append([]string{"runuser", "--user", user, "--", "env", "HOME=" + install.HomeOf(user)}, argv...)
	}
	return g.m.Run(ctx, argv, stdin, g.log)
}

// Dial implements install.Inside.
func (g insideGuest) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return g.m.Dial(ctx, network, address)
}

// pack writes an archive of what is there of its arguments: folders alone before the word "--", whole trees after it.
const pack = `deep=--no-recursion
set -- "$@" end
while [ "$1" != end ]; do
	case $1 in
	--) deep=--recursion ;;
	*) [ ! -e "$1" ] || set -- "$@" "$deep" ".$1" ;;
	esac
	shift
done
shift
[ $# -gt 0 ] || set -- --files-from /dev/null
exec tar -C / --numeric-owner -cf - "$@" 2>/dev/null
`

// Files implements install.Inside.
func (g insideGuest) Files(ctx context.Context, do func(*tree.FS) error) (err error) {
	dir, err := os.MkdirTemp(g.dir, "files")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	copied, err := tree.Open(dir)
	if err != nil {
		return err
	}
	defer copied.Close()
	var archive bytes.Buffer
	argv := append(append([]string{"sh", "-c", pack, "pack"}, g.folders...), "--")
	if err := g.m.Output(ctx, append(argv, g.trees...), &archive); err != nil {
		return fmt.Errorf("cannot read the machine's files: %w", err)
	}
	if err := unpackInto(copied, &archive); err != nil {
		return fmt.Errorf("cannot read the machine's files: %w", err)
	}
	before, err := entriesOf(copied, "/")
	if err != nil {
		return err
	}
	if err := do(copied); err != nil {
		return err
	}
	after, err := entriesOf(copied, "/")
	if err != nil {
		return err
	}
	return g.bring(ctx, before, after)
}

// unpackInto writes an archive into an empty tree. What is neither file, folder nor link is left out.
func unpackInto(root *tree.FS, r io.Reader) error {
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name, mode := path.Clean("/"+h.Name), fs.FileMode(h.Mode&0o7777)
		if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
			return err
		}
		switch h.Typeflag {
		case tar.TypeDir:
			err = root.MkdirAll(name, 0o755)
		case tar.TypeSymlink:
			if err = root.Symlink(h.Linkname, name); err == nil {
				err = root.Lchown(name, h.Uid, h.Gid)
			}
			if err != nil {
				return err
			}
			continue
		case tar.TypeReg:
			err = root.WriteFrom(name, t, mode)
		default:
			continue
		}
		if err := errors.Join(err, root.Chown(name, h.Uid, h.Gid), root.Chmod(name, mode)); err != nil {
			return err
		}
	}
}

// A fileEntry is a file or a link of a tree.
type fileEntry struct {
	link, data, owner string
	mode              fs.FileMode
}

// entriesOf reads all files and links below a folder.
func entriesOf(root *tree.FS, dir string) (map[string]fileEntry, error) {
	list, err := root.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	out := map[string]fileEntry{}
	for _, e := range list {
		name := path.Join(dir, e.Name())
		switch {
		case e.IsDir():
			below, err := entriesOf(root, name)
			if err != nil {
				return nil, err
			}
			for n, b := range below {
				out[n] = b
			}
		case e.Type() == fs.ModeSymlink:
			to, err := root.ReadLink(name)
			if err != nil {
				return nil, err
			}
			out[name] = fileEntry{link: to}
		default:
			st, err := root.Stat(name)
			if err != nil {
				return nil, err
			}
			data, err := root.ReadFile(name)
			if err != nil {
				return nil, err
			}
			f := fileEntry{data: string(data), mode: st.Mode().Perm(), owner: "0:0"}
			if sys, ok := st.Sys().(*syscall.Stat_t); ok {
				f.owner = fmt.Sprintf("%d:%d", sys.Uid, sys.Gid)
			}
			out[name] = f
		}
	}
	return out, nil
}

// bring puts into the machine what has changed in the copy. Nothing of a step removes a file.
func (g insideGuest) bring(ctx context.Context, before, after map[string]fileEntry) error {
	var names []string
	for name, f := range after {
		if before[name] != f {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		f := after[name]
		if f.link != "" {
			if err := g.m.Run(ctx, []string{"sh", "-euc", `mkdir -p "${1%/*}"; ln -s "$2" "$1"`, "link", name, f.link}, "", g.log); err != nil {
				return fmt.Errorf("cannot make the link %s: %w", name, err)
			}
			continue
		}
		if err := g.m.Upload(ctx, strings.NewReader(f.data), name, uint32(f.mode), f.owner); err != nil {
			return err
		}
	}
	return nil
}
