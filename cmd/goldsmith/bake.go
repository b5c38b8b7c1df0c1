package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/urfave/cli/v2"

	"goldsmith/builder"
	"goldsmith/builder/base/fetch"
	"goldsmith/builder/install"
	"goldsmith/builder/isolate"
	"goldsmith/builder/recipe"
	"goldsmith/builder/seal"
	"goldsmith/firstboot/report"
	"goldsmith/firstboot/rewriters"
	"goldsmith/images"
	"goldsmith/recipes"
	"goldsmith/templates"
)

func bakeCommand() *cli.Command {
	return &cli.Command{
		Name:      "bake",
		Usage:     "make a golden image from a recipe",
		ArgsUsage: "RECIPE",
		Description: "RECIPE is a YAML file, or the name of a recipe that comes with goldsmith. A bake that was stopped, or that\n" +
			"failed, goes on with the phase that it stopped in when the same command is given again.",
		Flags: []cli.Flag{
			homeFlag(),
			&cli.StringFlag{Name: "name", Aliases: []string{"o"}, Usage: "call the image `NAME` instead of what its recipe says"},
			&cli.BoolFlag{Name: "check", Usage: "say all that is wrong with the recipe, and do nothing"},
			&cli.BoolFlag{Name: "plan", Usage: "say what would be done, and do nothing"},
			&cli.BoolFlag{Name: "show", Usage: "print the recipe that comes with goldsmith under this name"},
			&cli.StringFlag{Name: "until", Usage: "stop after `PHASE`"},
			&cli.BoolFlag{Name: "fresh", Usage: "do everything anew, also what is cached"},
			&cli.BoolFlag{Name: "no-proof", Usage: "do not boot a trial clone"},
			&cli.StringFlag{Name: "firstboot", Usage: "put this `PROGRAM` into the image (default: firstboot beside goldsmith)"},
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "print nothing but errors"},
			&cli.BoolFlag{Name: "json", Usage: "print events as JSON, one per line"},
		},
		Action: bake,
	}
}

// library is what recipes may name.
func library() recipe.Library {
	var stacks []string
	for _, r := range rewriters.All() {
		if !r.Base {
			stacks = append(stacks, r.Name)
		}
	}
	l := recipe.Library{Recipes: recipes.FS, Templates: templates.FS, Stacks: stacks, SealOps: seal.Names(seal.All()), Steps: install.Lacks,
		Answers: builder.CheckAnswers}
	if list, err := fetch.LoadCatalogue(images.FS); err == nil { // a test holds that it loads
		l.Images = list.Names()
	}
	return l
}

func bake(c *cli.Context) error {
	if c.NArg() != 1 {
		return report.Faultf(report.Usage, "cannot bake: give one recipe").WithHint("recipes that come with goldsmith: %v", library().Names())
	}
	name := c.Args().First()
	if c.Bool("show") {
		return show(c, name)
	}
	r, err := library().Load(name)
	if err != nil {
		return err
	}
	if c.Bool("check") {
		_, err := fmt.Fprintf(c.App.Writer, "%s: no mistakes, %d packages, %d steps, digest %.12s\n", r.Name, len(r.AllPackages()), len(r.Steps), r.Digest())
		return err
	}
	j, err := newJob(c, r)
	if err != nil {
		return err
	}
	if c.Bool("plan") {
		return j.Plan(c.App.Writer)
	}
	if err := j.Check(); err != nil {
		return err
	}
	if !isolate.Inside() {
		return bakeIsolated(c)
	}
	return bakeInside(c, j)
}

// show prints a bundled recipe, to start from.
func show(c *cli.Context, name string) error {
	data, err := recipes.FS.ReadFile(name + ".yaml")
	if err != nil {
		return report.Faultf(report.Usage, "cannot show recipe %s: none of goldsmith's is called so", name).
			WithHint("recipes that come with goldsmith: %v", library().Names())
	}
	_, err = c.App.Writer.Write(data)
	return err
}

func newJob(c *cli.Context, r *recipe.Recipe) (*builder.Job, error) {
	dir, err := home(c)
	if err != nil {
		return nil, err
	}
	j := &builder.Job{
		Recipe: r, Home: builder.Home{Dir: dir}, Name: r.Name, Version: version(), Until: c.String("until"), Fresh: c.Bool("fresh"),
		NoProof: c.Bool("no-proof"), Firstboot: c.String("firstboot"), Units: rewriters.Waiting(r.Stacks), Prover: prover{},
		Owners: bakedOwners,
	}
	if n := c.String("name"); n != "" {
		j.Name = n
	}
	if j.Catalogue, err = newCatalogue(dir, c.App.ErrWriter); err != nil {
		return nil, err
	}
	j.InUse = func() ([]string, error) { return inUse(dir, j.Name) }
	if j.Firstboot == "" {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		j.Firstboot = filepath.Join(filepath.Dir(self), "firstboot")
	}
	return j, builder.CheckName(j.Name)
}

// bakeIsolated runs the same command in namespaces of its own. It has printed its errors when it comes back.
func bakeIsolated(c *cli.Context) error {
	if err := os.Setenv(builder.PIDVariable, strconv.Itoa(os.Getpid())); err != nil {
		return err
	}
	code, err := isolate.Run(c.Context, c.App.Reader, c.App.Writer, c.App.ErrWriter)
	if err != nil {
		return err
	}
	if code != 0 {
		return report.Said(report.Code(code))
	}
	return nil
}

func bakeInside(c *cli.Context, j *builder.Job) error {
	if err := isolate.Enter(); err != nil {
		return err
	}
	home, err := builder.OpenHome(j.Home.Dir)
	if err != nil {
		return err
	}
	j.Home = home
	ui := newProgress(c)
	j.Tell = ui.tell
	err = builder.Build(c.Context, j)
	return errors.Join(err, ui.end(j, err))
}
