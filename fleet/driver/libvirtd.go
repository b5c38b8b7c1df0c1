package driver

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"time"

	"goldsmith/firstboot/report"
)

// A libvirtd is one, as virsh is told of it: by its URI.
type libvirtd string

// The libvirtd of this host, and the pool of another one.
const (
	localLibvirt = "qemu:///system"
	defaultPool  = "default"
)

// LibvirtURI says which libvirtd a machine shall live in: the one that was named, or what LIBVIRT_DEFAULT_URI says, as for
// virsh, or this host's. It is written down with the fleet, as a later goldsmith may live in another environment.
func LibvirtURI(named string) (string, error) {
	uri := named
	if uri == "" {
		uri = os.Getenv("LIBVIRT_DEFAULT_URI")
	}
	if uri == "" {
		uri = localLibvirt
	}
	u, err := url.Parse(uri)
	if err == nil && (!strings.HasPrefix(u.Scheme, "qemu") || u.Path != "/system") {
		err = errors.New("want the system's qemu")
	}
	if err != nil {
		return "", report.Faultf(report.Usage, "cannot use libvirt at %q: %w", uri, err).
			WithHint("--connect %s", localLibvirt).WithHint("--connect qemu+ssh://root@HOST/system")
	}
	return uri, nil
}

// libvirt is where the machine lives.
func (m Machine) libvirt() libvirtd {
	if m.Connect == "" { // written down before there was a choice
		return localLibvirt
	}
	return libvirtd(m.Connect)
}

// IsRemote says whether a libvirtd's URI leads to another host, or may.
func IsRemote(uri string) bool {
	u, err := url.Parse(uri)
	return err == nil && u.Host != ""
}

func (l libvirtd) remote() bool { return IsRemote(string(l)) }

// What a talk with a libvirtd may take: an upload of an image, a snapshot of a memory, anything else.
const (
	uploadPatience   = 4 * time.Hour
	snapshotPatience = 30 * time.Minute
	virshPatience    = 3 * time.Minute
)

func patienceFor(command string) time.Duration {
	switch command {
	case "vol-upload", "vol-download":
		return uploadPatience
	case "snapshot-create-as", "snapshot-revert", "snapshot-delete":
		return snapshotPatience
	}
	return virshPatience
}

// virsh runs one command with input, and returns what it printed. A connection that hangs is an error after a while.
func (l libvirtd) virsh(ctx context.Context, input string, args ...string) (string, error) {
	patience := patienceFor(args[0])
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "virsh", append([]string{"--quiet", "--connect", string(l)}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.Stdin = strings.NewReader(input)
	var out, why strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &why
	cmd.WaitDelay = time.Second // an ssh below it may hold on to our pipes
	if err := cmd.Run(); err != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return "", fmt.Errorf("virsh %s: no answer within %s", args[0], patience)
		}
		said := strings.TrimSpace(strings.ReplaceAll(why.String(), "error: ", ""))
		return "", fmt.Errorf("virsh %s: %s", args[0], strings.ReplaceAll(said, "\n", ": "))
	}
	return out.String(), nil
}

// noDomain tells the error of virsh for a domain that is not there (libvirt, src/util/virerror.c).
func noDomain(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "failed to get domain") || strings.Contains(err.Error(), "Domain not found"))
}
