package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/urfave/cli/v2"
)

func TestFlagsMayFollowArguments(t *testing.T) {
	app := &cli.App{Commands: []*cli.Command{
		{Name: "clone", Flags: []cli.Flag{
			&cli.IntFlag{Name: "count", Aliases: []string{"n"}}, &cli.StringFlag{Name: "name"}, &cli.BoolFlag{Name: "wait"},
		}},
		{Name: "shell"},
		{Name: "answers", Subcommands: []*cli.Command{{Name: "check", Flags: []cli.Flag{&cli.BoolFlag{Name: "json"}}}}},
	}}
	tests := []struct {
		name     string
		in, want []string
	}{
		{"behind", []string{"g", "clone", "im", "-n", "3", "--wait", "--name", "x"}, []string{"g", "clone", "-n", "3", "--wait", "--name", "x", "im"}},
		{"before", []string{"g", "clone", "-n", "3", "im"}, []string{"g", "clone", "-n", "3", "im"}},
		{"a boolean takes no word", []string{"g", "clone", "--wait", "im"}, []string{"g", "clone", "--wait", "im"}},
		{"with an equals sign", []string{"g", "clone", "im", "--name=x", "more"}, []string{"g", "clone", "--name=x", "im", "more"}},
		{"two hyphens end them", []string{"g", "clone", "im", "--wait", "--", "-n"}, []string{"g", "clone", "--wait", "--", "im", "-n"}},
		{"an unknown flag stays a flag", []string{"g", "clone", "im", "--nme", "x"}, []string{"g", "clone", "--nme", "im", "x"}},
		{"a value is missing", []string{"g", "clone", "im", "--name"}, []string{"g", "clone", "--name", "im"}},
		{"a command line inside is left alone", []string{"g", "shell", "c", "ls", "-n"}, []string{"g", "shell", "c", "ls", "-n"}},
		{"below a command", []string{"g", "answers", "check", "a", "--json"}, []string{"g", "answers", "check", "--json", "a"}},
		{"no such command below", []string{"g", "answers", "chekc", "a", "--json"}, []string{"g", "answers", "chekc", "a", "--json"}},
		{"no command", []string{"g", "--help"}, []string{"g", "--help"}},
		{"no such command", []string{"g", "colne", "-n", "3"}, []string{"g", "colne", "-n", "3"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, flagsFirst(app, tt.in)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
