package install

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"goldsmith/builder/machine"
	"goldsmith/builder/recipe"
	"goldsmith/builder/tree"
	"goldsmith/firstboot/text/oned"
)

// An Inside is a machine that a step works in: a tree that systemd-nspawn has booted, or a virtual machine.
type Inside interface {
	// Do runs a command; user "" is root.
	Do(ctx context.Context, user, stdin string, argv ...string) error
	// Dial connects from within, to an address and not to a name.
	Dial(ctx context.Context, network, address string) (net.Conn, error)
	// Files shows the machine's files to do. What it changes in them is in the machine when Files returns.
	Files(ctx context.Context, do func(*tree.FS) error) error
}

// booted is the machine of a tree, whose files are at hand.
type booted struct {
	*machine.Booted
	root *tree.FS
	log  io.Writer
}

// Do implements Inside.
func (b booted) Do(ctx context.Context, user, stdin string, argv ...string) error {
	c := machine.Command{Argv: argv, User: user, Stdin: []byte(stdin), Log: b.log}
	if user != "" {
		c.Env = []string{"HOME=" + HomeOf(user)}
	}
	return b.Run(ctx, c)
}

// HomeOf is where a user of a step has its files: a command that is started for it would have root's HOME.
func HomeOf(user string) string {
	if user == oneadmin {
		return oneHome
	}
	return "/"
}

// Files implements Inside.
func (b booted) Files(_ context.Context, do func(*tree.FS) error) error { return do(b.root) }

const (
	oneadmin = "oneadmin"
	oneHome  = "/var/lib/one"
)

// A oneMachine sets up OpenNebula in a booted machine, of which no service runs yet.
type oneMachine struct {
	recipe.OpenNebula
	in   Inside
	log  io.Writer
	wait func(string)
}

// SetUpOpenNebula does what a recipe's opennebula step asks for.
func SetUpOpenNebula(ctx context.Context, o recipe.OpenNebula, in Inside, log io.Writer, wait func(string)) error {
	m := &oneMachine{OpenNebula: o, in: in, log: log, wait: wait}
	return m.configure(ctx)
}

// OneFiles are the folders and files in which the step reads and writes, for those who bring an Inside its files; OneFolders are those
// that it only wants to be there.
func OneFiles() []string {
	return []string{"/etc/one", "/etc/apparmor.d/abstractions", "/etc/apparmor.d/local", "/etc/sudoers.d", "/etc/systemd/system", "/etc/systemd/network",
		"/etc/netplan", "/etc/network", "/etc/goldsmith", "/etc/tmpfiles.d", "/etc/mysql/mariadb.conf.d", "/etc/one-datastore-volume",
		"/usr/local/sbin", remotes, oneHome + "/.one", "/var/lib/dpkg/status"}
}

// OneFolders are folders of the same kind as OneFiles.
func OneFolders(o recipe.OpenNebula) []string {
	if o.Vitastor == nil {
		return nil
	}
	return []string{orElse(o.Vitastor.StagingDir, stagingDefault)}
}

// configure makes the edits first, so that oned starts with them. It starts only where it has something to make: an image without
// content lets every clone's oned make its own database, users and keys.
func (o *oneMachine) configure(ctx context.Context) error {
	o.wait("configuration")
	password := newPassword()
	var units []string
	if err := o.in.Files(ctx, func(root *tree.FS) (err error) {
		if err := checkUnborn(root, o.OpenNebula); err != nil {
			return err
		}
		units, err = adjustOpenNebula(root, o.OpenNebula, password, o.log)
		return err
	}); err != nil {
		return err
	}
	if o.Role != "" {
		if err := o.ssh(ctx); err != nil {
			return err
		}
	}
	if o.Database == "mariadb" {
		o.wait("database")
		if err := o.database(ctx, password); err != nil {
			return err
		}
	}
	if o.Content() {
		o.wait("oned")
		if err := o.content(ctx); err != nil {
			return err
		}
	}
	if units = append(units, o.units()...); len(units) == 0 {
		return nil
	}
	return o.run(ctx, "", "", append([]string{"systemctl", "--quiet", "enable", "--"}, units...)...)
}

// checkUnborn refuses another database for an oned that has one: it would find the users' files and none of the users, and not start.
func checkUnborn(root *tree.FS, o recipe.OpenNebula) error {
	if o.Database != "mariadb" || !root.Exists(oneHome+"/.one/sunstone_auth") {
		return nil
	}
	data, err := root.ReadFile(onedConf)
	if err != nil {
		return err
	}
	if backend, _, err := oned.Codec().Get(data, "DB/BACKEND"); err != nil || backend == "mysql" {
		return err
	}
	return errors.New("cannot give oned MariaDB: it has run, and has its users in SQLite\nhint: disable opennebula.service until this step")
}

// units are those of the role, whether or not their packages have enabled them.
func (o *oneMachine) units() []string {
	var out []string
	if o.HasFrontEnd() {
		r, err := ParseRelease(o.Release)
		if err != nil {
			return nil // checked with the recipe
		}
		out = append(out, "opennebula.service", "opennebula-gate.service", "opennebula-flow.service")
		if r.atLeast(6, 0) {
			out = append(out, "opennebula-fireedge.service")
		}
		if !r.atLeast(7, 0) {
			out = append(out, "opennebula-sunstone.service")
		}
	}
	if o.Role == recipe.RoleNode || o.Role == recipe.RoleAIO {
		out = append(out, "libvirtd.service")
	}
	return out
}

func (o *oneMachine) run(ctx context.Context, user, stdin string, argv ...string) error {
	return o.in.Do(ctx, user, stdin, argv...)
}

// sshScript gives oneadmin a key where the package made none, and lets it in with that key: drivers connect to every node, this
// machine too. A host that is new is trusted, one whose key changed is not.
const sshScript = `umask 077
mkdir -p ~/.ssh
cd ~/.ssh
ls id_*.pub >/dev/null 2>&1 || ssh-keygen -q -t ed25519 -N '' -C oneadmin -f id_ed25519
touch authorized_keys
for key in id_*.pub; do
	grep -qxF "$(cat "$key")" authorized_keys || cat "$key" >> authorized_keys
done
touch known_hosts
[ -e config ] || printf 'Host *\n    StrictHostKeyChecking accept-new\n    ControlMaster no\n' > config
`

func (o *oneMachine) ssh(ctx context.Context) error {
	if err := o.run(ctx, oneadmin, sshScript, "sh", "-eu"); err != nil {
		return fmt.Errorf("cannot make oneadmin's SSH key: %w", err)
	}
	return nil
}

// database makes oned's, and its account, which may come from this machine only.
func (o *oneMachine) database(ctx context.Context, password string) error {
	if err := o.run(ctx, "", "", "systemctl", "--quiet", "start", "mariadb.service"); err != nil {
		return err
	}
	sql := "CREATE DATABASE IF NOT EXISTS opennebula;\nCREATE OR REPLACE USER 'oneadmin'@'localhost' IDENTIFIED BY '" + password +
		"';\nGRANT ALL ON opennebula.* TO 'oneadmin'@'localhost';\n"
	if err := o.run(ctx, "", sql, "mysql", "--batch"); err != nil {
		return fmt.Errorf("cannot make oned's database: %w", err)
	}
	return nil
}

// oneEdits lists what the step changes in files, and the units that go with that. Mistakes that need the release's own files to be
// seen show when the edits are made.
func oneEdits(root *tree.FS, o recipe.OpenNebula, password string) (edits []Edit, units []string, err error) {
	if o.Tuning {
		edits = append(edits, KVMTuningEdits()...)
	}
	if o.Database == "mariadb" {
		edits = append(edits, MariaDBEdits(password)...)
	}
	if o.Vitastor != nil {
		patch, err := PluginDiff(root)
		if err != nil {
			return nil, nil, err
		}
		plugin, err := VitastorEdits(VitastorOptions{SaveRestore: o.Vitastor.SaveRestore, Confs: o.Vitastor.Confs}, patch)
		if err != nil {
			return nil, nil, err
		}
		edits = append(append(edits, plugin...), stagingEdits(o.Vitastor)...)
	}
	if o.Lockdown != nil {
		rules, err := LockdownEdits(Lockdown(*o.Lockdown))
		if err != nil {
			return nil, nil, err
		}
		edits, units = append(edits, rules...), append(units, "storage-lockdown.service")
	}
	for _, b := range o.Bridges {
		edits = append(edits, BridgeEdits(hostBridge(b), b.Manager)...)
	}
	volumes, volumeUnits, err := VolumeEdits(o.Volumes)
	if err != nil {
		return nil, nil, err
	}
	mounts := storeMounts(o)
	edits, units = append(append(edits, volumes...), StoreWaitEdits(mounts, waiters(o)...)...), append(units, volumeUnits...)
	for _, m := range mounts {
		name, _ := m.Unit()
		units = append(units, name)
	}
	return edits, units, nil
}

// waiters are the services that must not start before the datastores are mounted.
func waiters(o recipe.OpenNebula) []string {
	var out []string
	if len(o.Mounts)+len(o.Volumes) == 0 {
		return nil
	}
	if o.Role != recipe.RoleNode {
		out = append(out, "opennebula.service")
	}
	if o.Role != recipe.RoleFrontEnd {
		out = append(out, "libvirtd.service")
	}
	return out
}

// adjustOpenNebula makes the edits of a recipe's opennebula step, writes a line for each to log with what it changed in its file,
// and returns the units that are to be enabled.
func adjustOpenNebula(root *tree.FS, o recipe.OpenNebula, password string, log io.Writer) ([]string, error) {
	edits, units, err := oneEdits(root, o, password)
	if err != nil {
		return nil, err
	}
	before := contents(root, edits)
	results, err := Apply(root, edits)
	for _, r := range results {
		_, werr := fmt.Fprintln(log, r)
		err = errors.Join(err, werr)
	}
	err = errors.Join(err, writeDiffs(root, before, log))
	if err == nil && o.Vitastor != nil {
		err = errors.Join(CheckVitastor(root), checkStaging(root, o.Vitastor))
	}
	return units, err
}

// lacksOpenNebula says what an opennebula step needs and the recipe lacks, and what in it cannot work.
func lacksOpenNebula(r *recipe.Recipe, o recipe.OpenNebula) []string {
	var out []string
	say := func(err error) {
		if err != nil {
			out = append(out, strings.Split(err.Error(), "\n")...)
		}
	}
	if o.Lockdown != nil {
		say(Lockdown(*o.Lockdown).Check())
	}
	if o.Release != "" {
		_, err := ParseRelease(o.Release)
		say(err)
	}
	if o.Autostart && o.Release != "" {
		release, _ := ParseRelease(o.Release)
		_, err := AutostartHooks(release)
		say(err)
	}
	for _, n := range o.Networks {
		say(network(n).Check())
	}
	for _, b := range o.Bridges {
		say(hostBridge(b).Check())
	}
	_, _, err := VolumeEdits(o.Volumes)
	say(err)
	if v := o.Vitastor; v != nil && r.Disk.Size > 0 && v.StagingRoom >= r.Disk.Size {
		out = append(out, "vitastor.staging_room is larger than the whole disk\nhint: give disk.size more, or mount staging_dir from elsewhere")
	}
	say(CheckMounts(storeMounts(o), sharedStores(o)))
	if o.Content() && r.Boot.Target != "basic.target" && !r.UsesVM() {
		out = append(out, "boot.target must be basic.target: oned must not start before it is set up")
	}
	if r.Base.Image != "" {
		return out
	}
	have := r.AllPackages()
	for _, need := range onePackages(o) {
		if !slices.Contains(have, need[1]) {
			out = append(out, need[0]+" needs the package "+need[1])
		}
	}
	return out
}

// onePackages are pairs of what needs a package and its name.
func onePackages(o recipe.OpenNebula) [][2]string {
	var out [][2]string
	need := func(who string, names ...string) {
		for _, n := range names {
			out = append(out, [2]string{who, n})
		}
	}
	if release, err := ParseRelease(o.Release); err == nil && o.Role != "" {
		need("role "+o.Role, OpenNebulaPackages(release, Role(o.Role))...)
	}
	switch {
	case o.Database == "mariadb":
		need("database mariadb", "mariadb-server")
	case o.HasFrontEnd():
		need("database sqlite", "sqlite3") // firstboot's tool
	}
	if o.Vitastor != nil {
		need("vitastor", "vitastor-opennebula")
	}
	if o.Lockdown != nil {
		need("lockdown", "nftables")
	}
	for _, b := range o.Bridges {
		switch b.Manager {
		case "netplan":
			need("bridge "+b.Name, "netplan.io")
		case "ifupdown":
			need("bridge "+b.Name, "ifupdown", "bridge-utils")
		}
	}
	if len(o.Volumes) > 0 {
		need("volumes", "lvm2", "xfsprogs")
	}
	for _, m := range o.Mounts {
		if strings.HasPrefix(m.Type, "nfs") {
			need(fmt.Sprintf("mount of datastore %d", m.Datastore), "nfs-common")
		}
	}
	slices.SortFunc(out, func(a, b [2]string) int { return strings.Compare(a[0]+a[1], b[0]+b[1]) })
	return slices.Compact(out)
}
