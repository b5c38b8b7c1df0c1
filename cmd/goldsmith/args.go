package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// flagsFirst moves the flags of a command before its arguments, because the flag parser stops at the first argument and
// people write "goldsmith clone IMAGE -n 3". Commands that run somebody else's command line keep theirs as it is, and
// "--" ends the flags as everywhere.
func flagsFirst(app *cli.App, args []string) []string {
	commands := app.Commands
	for i := 1; i < len(args); i++ {
		if strings.HasPrefix(args[i], "-") {
			continue
		}
		at := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.HasName(args[i]) })
		if at < 0 || slices.Contains(verbatim, commands[at].Name) {
			return args
		}
		if len(commands[at].Subcommands) == 0 {
			return slices.Concat(args[:i+1], reorder(commands[at], args[i+1:]))
		}
		commands = commands[at].Subcommands
	}
	return args
}

// verbatim names the commands whose arguments are a command line.
var verbatim = []string{"shell", "ssh"}

func reorder(c *cli.Command, args []string) []string {
	var flags, rest []string
	for i := 0; i < len(args); i++ {
		switch a := args[i]; {
		case a == "--":
			return slices.Concat(flags, args[i:i+1], rest, args[i+1:])
		case len(a) < 2 || a[0] != '-':
			rest = append(rest, a)
		case takesValue(c, a) && i+1 < len(args):
			flags = append(flags, a, args[i+1])
			i++
		default:
			flags = append(flags, a)
		}
	}
	return slices.Concat(flags, rest)
}

// takesValue says whether the next word belongs to flag a.
func takesValue(c *cli.Command, a string) bool {
	name := strings.TrimLeft(a, "-")
	for _, f := range c.Flags {
		if d, ok := f.(cli.DocGenerationFlag); ok && slices.Contains(f.Names(), name) {
			return d.TakesValue()
		}
	}
	return false
}
