package builder

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"goldsmith/builder/disk"
	"goldsmith/builder/install"
	"goldsmith/builder/layer"
	"goldsmith/builder/tree"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/report"
)

// A Catalogue brings base images by name onto the bench, verified.
type Catalogue interface {
	Names() []string
	Fetch(ctx context.Context, name string, wait func(what string, done, total int64)) (BaseImage, error)
}

// A BaseImage is a disk image to begin with.
type BaseImage struct {
	Path   string
	Digest string // tells contents apart
}

// virtualPhases are those of a bake inside a virtual machine: one for each step, so that each is a checkpoint.
func (j *Job) virtualPhases() []Phase {
	var list []Phase
	if j.Recipe.Base.Image != "" {
		list = append(list, Phase{Name: "base", Short: "find the image to begin with, and verify it", Skip: isDone, Run: findBase})
	} else {
		list = append(list, j.treePhases()...)
		list = append(list, Phase{Name: "files", Short: "write files, enable and disable the units that are there", Inputs: prepareInputs, Run: prepare})
	}
	list = append(list, Phase{Name: "machine", Short: "make the disks of the virtual machine", Disk: true, Inputs: machineInputs, Run: makeMachine})
	if j.Recipe.Base.Image != "" {
		list = append(list, j.archivesPhase()...)
	}
	if j.Recipe.Base.Image != "" && len(j.Recipe.Files) > 0 {
		list = append(list, Phase{Name: "files", Short: "write files", Disk: true, Inputs: func(j *Job) any { return j.Recipe.Files }, Run: uploadFiles})
	}
	for _, s := range j.Recipe.Steps {
		list = append(list, stepPhase(s))
	}
	if s := j.Recipe.Services; len(s.Enable)+len(s.Disable)+len(s.Mask) > 0 {
		list = append(list, Phase{Name: "services", Short: "enable, disable and mask units", Disk: true, Inputs: func(j *Job) any { return j.Recipe.Services }, Run: setServices})
	}
	return append(list, Phase{Name: "power-off", Short: "note the machine's links and power it off", Disk: true, Inputs: func(*Job) any { return nil }, Run: powerOff})
}

func prepareInputs(j *Job) any { return []any{j.Recipe.Files, j.Recipe.Services, install.Revision} }

// prepare makes a tree of packages fit to be booted.
func prepare(ctx context.Context, j *Job) error {
	return install.Configuration{Recipe: j.Recipe, Spec: j.spec(), Identity: identity.Marker(), Log: j.log, Wait: j.wait}.Prepare(ctx)
}

// findBase finds the image: a golden one of this bench, one of the catalogue, a file.
func findBase(ctx context.Context, j *Job) error {
	b, err := j.localBase()
	if errors.Is(err, errNoLocal) {
		b, err = j.Catalogue.Fetch(ctx, j.Recipe.Base.Image, j.wait)
	}
	if err != nil {
		return err
	}
	j.base = b
	j.findDone()
	return nil
}

// errNoLocal says that a base is none of this bench's images and no file.
var errNoLocal = errors.New("it is not on this bench")

// localBase finds a base that needs no fetching.
func (j *Job) localBase() (BaseImage, error) {
	name := j.Recipe.Base.Image
	if strings.ContainsRune(name, filepath.Separator) {
		return fileBase(name)
	}
	m, err := j.Home.ReadManifest(name)
	if err != nil {
		return BaseImage{}, errNoLocal
	}
	return BaseImage{Path: filepath.Join(j.Home.Image(name), ImageFile), Digest: m.Disk.SHA256}, nil
}

// fileBase tells files apart by name, size and time: to digest a disk takes as long as to copy it.
func fileBase(name string) (BaseImage, error) {
	path, err := filepath.Abs(name)
	if err != nil {
		return BaseImage{}, err
	}
	st, err := os.Stat(path)
	if err != nil || !st.Mode().IsRegular() {
		return BaseImage{}, report.Faultf(report.Usage, "cannot begin with the image %s: %w", name, errors.Join(err, notRegular(st)))
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d\x00%d", path, st.Size(), st.ModTime().UnixNano()))
	return BaseImage{Path: path, Digest: hex.EncodeToString(sum[:])}, nil
}

func notRegular(st os.FileInfo) error {
	if st == nil || st.Mode().IsRegular() {
		return nil
	}
	return errors.New("not a file")
}

// checkBase says at once what findBase would say later.
func (j *Job) checkBase() error {
	if j.Recipe.Base.Image == "" {
		return nil
	}
	_, err := j.localBase()
	if !errors.Is(err, errNoLocal) {
		return err
	}
	for _, n := range j.Catalogue.Names() {
		if n == j.Recipe.Base.Image {
			return nil
		}
	}
	return report.Faultf(report.Usage, "cannot begin with the image %s: this bench has baked none of that name, and the catalogue has only %s",
		j.Recipe.Base.Image, strings.Join(j.Catalogue.Names(), ", ")).WithHint("a file is named by its path: ./%s", j.Recipe.Base.Image)
}

func machineInputs(j *Job) any {
	r := j.Recipe
	return []any{j.base.Digest, r.VM, r.Disk, r.Boot.Target, identity.Marker()}
}

// makeMachine makes the disks that the machine boots from. It is no overlay of the base: that may be baked anew while
// checkpoints that stand on it are of use.
func makeMachine(ctx context.Context, j *Job) error {
	d, err := j.Home.Checkpoints().First(j.draftName(), 1+len(j.Recipe.VM.Disks))
	if err != nil {
		return err
	}
	j.writing = d
	if err := j.makeRootDisk(ctx, d.Disk(0)); err != nil {
		return err
	}
	for i, extra := range j.Recipe.VM.Disks {
		out, err := exec.CommandContext(ctx, "qemu-img", "create", "-q", "-f", "qcow2", d.Disk(i+1), fmt.Sprint(int64(extra.Size))).CombinedOutput()
		if err != nil {
			return fmt.Errorf("cannot make disk %s: qemu-img: %w: %s", extra.Name, err, bytes.TrimSpace(out))
		}
	}
	return nil
}

// makeRootDisk makes the first disk, of packages or of the base image.
func (j *Job) makeRootDisk(ctx context.Context, out string) error {
	tell := func(p disk.Progress) { j.wait(p.Phase, p.Done, p.Total) }
	if j.Recipe.Base.Image == "" {
		return j.viewLayers(filepath.Dir(out), func(view string) error {
			_, err := disk.Make(ctx, disk.MakeOptions{Tree: view, Out: out, Size: int64(j.Recipe.Disk.Size), Fast: true, Progress: tell})
			return err
		})
	}
	made, err := disk.Import(ctx, j.base.Path, out, false, tell)
	if err != nil {
		return err
	}
	if size := int64(j.Recipe.Disk.Size); size > made.Virtual {
		if _, err := disk.Grow(ctx, out, size, disk.GrowOptions{Progress: tell}); err != nil {
			return err
		}
	}
	return onDisk(ctx, out, undress)
}

// onDisk opens the root file system of a disk for do.
func onDisk(ctx context.Context, path string, do func(*tree.FS) error) error {
	image, err := disk.Open(ctx, path, disk.Options{Exact: true})
	if err != nil {
		return err
	}
	return errors.Join(do(image.FS), image.Close())
}

// undress makes a machine of a golden image that is to become another: it gets the marker's names, and the host keys
// that its clones would have made for themselves. Other images, and what their cloud-init does, are left alone.
func undress(root *tree.FS) error {
	if !root.Exists(identity.ImprintFile) {
		return nil
	}
	for _, p := range []string{identity.ImprintFile, identity.StateDir} {
		if err := root.RemoveAll(p); err != nil {
			return err
		}
	}
	return errors.Join(install.PutIdentity(root, identity.Marker()), install.PutHostKey(root))
}

// viewLayers shows all layers as one tree, below dir, to do.
func (j *Job) viewLayers(dir string, do func(view string) error) (err error) {
	view := filepath.Join(dir, "view")
	if err := os.Mkdir(view, 0o700); err != nil {
		return err
	}
	unmount, err := j.Home.Layers().View(j.layers, view)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unmount(), os.Remove(view)) }()
	return do(view)
}

// makeCheckpoint finds the checkpoint of a phase or makes it. It is makeLayer for disks.
func (j *Job) makeCheckpoint(ctx context.Context, p Phase) (cached bool, err error) {
	key, store := j.key(p.Name, p.Inputs(j)), j.Home.Checkpoints()
	l, err := j.Home.lockWait(ctx, "checkpoint-"+key, func(e error) {
		j.wait("another bake makes the same checkpoint"+strings.TrimPrefix(e.Error(), errBusy.Error()), 0, 0)
	})
	if err != nil {
		return false, err
	}
	defer l.release()
	if note, ok := store.Find(key); ok && !j.Fresh {
		// Another bake may have made it while ours waited: our machine has gone another way from there.
		if err := j.endMachine(); err != nil {
			return false, err
		}
		j.disks = append(j.disks, key)
		j.record = append(j.record, PhaseTime{Phase: p.Name, Took: note.Took, Cached: true})
		j.tell(Cached, "", note.Took)
		return true, nil
	}
	start := time.Now()
	j.root, j.extra = "", nil
	if err := p.Run(ctx, j); err != nil {
		return false, err
	}
	if err := j.keep(ctx, p, key, start); err != nil {
		return false, err
	}
	j.disks = append(j.disks, key)
	return false, nil
}

// keep makes a checkpoint of the disks as they are now.
func (j *Job) keep(ctx context.Context, p Phase, key string, start time.Time) error {
	if j.writing == nil { // nothing was done to the disks
		d, err := j.Home.Checkpoints().Draft(j.draftName(), j.lastDisk())
		if err != nil {
			return err
		}
		j.writing = d
	}
	note, err := j.note(p, time.Since(start))
	if err != nil {
		return err
	}
	d := j.writing
	if j.machine == nil {
		j.writing = nil
		return d.Commit(key, note)
	}
	next, err := d.Next(j.draftName(), key)
	if err != nil {
		return err
	}
	if err := j.machine.Snapshot(ctx, next.Disks()); err != nil {
		return errors.Join(err, next.Discard())
	}
	j.writing = next
	return d.Commit(key, note)
}

// draftName is unique among all bakes that run: the image is locked, and the number counts.
func (j *Job) draftName() string {
	j.drafts++
	return fmt.Sprintf("%s@%d", j.Name, j.drafts)
}

// lastDisk is the key of the newest checkpoint.
func (j *Job) lastDisk() string { return j.disks[len(j.disks)-1] }

// lastNote is that of the newest layer or checkpoint of this bake.
func (j *Job) lastNote() layer.Note {
	if len(j.disks) > 0 {
		n, _ := j.Home.Checkpoints().Find(j.lastDisk())
		return n.Note
	}
	n, _ := j.Home.Layers().Find(j.layers[len(j.layers)-1])
	return n
}

// inDisk opens the root file system of the newest checkpoint, for changes that become the next one.
func (j *Job) inDisk(ctx context.Context, do func(*tree.FS) error) error {
	d, err := j.Home.Checkpoints().Draft(j.draftName(), j.lastDisk())
	if err != nil {
		return err
	}
	j.writing = d
	return onDisk(ctx, d.Disk(0), do)
}

// baked is who the image is. In a virtual machine links have the names that its kernel gives them, and a recipe may have
// given the machine a name of its own.
func (j *Job) baked() identity.Identity {
	id := identity.Marker()
	for _, key := range j.disks {
		n, ok := j.Home.Checkpoints().Find(key)
		if !ok || n.Phase != "power-off" {
			continue
		}
		var l links
		if json.Unmarshal(n.Extra, &l) == nil {
			id.Interface, id.NICs, id.MachineID = l.Interface, l.NICs, l.MachineID
			if name, domain, _ := strings.Cut(l.Hostname, "."); name != id.Hostname {
				id.Hostname, id.Domain = name, domain
			}
		}
	}
	return id
}

// makeFromDisks makes disk and tree of a bake in a virtual machine: without the blocks that its file systems do not use.
func (j *Job) makeFromDisks(ctx context.Context, dir string) (*Manifest, error) {
	store, m := j.Home.Checkpoints(), &Manifest{Machine: j.Recipe.VM}
	root, err := j.flatten(ctx, store.Disk(j.lastDisk(), 0), filepath.Join(dir, ImageFile))
	if err != nil {
		return nil, err
	}
	m.Disk = disk.Made{Path: root.Path, Format: root.Format, VirtualSize: root.Virtual, FileSize: root.FileSize, SHA256: root.SHA256}
	for i, d := range j.Recipe.VM.Disks {
		file := d.Name + ".qcow2"
		e, err := j.flatten(ctx, store.Disk(j.lastDisk(), i+1), filepath.Join(dir, file))
		if err != nil {
			return nil, err
		}
		m.Disks = append(m.Disks, DiskFile{Name: d.Name, Path: file, VirtualSize: e.Virtual, FileSize: e.FileSize, SHA256: e.SHA256})
	}
	j.wait("golden tree", 0, 0)
	m.Disk.Files, m.Disk.Bytes, err = treeOf(ctx, store.Disk(j.lastDisk(), 0), filepath.Join(dir, RootDir))
	return m, err
}

func (j *Job) flatten(ctx context.Context, from, to string) (disk.Exported, error) {
	return disk.Export(ctx, from, disk.ExportOptions{Out: to, Format: "qcow2", Progress: func(p disk.Progress) { j.wait(p.Phase, p.Done, p.Total) }})
}

// treeOf copies the root file system of a disk into a new directory.
func treeOf(ctx context.Context, path, to string) (files, size int64, err error) {
	if err := os.Mkdir(to, 0o755); err != nil {
		return 0, 0, fmt.Errorf("cannot make tree: %w", err)
	}
	dst, err := tree.Open(to)
	if err != nil {
		return 0, 0, err
	}
	defer dst.Close()
	image, err := disk.Open(ctx, path, disk.Options{Throwaway: true, Exact: true})
	if err != nil {
		return 0, 0, err
	}
	err = tree.Copy(ctx, dst.Fd(), image.FS.Fd(), func(c tree.Count) { files, size = files+c.Files, size+c.Bytes })
	return files, size, errors.Join(err, image.Close())
}
