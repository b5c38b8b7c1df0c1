// Package source answers "who am I": it reads what somebody outside has told this clone about itself, and what the machine
// itself shows (NICs, SMBIOS UUID, machine id).
//
// The sources stand in one order and the first that is there answers alone; claims are never mixed, so that nobody has to
// guess which half came from where. A source that is there but cannot be understood is an error that names the source and
// every wrong field: a clone that was told something unreadable must not go on with a guess.
//
//	kernel command line   goldsmith.hostname= goldsmith.interface= ...
//	credential            goldsmith.identity, given by systemd (LoadCredential=, SMBIOS type 11, fw_cfg, nspawn)
//	NoCloud seed          ISO 9660 or FAT volume labelled cidata, then /var/lib/cloud/seed/nocloud
//	OpenNebula context    ISO 9660 volume labelled CONTEXT
//	file                  /etc/goldsmith/identity.json
//
// On a mounted tree only the directory and the file are asked: the rest belongs to the bench.
package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"goldsmith/firstboot/host"
	"goldsmith/firstboot/identity"
)

// None is what Read calls the source when nothing has answered.
const None = "none"

// Read returns the claim of the first source that is there, and that source's name for people.
func Read(ctx context.Context, h host.Reader) (identity.Claim, string, error) {
	f := finder{Reader: h, getenv: os.Getenv, volumes: sync.OnceValues(func() ([]volume, error) { return volumes(h) })}
	return f.read(ctx)
}

// A finder looks into the sources. Its two functions are what is not a file of the machine.
type finder struct {
	host.Reader
	getenv  func(string) string
	volumes func() ([]volume, error)
}

// A draft is a claim that is being read, with all that is wrong with it. A nil draft means that the source is not there.
type draft struct {
	source string
	claim  identity.Claim
	errs   []error
}

func (f *finder) read(ctx context.Context) (identity.Claim, string, error) {
	for _, look := range f.order(ctx) {
		d, err := look()
		if err != nil {
			return identity.Claim{}, "", fmt.Errorf("cannot learn who this machine is: %w", err)
		}
		if d == nil {
			continue
		}
		if len(d.errs) > 0 {
			return identity.Claim{}, d.source, fmt.Errorf("cannot learn who this machine is: %w", errors.Join(d.errs...))
		}
		return d.claim, d.source, nil
	}
	return identity.Claim{}, None, nil
}

// order lists the sources of this kind of machine. A container shares its host's firmware and disks, and a tree its
// bench's: neither is asked there.
func (f *finder) order(ctx context.Context) []func() (*draft, error) {
	if !f.Running() {
		return []func() (*draft, error){f.seedDir, f.file}
	}
	if container(f) {
		return []func() (*draft, error){f.cmdline, f.credential, f.seedDir, f.file}
	}
	seeds := func() (*draft, error) {
		if err := Settle(ctx, f); err != nil {
			return nil, err
		}
		return f.seedVolumes()
	}
	return []func() (*draft, error){f.cmdline, f.credential, f.firmware, seeds, f.seedDir, f.contextVolume, f.file}
}

// optional reads a file that need not be there; ok is false when it is not.
func optional(h host.Reader, path string) (data []byte, ok bool, err error) {
	data, err = h.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("cannot read %s: %w", path, err)
	}
	return data, true, nil
}
