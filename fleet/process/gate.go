package process

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// gate is the program in front of the program: it waits for a word on its standard input and becomes the program only
// then. When goldsmith dies before it has said the word, the read ends at end of file and nothing was started.
const gate = `read -r word && [ "$word" = go ] && exec "$@" </dev/null`

// StartGated starts argv in a session of its own, writing to log, but lets it run only after record has returned nil.
// So there is no moment in which the program runs and nobody knows of it, whatever kills goldsmith. The files in extra
// are its descriptors 3, 4, ...; mountNS gives it a mount namespace of its own that still hears of unmounts outside.
func StartGated(argv []string, opt Options, record func(ID) error) error {
	cmd := command(argv, opt)
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	defer in.Close()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot start %s: %w", argv[0], err)
	}
	go func() { _ = cmd.Wait() }() // reaps it when it ends while we live; after that PID 1 does
	id, err := Of(cmd.Process.Pid)
	if err == nil {
		err = record(id)
	}
	if err != nil {
		return err // the gate sees end of file and leaves
	}
	if _, err := io.WriteString(in, "go\n"); err != nil {
		return fmt.Errorf("cannot let %s run: %w", argv[0], err)
	}
	return nil
}

// Options say how StartGated starts a program.
type Options struct {
	Log     *os.File   // standard output and error
	Extra   []*os.File // descriptors from 3 on
	Env     []string   // NAME=value, beside PATH
	MountNS bool       // a mount namespace of its own
}

func command(argv []string, opt Options) *exec.Cmd {
	args := append([]string{"/bin/sh", "-c", gate, argv[0]}, argv...)
	if opt.MountNS {
		// slave, not private: an unmount on the host must reach the copies in here, or they would pin it for ever
		args = append([]string{"unshare", "--mount", "--propagation", "slave", "--"}, args...)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = opt.Log, opt.Log, opt.Extra
	cmd.Env = append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, opt.Env...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd
}
