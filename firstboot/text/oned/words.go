package oned

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"goldsmith/firstboot/text"
)

// ErrOverridden is returned, wrapped, by [AddOverride] when the action runs another script already.
var ErrOverridden = errors.New("already overridden")

// The options that the ARGUMENTS of drivers take, with a comma list behind them.
const (
	optTypes   = "-d|--tm-types|--ds-types" // one_tm.rb, one_datastore.rb; absent: every driver that is installed
	optSystem  = "-s|--system-ds-types"     // one_datastore.rb; absent: shared, ssh, ceph
	optActions = "-l|--local"               // one_vmm_exec.rb: action or action=script
)

// AddWord returns data with word in the comma list that follows option in the value of key, as in
//
//	AddWord(data, "TM_MAD/ARGUMENTS", "-d", "vitastor")
//
// Long forms of the option (--tm-types=..., --system-ds-types ...) are understood. The word goes to the end of the list. Where
// the value lacks the option, the driver has a default of its own, and the error wraps [text.ErrNoKey].
func AddWord(data []byte, key, option, word string) ([]byte, error) {
	return Edit(data, key, func(args string) (string, error) {
		at, end, ok := findOption(args, forms(option))
		if !ok {
			return "", fmt.Errorf("%w: %s has no option %s in %q", text.ErrNoKey, key, option, args)
		}
		if slices.Contains(words(args[at:end]), word) {
			return args, nil
		}
		return args[:end] + "," + word + args[end:], nil
	})
}

// AddOverride returns data in which the VM driver at key (VM_MAD[NAME=kvm]) runs script on the front-end for an action:
// "-l deploy=deploy.vitastor" in its ARGUMENTS, merged into a -l that is there. An action that has another script, or that
// was made local without one, is [ErrOverridden].
func AddOverride(data []byte, key, action, script string) ([]byte, error) {
	return Edit(data, key+"/ARGUMENTS", func(args string) (string, error) {
		item := action + "=" + script
		at, end, ok := findOption(args, forms("-l"))
		if !ok {
			return strings.TrimRight(args, " ") + " -l " + item, nil
		}
		for _, w := range words(args[at:end]) {
			if w == item {
				return args, nil
			}
			if name, _, _ := strings.Cut(w, "="); name == action {
				return "", fmt.Errorf("%s: %w by %q", action, ErrOverridden, w)
			}
		}
		return args[:end] + "," + item + args[end:], nil
	})
}

// Edit returns data with the value of key changed by f. A key that is absent is [text.ErrNoKey].
func Edit(data []byte, key string, f func(old string) (string, error)) ([]byte, error) {
	parsed, err := Parse(data)
	if err != nil {
		return nil, err
	}
	old, ok, err := parsed.Get(key)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("%w: %s", text.ErrNoKey, key)
	}
	value, err := f(old)
	if err != nil {
		return nil, err
	}
	return Set(data, key, value)
}

// forms returns all spellings of an option.
func forms(option string) []string {
	for _, f := range []string{optTypes, optSystem, optActions} {
		if all := strings.Split(f, "|"); slices.Contains(all, option) {
			return all
		}
	}
	return []string{option}
}

// Words returns the comma list that follows option in args, as AddWord sees it.
func Words(args, option string) ([]string, bool) {
	at, end, ok := findOption(args, forms(option))
	return words(args[at:end]), ok
}

func words(list string) []string {
	var out []string
	for w := range strings.SplitSeq(list, ",") {
		if w = strings.TrimSpace(w); w != "" {
			out = append(out, w)
		}
	}
	return out
}

// findOption returns where the argument of an option stands. The last occurrence counts, as in the drivers' loops over
// GetoptLong. An option without argument is as good as absent.
func findOption(args string, names []string) (at, end int, ok bool) {
	fields := fieldsAt(args)
	for i, f := range fields {
		for _, name := range names {
			switch word := args[f[0]:f[1]]; {
			case word == name && i+1 < len(fields) && args[fields[i+1][0]] != '-':
				at, end, ok = fields[i+1][0], fields[i+1][1], true
			case strings.HasPrefix(name, "--") && strings.HasPrefix(word, name+"="):
				at, end, ok = f[0]+len(name)+1, f[1], true
			case len(name) == 2 && strings.HasPrefix(word, name) && word != name:
				at, end, ok = f[0]+2, f[1], true
			}
		}
	}
	return at, end, ok
}

// fieldsAt returns start and end of every word between blanks.
func fieldsAt(s string) [][2]int {
	var out [][2]int
	for i := 0; i < len(s); {
		if isBlankOrNewline(s[i]) {
			i++
			continue
		}
		n := span([]byte(s[i:]), func(c byte) bool { return !isBlankOrNewline(c) })
		out = append(out, [2]int{i, i + n})
		i += n
	}
	return out
}
