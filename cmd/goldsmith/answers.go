package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"goldsmith/builder/answers"
	"goldsmith/builder/answers/lint"
	"goldsmith/builder/answers/packstack"
	"goldsmith/firstboot/report"
)

// answersCommand is for the files that installers read their answers from. Its law: a secret is never printed, a file is
// written whole with mode 0600 or not at all, and what is wrong is said all at once, with exit code 2.
func answersCommand() *cli.Command {
	return &cli.Command{
		Name:  "answers",
		Usage: "write, check, edit and compare the answer files of packstack, engine-setup and hosted-engine",
		Action: func(c *cli.Context) error {
			return report.Faultf(report.Usage, "cannot do %q with answers", c.Args().First()).WithHint("goldsmith answers new|check|set|diff")
		},
		Subcommands: []*cli.Command{
			{
				Name: "new", Usage: "write a complete answer file with random passwords", ArgsUsage: "FILE", Action: answersNew,
				Flags: append(targetFlags(),
					&cli.GenericFlag{Name: "set", Value: new(words), Usage: "give an answer as `KEY=VALUE` (may be repeated; others on this machine can see it while the command runs)"},
					&cli.StringFlag{Name: "address", Value: "127.0.0.1", Usage: "`ADDRESS` of hosts that are not given otherwise (packstack)"},
					&cli.StringFlag{Name: "hostname", Usage: "`NAME` in certificates (packstack), or of the engine (engine-setup)"},
					&cli.BoolFlag{Name: "force", Usage: "overwrite FILE"}),
			},
			{
				Name: "check", Usage: "find every mistake in answer files", ArgsUsage: "FILE...", Action: answersCheck,
				Description: "FILE may be - for standard input. An error means that the installer refuses the file, or reads something else than\n" +
					"stands there; a warning, that it does what the file says, which is rarely wanted in a golden image.",
				Flags: append(targetFlags(), jsonFlag(), &cli.BoolFlag{Name: "strict", Usage: "take warnings for errors"}),
			},
			{
				Name: "set", Usage: "change answers in place, with comments and order kept", ArgsUsage: "FILE [KEY=VALUE...]", Action: answersSet,
				Flags: append(targetFlags(),
					&cli.GenericFlag{Name: "generate", Value: new(words), Usage: "give `KEY` a new random secret (may be repeated)"},
					&cli.GenericFlag{Name: "delete", Value: new(words), Usage: "take `KEY` out (may be repeated)"},
					&cli.BoolFlag{Name: "dry-run", Aliases: []string{"n"}, Usage: "say what would change, and change nothing"}),
			},
			{
				Name: "diff", Usage: "compare two answer files by what they say", ArgsUsage: "A B", Action: answersDiff,
				Flags: append(targetFlags(), jsonFlag()),
			},
		},
	}
}

func targetFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "kind", Usage: "`KIND` of the file: " + strings.Join(answers.Kinds(), ", ") + " (default: what it looks like)"},
		&cli.StringFlag{Name: "release", Usage: "`RELEASE` of the installer: 17.0.0 or 26.0.0 of packstack, 3.4 or 4.5 of oVirt"},
		&cli.StringFlag{Name: "preset", Usage: "answers that belong together, by `NAME`: " + strings.Join(packstack.PresetNames(), ", ")},
		&cli.StringFlag{Name: "nic", Usage: "`INTERFACE` that goes into the external bridge of the preset"},
	}
}

// words is a flag that may be repeated, and whose values may hold commas: many answers are lists.
type words []string

// Set adds one value.
func (w *words) Set(value string) error {
	*w = append(*w, value)
	return nil
}

// String is empty: there is no default to show, and a value may be a secret.
func (w *words) String() string { return "" }

func wordsOf(c *cli.Context, name string) []string {
	w, ok := c.Generic(name).(*words)
	if !ok {
		return nil
	}
	return *w
}

// target is the installer that the flags name; without --kind the one that the file looks like it is for.
func target(c *cli.Context, data []byte, fallback string) (*answers.Target, error) {
	kind := c.String("kind")
	if kind == "" {
		kind = answers.Detect(data)
	}
	if kind == "" {
		kind = fallback
	}
	if kind == "" {
		return nil, report.Faultf(report.Usage, "cannot tell which installer the file is for").WithHint("--kind %s", strings.Join(answers.Kinds(), "|"))
	}
	var preset *packstack.Preset
	if name := c.String("preset"); name != "" {
		var err error
		if preset, err = packstack.PresetFor(name, c.String("nic")); err != nil {
			return nil, badAnswers(err)
		}
	}
	t, err := answers.TargetFor(kind, c.String("release"), preset)
	return t, badAnswers(err)
}

// badAnswers makes err bad input, with the hints of the findings in it.
func badAnswers(err error) error {
	if err == nil {
		return nil
	}
	f := report.Faultf(report.Usage, "%w", err)
	var r *lint.Rejected
	if errors.As(err, &r) {
		for _, x := range r.Findings {
			if x.Severity == lint.Error && x.Hint != "" {
				f = f.WithHint("%s", x.Hint)
			}
		}
	}
	return f
}

func answersNew(c *cli.Context) error {
	if c.NArg() != 1 || c.Args().First() == "-" {
		return report.Faultf(report.Usage, "cannot write answers: give one file, which will hold passwords").
			WithHint("goldsmith answers new --preset clone-aio --nic ens192 answers.txt")
	}
	path := c.Args().First()
	if c.String("preset") != "" && c.String("nic") == "" {
		return report.Faultf(report.Usage, "cannot write %s: preset %s needs the interface that goes into br-ex", path, c.String("preset")).
			WithHint("--nic ens192")
	}
	set, err := pairs(wordsOf(c, "set"))
	if err != nil {
		return err
	}
	t, err := target(c, nil, packstack.KindName)
	if err != nil {
		return err
	}
	data, err := t.New(answers.Order{Set: set, Address: c.String("address"), Hostname: c.String("hostname"), Random: rand.Reader})
	if err != nil {
		return badAnswers(err)
	}
	if c.Bool("force") {
		err = answers.Replace(path, data)
	} else if err = answers.Create(path, data); errors.Is(err, fs.ErrExist) {
		return report.Faultf(report.Usage, "cannot write %s: it exists", path).WithHint("--force overwrites it, and the passwords in it are lost")
	}
	if err != nil {
		return badAnswers(err)
	}
	_, err = fmt.Fprintf(c.App.Writer, "%s: %s %s, mode 0600, random passwords\n", path, t.Kind, t.Release)
	return err
}

// pairs reads KEY=VALUE arguments; a key that stands twice is a mistake.
func pairs(args []string) (map[string]string, error) {
	out := map[string]string{}
	for _, a := range args {
		key, value, ok := strings.Cut(a, "=")
		key = strings.TrimSpace(key)
		_, twice := out[key]
		switch {
		case !ok || key == "":
			return nil, report.Faultf(report.Usage, "cannot take an answer that is not KEY=VALUE")
		case twice:
			return nil, report.Faultf(report.Usage, "cannot set %s twice", key)
		}
		out[key] = value
	}
	return out, nil
}

// maxAnswers is far above any real answer file; the largest is 60 KiB.
const maxAnswers = 4 << 20

// readAnswers reads a file, or standard input for "-". Mode is 0 where there is none.
func readAnswers(c *cli.Context, path string) (data []byte, mode fs.FileMode, err error) {
	in := c.App.Reader
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, 0, report.Faultf(report.Usage, "cannot read answers: %w", err)
		}
		defer f.Close()
		s, err := f.Stat()
		if err != nil {
			return nil, 0, report.Faultf(report.Usage, "cannot read answers: %w", err)
		}
		in, mode = f, s.Mode().Perm()
	}
	data, err = io.ReadAll(io.LimitReader(in, maxAnswers+1))
	if err != nil {
		return nil, 0, report.Faultf(report.Usage, "cannot read answers: %w", err)
	}
	if len(data) > maxAnswers {
		return nil, 0, report.Faultf(report.Usage, "cannot read answers: %s is larger than 4 MiB", path)
	}
	return data, mode, nil
}

func answersCheck(c *cli.Context) error {
	if c.NArg() == 0 {
		return report.Faultf(report.Usage, "cannot check: give a file").WithHint("goldsmith answers check answers.txt")
	}
	var list []*lint.Report
	for _, path := range c.Args().Slice() {
		r, err := checkFile(c, path)
		if err != nil {
			return err
		}
		list = append(list, r)
	}
	if err := printReports(c, list); err != nil {
		return err
	}
	var bad []error
	for _, r := range list {
		if r.Errors > 0 || c.Bool("strict") && r.Warnings > 0 {
			bad = append(bad, report.Faultf(report.Usage, "%s must not be used: %d errors, %d warnings", r.File, r.Errors, r.Warnings))
		}
	}
	return errors.Join(bad...)
}

func checkFile(c *cli.Context, path string) (*lint.Report, error) {
	data, mode, err := readAnswers(c, path)
	if err != nil {
		return nil, err
	}
	t, err := target(c, data, "")
	if err != nil {
		return nil, err
	}
	r := t.Check(data)
	if mode&0o077 != 0 {
		r.Add(lint.Finding{Severity: lint.Warning, Code: "mode", Hint: "chmod 600 FILE",
			Message: fmt.Sprintf("the file holds passwords, and others may read it (mode %04o)", mode)})
	}
	return r.For(path), nil
}

func printReports(c *cli.Context, list []*lint.Report) error {
	if !c.Bool("json") {
		for _, r := range list {
			r.Text(c.App.Writer)
		}
		return nil
	}
	e := json.NewEncoder(c.App.Writer)
	e.SetIndent("", "  ")
	return e.Encode(list)
}

func answersSet(c *cli.Context) error {
	set, err := pairs(c.Args().Tail())
	if err != nil {
		return err
	}
	edit := answers.Edit{Set: set, Generate: wordsOf(c, "generate"), Delete: wordsOf(c, "delete"), Random: rand.Reader}
	n := len(edit.Set) + len(edit.Generate) + len(edit.Delete)
	path := c.Args().First()
	if path == "" || path == "-" || n == 0 {
		return report.Faultf(report.Usage, "cannot set: give a file and what to change").
			WithHint("goldsmith answers set answers.txt CONFIG_PROVISION_DEMO=n")
	}
	data, _, err := readAnswers(c, path)
	if err != nil {
		return err
	}
	t, err := target(c, data, "")
	if err != nil {
		return err
	}
	after, err := t.Set(data, edit)
	if err != nil {
		return badAnswers(err)
	}
	return writeChanges(c, t, path, data, after)
}

// writeChanges writes the edited file, says what changed, and whether mistakes are left in it.
func writeChanges(c *cli.Context, t *answers.Target, path string, before, after []byte) error {
	if string(before) == string(after) {
		_, err := fmt.Fprintf(c.App.Writer, "%s: nothing to change\n", path)
		return err
	}
	if !c.Bool("dry-run") {
		if err := answers.Replace(path, after); err != nil {
			return badAnswers(err)
		}
	}
	// A file with a key that stood twice does not compare; it was repaired, and there is nothing to list.
	if changes, err := t.Diff(before, after); err == nil {
		printChanges(c.App.Writer, changes)
	}
	if r := t.Check(after); r.Errors > 0 {
		fmt.Fprintf(c.App.ErrWriter, "%s: errors left in it: %d\nhint: goldsmith answers check %s\n", path, r.Errors, path)
	}
	return nil
}

func answersDiff(c *cli.Context) error {
	if c.NArg() != 2 {
		return report.Faultf(report.Usage, "cannot compare: give two files").WithHint("goldsmith answers diff old.txt new.txt")
	}
	a, _, err := readAnswers(c, c.Args().Get(0))
	if err != nil {
		return err
	}
	b, _, err := readAnswers(c, c.Args().Get(1))
	if err != nil {
		return err
	}
	t, err := target(c, a, "")
	if err != nil {
		return err
	}
	changes, err := t.Diff(a, b)
	if err != nil {
		return report.Faultf(report.Usage, "cannot compare: %w", err).WithHint("goldsmith answers check FILE")
	}
	if c.Bool("json") {
		if changes == nil {
			changes = []answers.Change{}
		}
		e := json.NewEncoder(c.App.Writer)
		e.SetIndent("", "  ")
		return e.Encode(changes)
	}
	printChanges(c.App.Writer, changes)
	return nil
}

// printChanges writes one line for a key: - for the first file, + for the second, ~ where both have it.
func printChanges(w io.Writer, changes []answers.Change) {
	for _, x := range changes {
		switch {
		case x.A == nil:
			fmt.Fprintf(w, "+ %s=%s\n", x.Key, flat(*x.B))
		case x.B == nil:
			fmt.Fprintf(w, "- %s=%s\n", x.Key, flat(*x.A))
		default:
			fmt.Fprintf(w, "~ %s=%s -> %s\n", x.Key, flat(*x.A), flat(*x.B))
		}
	}
}

// flat keeps a value of several lines in one, and control characters away from the terminal.
func flat(value string) string {
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return fmt.Sprintf("%q", value)
	}
	return value
}
