package fleet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"goldsmith/firstboot/report"
)

// errBusy says that another goldsmith holds a lock.
var errBusy = errors.New("another goldsmith is at work there")

// lockDir takes the lock of a folder: an flock on the folder itself, so there is no lock file to leave behind, and the
// kernel lets go of it when the holder dies in whatever way. It tries until patience is over; zero tries once.
func lockDir(ctx context.Context, dir string, patience time.Duration) (unlock func(), err error) {
	deadline := time.Now().Add(patience)
	for {
		unlock, err = tryLock(dir)
		if !errors.Is(err, errBusy) || time.Now().After(deadline) || ctx.Err() != nil {
			return unlock, err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func tryLock(dir string) (func(), error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = fmt.Errorf("cannot lock %s: %w", dir, errBusy)
	}
	if err == nil && !same(f, dir) {
		err = fmt.Errorf("cannot lock %s: %w", dir, os.ErrNotExist) // removed, and perhaps made anew, while we waited
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}

// same says whether path still leads to the open folder.
func same(f *os.File, path string) bool {
	a, errA := f.Stat()
	b, errB := os.Stat(path)
	return errA == nil && errB == nil && os.SameFile(a, b)
}

// busy turns a lock that is held into something the user can act on.
func busy(fleet string, err error) error {
	if !errors.Is(err, errBusy) {
		return err
	}
	return report.Faultf(report.Usage, "cannot change the fleet %s: %w", fleet, errBusy).WithHint("try again when it has finished")
}
