package install

import (
	"context"
	"io"

	"goldsmith/builder/machine"
	"goldsmith/builder/recipe"
	"goldsmith/builder/tree"
	"goldsmith/firstboot/identity"
)

// An openStack configures an all-in-one cloud in the booted machine.
type openStack struct {
	recipe.OpenStack
	id   identity.Identity
	m    *machine.Booted
	root *tree.FS
	log  io.Writer
	wait func(string)
}

func (o openStack) configure(ctx context.Context) error { return ctx.Err() }
