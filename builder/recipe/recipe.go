// Package recipe reads what an image shall contain: YAML in, a checked [Recipe] out, every mistake at once with its line.
// It is the only room of the house that knows YAML, and it does nothing to any machine.
package recipe

import (
	"goldsmith/firstboot/identity"
)

// A Recipe says what must exist in an image. Fields are nouns: how they come to be is the builder's trade. The doc tags
// are the format's manual: the JSON schema in recipes/ is made from them.
type Recipe struct {
	Name        string    `yaml:"name" json:"name" pattern:"^[a-z0-9][a-z0-9.-]{0,62}$" doc:"name of the image; also the folder that it is kept in"`
	Description string    `yaml:"description" json:"description,omitempty" doc:"one line for lists"`
	Extends     string    `yaml:"extends" json:"extends,omitempty" doc:"recipe that this one adds to: a file beside it, or the name of a recipe that comes with goldsmith"`
	Base        Base      `yaml:"base" json:"base" doc:"the system below everything else"`
	Archives    []Archive `yaml:"archives" json:"archives,omitempty" doc:"package archives beside the distribution's own, each signed by a key of its own"`
	Debconf     []string  `yaml:"debconf" json:"debconf,omitempty" doc:"answers for debconf-set-selections: 'package question type value'"`
	Packages    []string  `yaml:"packages" json:"packages,omitempty" doc:"packages of the first layer"`
	Layers      []Layer   `yaml:"layers" json:"layers,omitempty" doc:"further groups of packages; each is cached of its own, in this order"`
	Files       []File    `yaml:"files" json:"files,omitempty" doc:"files written before the machine boots"`
	Boot        Boot      `yaml:"boot" json:"boot" doc:"how the machine boots for its steps"`
	VM          *VM       `yaml:"vm" json:"vm,omitempty" doc:"bake in a virtual machine, of these sizes; a recipe that begins with base.image always does"`
	Steps       []Step    `yaml:"steps" json:"steps,omitempty" doc:"what is done inside the booted machine, in order"`
	Services    Services  `yaml:"services" json:"services" doc:"systemd units of the image"`
	Stacks      []string  `yaml:"stacks" json:"stacks,omitempty" doc:"what firstboot rewrites on a clone, by the names that 'firstboot list' prints"`
	Identity    Identity  `yaml:"identity" json:"identity" doc:"how clones come to differ, where there is more than one right answer"`
	Seal        Seal      `yaml:"seal" json:"seal" doc:"what is forgotten beyond, or kept against, the defaults of 'goldsmith seal --list'"`
	Audit       Audit     `yaml:"audit" json:"audit,omitzero" doc:"what the search for the baked identity may find"`
	Disk        Disk      `yaml:"disk" json:"disk" doc:"the disk image"`
	Proof       Proof     `yaml:"proof" json:"proof" doc:"the trial clone that ends a bake"`
}

// A Base is a system bootstrapped from packages, or a disk image.
type Base struct {
	Distribution string   `yaml:"distribution" json:"distribution,omitempty" enum:"debian" doc:"whose packages"`
	Suite        string   `yaml:"suite" json:"suite,omitempty" pattern:"^[a-z][a-z0-9-]*$" doc:"release, such as bookworm"`
	Architecture string   `yaml:"architecture" json:"architecture,omitempty" enum:"amd64" doc:"of packages and kernel"`
	Mirror       string   `yaml:"mirror" json:"mirror,omitempty" pattern:"^(https?|file|copy):/.*" doc:"URL of the package archive; default: the distribution's own, and its security updates"`
	Components   []string `yaml:"components" json:"components,omitempty" doc:"parts of the archive; default main"`
	Packages     []string `yaml:"packages" json:"packages,omitempty" doc:"packages without which it is not this system"`
	Image        string   `yaml:"image" json:"image,omitempty" doc:"disk image to begin with, in place of packages: a golden image of this bench, a base image of the catalogue (goldsmith images list), or the path of a file"`
}

// A Layer is a group of packages that is installed, and cached, together.
type Layer struct {
	Name       string   `yaml:"name" json:"name" pattern:"^[a-z0-9][a-z0-9-]*$" doc:"shown as the phase's name"`
	Debconf    []string `yaml:"debconf" json:"debconf,omitempty" doc:"answers needed by this group only"`
	Packages   []string `yaml:"packages" json:"packages" doc:"package names"`
	Recommends bool     `yaml:"recommends" json:"recommends,omitempty" doc:"install what the packages recommend, too"`
}

// A File is written whole. Exactly one of Content, Source and Template says what is in it.
type File struct {
	Path     string `yaml:"path" json:"path" pattern:"^/[^\\n]+$" doc:"absolute path in the image"`
	Content  string `yaml:"content" json:"content,omitempty" doc:"the text"`
	Source   string `yaml:"source" json:"source,omitempty" doc:"file beside the recipe"`
	Template string `yaml:"template" json:"template,omitempty" doc:"file of goldsmith's templates"`
	Mode     Mode   `yaml:"mode" json:"mode,omitempty" doc:"permissions in octal, as text; default \"0644\""`
	Owner    string `yaml:"owner" json:"owner,omitempty" pattern:"^[a-z_][a-z0-9_-]*(:[a-z_][a-z0-9_-]*)?$" doc:"user or user:group, by the names of the image; default root"`
}

// A Boot says how far the machine boots before its steps run.
type Boot struct {
	Target string `yaml:"target" json:"target,omitempty" pattern:"^[A-Za-z0-9@_.-]+\\.target$" doc:"systemd target; basic.target leaves all services to the steps; default multi-user.target"`
	// Timeout is for virtual machines: others boot within a minute or not at all.
	Timeout identity.Duration `yaml:"timeout" json:"timeout,omitempty" doc:"how long a virtual machine may take until it answers by SSH; default 10m"`
}

// Shell is the command that runs a step's commands, which it gets on its standard input. It reads them to the end before the first
// one is run, and none of them reads from there: a program that looks at its input would eat what stands behind it, and the step
// would end early and well. A script may be 128 KiB long, as long as Linux lets one word be.
func Shell() []string {
	return []string{"sh", "-c", `script=$(cat); exec sh -euc "$script" sh </dev/null`}
}

// A Step is one piece of work in the booted machine. One of Run, Script, OpenStack and OpenNebula says what; a step that
// makes answers, moves files or reboots may have none of them.
type Step struct {
	Name       string            `yaml:"name" json:"name" doc:"shown while it runs"`
	Run        string            `yaml:"run" json:"run,omitempty" doc:"shell commands, run by sh -eu"`
	Script     string            `yaml:"script" json:"script,omitempty" doc:"script beside the recipe, or one of goldsmith's templates"`
	OpenStack  *OpenStack        `yaml:"openstack" json:"openstack,omitempty" doc:"configure an OpenStack from the distribution's packages"`
	OpenNebula *OpenNebula       `yaml:"opennebula" json:"opennebula,omitempty" doc:"set up OpenNebula, whose packages are installed"`
	Timeout    identity.Duration `yaml:"timeout" json:"timeout,omitempty" doc:"such as 10m; default 15m"`
	Answers    *Answers          `yaml:"answers" json:"answers,omitempty" doc:"make an installer's answer file before the commands run (vm)"`
	Upload     []Upload          `yaml:"upload" json:"upload,omitempty" doc:"put files into the machine before the commands run (vm)"`
	Download   []string          `yaml:"download" json:"download,omitempty" doc:"files of the machine that are kept beside the log, also when the step fails (vm)"`
	Retries    int               `yaml:"retries" json:"retries,omitempty" doc:"how often the commands are run again when they fail; they must bear it (vm)"`
	Reboot     bool              `yaml:"reboot" json:"reboot,omitempty" doc:"reboot the machine when the commands are done (vm)"`
}

// An OpenStack is a cloud on one machine, or one node of a cluster. Its packages are listed in the recipe's layers; the
// builder refuses a service whose package is not there.
type OpenStack struct {
	Role       string   `yaml:"role" json:"role,omitempty" enum:"all,controller,compute" doc:"what the machine is: a whole cloud (the default), the node that computes join, or such a compute"`
	Services   []string `yaml:"services" json:"services" enum:"keystone,glance,placement,nova,compute,neutron,cinder,horizon" doc:"in any order; keystone is always needed, but on a compute, which has only compute and neutron"`
	Hypervisor string   `yaml:"hypervisor" json:"hypervisor,omitempty" enum:"fake,qemu,kvm" doc:"what compute runs servers on; fake, the default, only says that they run, and needs nothing of the machine"`
	Region     string   `yaml:"region" json:"region,omitempty" pattern:"^[A-Za-z0-9_.-]+$" doc:"default RegionOne"`
	Workers    int      `yaml:"workers" json:"workers,omitempty" doc:"processes per API; default 1"`
}

// The roles of a machine that is not a whole cloud.
const (
	RoleController = "controller"
	RoleCompute    = "compute"
)

// ControllerName is what nova, neutron and cinder of all clones call the machine they run on, and by which computes find it.
const ControllerName = identity.Controller

// Services are units whose state differs from what their packages chose.
type Services struct {
	Enable  []string `yaml:"enable" json:"enable,omitempty" doc:"units to enable"`
	Disable []string `yaml:"disable" json:"disable,omitempty" doc:"units to disable"`
	Mask    []string `yaml:"mask" json:"mask,omitempty" doc:"units that must never start"`
}

// Identity is the recipe's half of identity.Policy.
type Identity struct {
	Hostname        identity.HostnamePolicy  `yaml:"hostname" json:"hostname,omitempty" enum:"keep,from-mac" doc:"what a clone is called when nobody names it; default from-mac"`
	Endpoints       identity.EndpointsPolicy `yaml:"endpoints" json:"endpoints,omitempty" enum:"public,all" doc:"which rows of keystone's catalogue follow the clone's address; default all"`
	KeepSecrets     []string                 `yaml:"keep_secrets" json:"keep_secrets,omitempty" doc:"secrets that stay as baked, by name, or all"`
	PublicInterface string                   `yaml:"public_interface" json:"public_interface,omitempty" doc:"link of the public face; default: that of the default route"`
	LeaseTimeout    identity.Duration        `yaml:"lease_timeout" json:"lease_timeout,omitempty" doc:"how long a clone waits for an address; default 120s"`
	Disk            identity.DiskPolicy      `yaml:"disk" json:"disk,omitempty" enum:"grow,keep" doc:"whether a clone with a larger disk grows its root file system; default grow"`
	Optional        []string                 `yaml:"optional" json:"optional,omitempty" doc:"changes (kind:where) that may find nothing"`
}

// Seal adjusts the defaults of the sealing operations.
type Seal struct {
	Enable  []string `yaml:"enable" json:"enable,omitempty" doc:"operations that are off by default"`
	Disable []string `yaml:"disable" json:"disable,omitempty" doc:"operations that must not run"`
}

// An Audit is how the search for the baked identity is judged. A place that no rewriter changes and no seal forgets fails the
// bake, unless it is accepted here.
type Audit struct {
	Accept []Accept `yaml:"accept" json:"accept,omitempty" doc:"places that nobody owns and that may be"`
}

// An Accept lets the places below a path be.
type Accept struct {
	Path string `yaml:"path" json:"path" pattern:"^/[^\\n]+$" doc:"file, or directory with all below it; * and ? match within a name"`
	Why  string `yaml:"why" json:"why" doc:"the reason, for the manifest"`
}

// A Disk is the image file.
type Disk struct {
	Size Size `yaml:"size" json:"size,omitempty" doc:"virtual size, such as 8G; default: what is inside, and 2G of room"`
}

// A Proof is how the trial clone is judged.
type Proof struct {
	Skip    bool              `yaml:"skip" json:"skip,omitempty" doc:"leave it out; the manifest then says unproven"`
	Timeout identity.Duration `yaml:"timeout" json:"timeout,omitempty" doc:"how long the clone has to become itself; default 10m"`
}

// Groups returns all layers of packages in their order: the recipe's own list first, where there is one.
func (r *Recipe) Groups() []Layer {
	var out []Layer
	if len(r.Packages) > 0 {
		out = append(out, Layer{Name: "packages", Debconf: r.Debconf, Packages: r.Packages})
	}
	return append(out, r.Layers...)
}

// AllPackages returns every package that the recipe names.
func (r *Recipe) AllPackages() []string {
	out := append([]string{}, r.Base.Packages...)
	for _, g := range r.Groups() {
		out = append(out, g.Packages...)
	}
	return out
}

// Policy is what the imprint carries of the recipe's identity section.
func (r *Recipe) Policy() identity.Policy {
	i := r.Identity
	return identity.Policy{
		Hostname: i.Hostname, Endpoints: i.Endpoints, KeepSecrets: i.KeepSecrets,
		PublicInterface: i.PublicInterface, LeaseTimeout: i.LeaseTimeout, Disk: i.Disk, Optional: i.Optional,
	}
}
