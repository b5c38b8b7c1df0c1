// Command goldsmith is the bench: it bakes, seals, proves, clones and finds golden images.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/urfave/cli/v2"

	"goldsmith/firstboot/report"
)

func main() { os.Exit(int(process())) }

// process is the program as a process: with the arguments, files and signals that one has.
func process() report.Code {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return run(ctx, os.Args, os.Stdin, os.Stdout, os.Stderr)
}

// run is the whole program without the process around it.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) report.Code {
	app := newApp()
	app.Reader, app.Writer, app.ErrWriter = stdin, stdout, stderr
	err := app.RunContext(ctx, flagsFirst(app, args))
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = report.Faultf(report.Stopped, "interrupted") // whatever was cut short by that
	}
	if err != nil {
		fmt.Fprint(stderr, report.Explain("goldsmith", err))
	}
	return report.CodeOf(err)
}

// newApp lists the commands in the order of the road: make, look, multiply, find, remove.
func newApp() *cli.App {
	return &cli.App{
		Name:                 "goldsmith",
		Usage:                "bake a VM image with a cloud inside that can be cloned into one VLAN",
		Version:              version(),
		HideHelpCommand:      true,
		EnableBashCompletion: true,
		ExitErrHandler:       func(*cli.Context, error) {}, // run prints and maps errors, once
		OnUsageError:         usageError,
		Action:               unknown,
		Commands:             commands(),
	}
}

// unknown is what runs when no command is named, or one that is not there.
func unknown(c *cli.Context) error {
	if !c.Args().Present() {
		return cli.ShowAppHelp(c)
	}
	return report.Faultf(report.Usage, "unknown command %q", c.Args().First()).WithHint("goldsmith --help")
}

// commands is the list of all commands; each lives in a file of its own.
func commands() []*cli.Command {
	list := []*cli.Command{
		bakeCommand(), adoptCommand(), sealCommand(), cleanCommand(), answersCommand(), imagesCommand(),
		inspectCommand(), auditCommand(), growCommand(), exportCommand(),
		cloneCommand(), listCommand(), waitCommand(), reportCommand(), logsCommand(), consoleCommand(), shellCommand(), sshCommand(),
		verifyCommand(), discoverCommand(), snapshotCommand(), restoreCommand(), removeCommand(),
		manCommand(), completionCommand(),
	}
	for _, c := range list {
		c.OnUsageError = usageError
		for _, sub := range c.Subcommands {
			sub.OnUsageError = usageError
		}
	}
	return list
}

// usageError turns what the flag parser says into bad input with a hint.
func usageError(c *cli.Context, err error, _ bool) error {
	return report.Faultf(report.Usage, "%w", err).WithHint("%s --help", c.App.HelpName)
}
