package lease

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Groups of rtnetlink that matter to a face, as the bit mask of struct sockaddr_nl. AddressGroups is what a systemd socket
// unit listens to (ListenNetlink=route 272): only addresses, since every tap of every nested VM is a link event.
const (
	AddressGroups = unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR
	allGroups     = AddressGroups | unix.RTMGRP_LINK | unix.RTMGRP_IPV4_ROUTE | unix.RTMGRP_IPV6_ROUTE
)

// Events tells that something in the network changed. What it was does not matter: the kernel is asked again, so a lost
// event does no harm as long as one comes.
type Events struct{ f *os.File }

// Subscribe opens a socket for the events of this network namespace.
func Subscribe() (*Events, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("cannot watch the network: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: allGroups}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("cannot watch the network: %w", err)
	}
	return &Events{os.NewFile(uintptr(fd), "rtnetlink")}, nil
}

// Inherit takes over a socket that systemd has opened and bound.
func Inherit(fd uintptr) (*Events, error) {
	if err := unix.SetNonblock(int(fd), true); err != nil {
		return nil, fmt.Errorf("cannot watch the network by the given socket: %w", err)
	}
	return &Events{os.NewFile(fd, "rtnetlink")}, nil
}

// Close ends the subscription.
func (e *Events) Close() error { return e.f.Close() }

// Wait returns true after an event, false at the given moment (never, when it is zero), and the context's error when that
// comes first.
func (e *Events) Wait(ctx context.Context, until time.Time) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, context.Cause(ctx)
	}
	if err := e.f.SetReadDeadline(until); err != nil {
		return false, fmt.Errorf("cannot watch the network: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { e.f.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	_, err := e.f.Read(make([]byte, 64<<10))
	switch {
	case err == nil, errors.Is(err, unix.ENOBUFS): // more came than the socket holds: an event it is
		return true, nil
	case ctx.Err() != nil:
		return false, context.Cause(ctx)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return false, nil
	}
	return false, fmt.Errorf("cannot watch the network: %w", err)
}

// Drain waits until no event has come for the given time, or limit has passed.
func (e *Events) Drain(ctx context.Context, quiet, limit time.Duration) error {
	end := time.Now().Add(limit)
	for time.Now().Before(end) {
		more, err := e.Wait(ctx, time.Now().Add(quiet))
		if err != nil || !more {
			return err
		}
	}
	return nil
}
