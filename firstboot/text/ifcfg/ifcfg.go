// Package ifcfg edits the interface files of Red Hat's network scripts (ifcfg-*): shell variables, of which OVS_EXTRA holds
// ovs-vsctl commands that name the machine's MAC once more.
//
// A key is the name of a variable, or one column that OVS_EXTRA sets, as "OVS_EXTRA bridge br-ex other-config:hwaddr".
// ovs-vsctl takes "-" and "_" and any case for the same in names of tables and columns, and so does this package. A record
// that is written $DEVICE is the one that DEVICE names.
//
// MACs are given in lower case, however they are written, and are taken in lower case: a MAC that the file has in capitals
// already is left as it is.
package ifcfg

import (
	"errors"
	"fmt"
	"strings"

	"goldsmith/firstboot/text"
	"goldsmith/firstboot/text/edit"
	"goldsmith/firstboot/text/shellvar"
)

// Codec reads and sets variables, and columns inside OVS_EXTRA. OVS_EXTRA as a whole is not settable: see package shellvar.
var Codec = edit.Format{Name: "ifcfg", Scan: scan, ID: id, Encode: encode, Add: add, Deletes: true}.Codec()

const extra = "OVS_EXTRA"

// BridgeMAC returns the MAC that OVS_EXTRA gives to the bridge (other-config:hwaddr), in lower case.
func BridgeMAC(data []byte, bridge string) (mac string, ok bool, err error) {
	return Codec.Get(data, hwaddr(bridge))
}

// SetBridgeMAC sets the MAC that OVS_EXTRA gives to the bridge, or returns text.ErrNoKey where it gives none. All other
// words of OVS_EXTRA stay as they are spelled.
func SetBridgeMAC(data []byte, bridge, mac string) ([]byte, error) {
	return Codec.Set(data, hwaddr(bridge), mac)
}

func hwaddr(bridge string) string { return extra + " bridge " + bridge + " other-config:hwaddr" }

func id(key string) (string, error) {
	words := strings.Fields(key)
	switch {
	case len(words) == 4 && words[0] == extra && strings.Join(words, " ") == key:
		return columnID(words[1], words[2], words[3]), nil
	case len(words) == 1 && key != extra:
		return key, nil
	}
	return "", fmt.Errorf("cannot use %q as a key: it is a variable, or as in %q", key, hwaddr("br-ex"))
}

// columnID writes table and column as the database names them.
func columnID(table, record, column string) string {
	name, key, keyed := strings.Cut(column, ":")
	name = strings.ReplaceAll(strings.ToLower(name), "-", "_")
	if keyed {
		name += ":" + key
	}
	return extra + " " + strings.ToLower(table) + " " + record + " " + name
}

func scan(data []byte) ([]edit.Item, error) {
	vars, err := shellvar.Scan(data)
	if err != nil {
		return nil, err
	}
	var items []edit.Item
	in, hasExtra := edit.Find(vars, extra)
	for _, it := range vars {
		if isMAC(it.Value) {
			it.Value = strings.ToLower(it.Value)
		}
		switch {
		case it.Key != extra:
			items = append(items, it)
		case hasExtra && it.Text == in.Text:
			items = append(items, columns(data, it, vars)...)
		}
	}
	return items, nil
}

func isMAC(s string) bool {
	if len(s) != len("00:00:00:00:00:00") {
		return false
	}
	for i := range len(s) {
		hex := s[i] >= '0' && s[i] <= '9' || s[i]|0x20 >= 'a' && s[i]|0x20 <= 'f'
		if (i%3 == 2) != (s[i] == ':') || i%3 != 2 && !hex {
			return false
		}
	}
	return true
}

func encode(data []byte, it edit.Item, value string) (string, error) {
	if isMAC(value) && value != strings.ToLower(value) {
		return "", errors.New("cannot take a MAC in capitals: give it in lower case")
	}
	if !strings.HasPrefix(it.Key, extra+" ") {
		return shellvar.Encode(data, it, value)
	}
	if value == "" || strings.ContainsAny(value, " \t\r\n\"'\\$`") || value == "--" {
		return "", errors.New("cannot write a value with blanks, quotes or expansions into OVS_EXTRA")
	}
	return value, nil
}

func add(data []byte, items []edit.Item, key, value string) ([]byte, error) {
	if strings.HasPrefix(key, extra) {
		return nil, fmt.Errorf("%w: %s", text.ErrNoKey, key)
	}
	if _, err := shellvar.Codec.Set(nil, key, ""); err != nil {
		return nil, err // no name of a variable
	}
	return shellvar.Add(data, items, key, value)
}
