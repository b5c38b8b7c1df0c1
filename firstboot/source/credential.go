package source

import (
	"encoding/base64"
	"fmt"
	"path"
	"strings"

	"goldsmith/firstboot/identity"
)

// credential reads the claim from the places where systemd (v247 and later) and systemd-nspawn put credentials.
func (f *finder) credential() (*draft, error) {
	dirs := []string{"/run/credentials/@system", "/run/host/credentials"}
	if d := f.getenv("CREDENTIALS_DIRECTORY"); d != "" {
		dirs = append([]string{d}, dirs...)
	}
	for _, dir := range dirs {
		name := path.Join(dir, identity.Credential)
		data, ok, err := optional(f, name)
		if err != nil {
			return nil, err
		}
		if ok {
			return decode("credential "+name, data), nil
		}
	}
	return nil, nil
}

// Where the kernel shows the firmware's tables. The entries need the dmi_sysfs module, which systemd loads since v252; the
// whole table is there without it (Linux 4.2).
const (
	dmiEntries = "/sys/firmware/dmi/entries/11-*/raw"
	dmiTable   = "/sys/firmware/dmi/tables/DMI"
	fwCfg      = "/sys/firmware/qemu_fw_cfg/by_name/opt/io.systemd.credentials/" + identity.Credential + "/raw"
)

// firmware reads the same credential where systemd is too old to hand it over (before v252).
func (f *finder) firmware() (*draft, error) {
	paths, err := f.Glob(dmiEntries)
	if err != nil {
		return nil, fmt.Errorf("cannot read SMBIOS: %w", err)
	}
	if len(paths) == 0 {
		paths = []string{dmiTable}
	}
	for _, p := range paths {
		data, ok, err := optional(f, p)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		if d := fromSMBIOS(data); d != nil {
			return d, nil
		}
	}
	data, ok, err := optional(f, fwCfg)
	if err != nil || !ok {
		return nil, err
	}
	return decode("fw_cfg of QEMU", data), nil
}

// fromSMBIOS looks for our credential among the OEM strings of a table.
func fromSMBIOS(table []byte) *draft {
	const name = "credential in SMBIOS type 11"
	for _, s := range oemStrings(table) {
		if v, ok := strings.CutPrefix(s, "io.systemd.credential:"+identity.Credential+"="); ok {
			return decode(name, []byte(v))
		}
		if v, ok := strings.CutPrefix(s, "io.systemd.credential.binary:"+identity.Credential+"="); ok {
			data, err := base64.StdEncoding.DecodeString(v)
			if err != nil {
				return &draft{source: name, errs: []error{fmt.Errorf("cannot read %s: not base64", name)}}
			}
			return decode(name, data)
		}
	}
	return nil
}

// oemStrings returns the strings of all structures of type 11. A structure is a formatted part (type, length, handle)
// followed by strings that end with NUL, and one more NUL (SMBIOS 3.6, section 6.1). A table that breaks off ends there.
func oemStrings(table []byte) []string {
	const header, typeOEM, typeEnd = 4, 11, 127
	var found []string
	for len(table) >= header && table[0] != typeEnd {
		kind, length := table[0], int(table[1])
		if length < header || length > len(table) {
			break
		}
		table = table[length:]
		end := strings.Index(string(table), "\x00\x00")
		if end < 0 {
			break
		}
		if kind == typeOEM {
			found = append(found, strings.Split(string(table[:end]), "\x00")...)
		}
		table = table[end+2:]
	}
	return found
}
