package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/urfave/cli/v2"

	"goldsmith/firstboot"
	"goldsmith/firstboot/lease"
	"goldsmith/firstboot/report"
	"goldsmith/firstboot/rewriters"
)

func watchCommand() *cli.Command {
	return &cli.Command{Name: "watch", Usage: "follow the clone's address when it changes",
		Description: "goldsmith-watch.socket starts it on each change, and it ends when the clone has followed. Started by hand it\n" +
			"stays, and follows until it is interrupted.",
		Action: watch}
}

func watch(c *cli.Context) error {
	e, done, err := open(c)
	if err != nil {
		return err
	}
	defer done()
	if !e.Host.Running() {
		return report.Faultf(report.Usage, "cannot watch a tree: nothing changes its address")
	}
	e.Console = c.App.Writer
	last, err := converged(e)
	if err != nil {
		return err
	}
	if fd, ok := listenFD(os.Getenv); ok {
		return once(c.Context, e, fd, last)
	}
	err = lease.Watch(c.Context, last.Interface, last, func(ctx context.Context, f lease.Face) error { return followFace(ctx, e, f) })
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// converged returns the face that the stack phase reached last; the zero Face when it has not been reached.
func converged(e *firstboot.Engine) (lease.Face, error) {
	id, err := firstboot.Reached(e.Host, rewriters.Stack)
	return lease.Face{Interface: id.Interface, Address: id.Address, Address6: id.Address6, PrefixLen: id.PrefixLen}, err
}

// once follows one change, of which the socket has told.
func once(ctx context.Context, e *firstboot.Engine, fd uintptr, last lease.Face) error {
	events, err := lease.Inherit(fd)
	if err != nil {
		return err
	}
	defer events.Close()
	now, ok, err := lease.Settled(ctx, events, last.Interface)
	if err != nil || !ok || now.Same(last) {
		return err
	}
	return followFace(ctx, e, now)
}

func followFace(ctx context.Context, e *firstboot.Engine, f lease.Face) error {
	fmt.Fprintf(e.Console, "firstboot: the address on %s is %s now\n", f.Interface, f.Address)
	_, err := e.Run(ctx, rewriters.Stack)
	return err
}

// listenFD returns the first socket that systemd has passed (sd_listen_fds(3)).
func listenFD(getenv func(string) string) (uintptr, bool) {
	const first = 3
	pid, err := strconv.Atoi(getenv("LISTEN_PID"))
	n, err2 := strconv.Atoi(getenv("LISTEN_FDS"))
	return first, err == nil && err2 == nil && pid == os.Getpid() && n > 0
}
