package vm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// dialPatience is how long one attempt to log in may take: under emulation sshd's key exchange takes seconds.
const dialPatience = 30 * time.Second

// connect waits until the machine lets us in, and has another boot id than was: the same machine before its reboot does
// not count.
func (m *Machine) connect(ctx context.Context, was string) error {
	ctx, cancel := context.WithTimeout(ctx, m.Patience)
	defer cancel()
	var last error
	for {
		client, err := m.dial(ctx)
		if err == nil {
			m.conn = client
			asking, stop := context.WithTimeout(ctx, dialPatience)
			id, err := m.bootID(asking)
			stop()
			if err == nil && id != was {
				return nil
			}
			last = errors.Join(err, errors.New("it has not gone down yet"))
			m.hangUp()
		} else {
			last = err
		}
		select {
		case <-ctx.Done():
			return m.noAnswer(ctx, last)
		case <-time.After(time.Second):
		}
	}
}

// noAnswer says why nobody answered: the bake was stopped, the machine died, or it took too long.
func (m *Machine) noAnswer(ctx context.Context, last error) error {
	cause := context.Cause(ctx)
	switch {
	case errors.Is(cause, context.Canceled):
		return cause
	case errors.Is(cause, context.DeadlineExceeded):
		return m.silent(fmt.Sprintf("the machine did not answer by SSH within %s (%v); it said last:", m.Patience, last))
	}
	return m.silent(fmt.Sprintf("%v; it said last:", cause))
}

func (m *Machine) dial(ctx context.Context) (*ssh.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, dialPatience)
	defer cancel()
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(m.port))
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() }) // the handshake knows no context
	defer stop()
	c, channels, requests, err := ssh.NewClientConn(conn, address, &ssh.ClientConfig{
		User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(m.key.signer)},
		// The other end of the port is our own QEMU process, and the host key may be made anew at any boot.
		HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	})
	if err != nil {
		return nil, errors.Join(err, ignoreClosed(conn.Close()))
	}
	return ssh.NewClient(c, channels, requests), nil
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (m *Machine) bootID(ctx context.Context) (string, error) {
	var out bytes.Buffer
	err := m.session(ctx, "cat /proc/sys/kernel/random/boot_id", nil, &out)
	return strings.TrimSpace(out.String()), err
}

// An ExitError is a command that failed inside.
type ExitError struct {
	Status int    // of the command; -1 when a signal ended it
	Output string // its last lines
}

// Error shows the last lines, for they are what the reader wants.
func (e *ExitError) Error() string {
	return fmt.Sprintf("failed with status %d:\n%s", e.Status, indent(e.Output))
}

// Run gives a script to a shell, such as recipe.Shell, as root. What it prints goes to log as it comes. A script that failed is
// an *ExitError.
func (m *Machine) Run(ctx context.Context, shell []string, script string, log io.Writer) error {
	tail := &tail{max: 20}
	words := make([]string, len(shell))
	for i, w := range shell {
		words[i] = quote(w)
	}
	err := m.session(ctx, "exec env LC_ALL=C.UTF-8 "+strings.Join(words, " "), strings.NewReader(script), io.MultiWriter(log, tail))
	var exit *ssh.ExitError
	if errors.As(err, &exit) {
		status := exit.ExitStatus()
		if exit.Signal() != "" {
			status = -1
		}
		return &ExitError{status, tail.String()}
	}
	return err
}

// Output runs a command as root and writes what it prints, errors too, to out.
func (m *Machine) Output(ctx context.Context, argv []string, out io.Writer) error {
	words := make([]string, len(argv))
	for i, w := range argv {
		words[i] = quote(w)
	}
	return m.session(ctx, "exec "+strings.Join(words, " "), nil, out)
}

// Dial connects from within the machine, by its SSH server. The connection knows no deadlines.
func (m *Machine) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	if m.conn == nil {
		return nil, errors.New("no connection to the machine")
	}
	return m.conn.DialContext(ctx, network, address)
}

// session runs one command line. When ctx or the machine ends, the connection is cut, which is all that SSH can do: what
// the command has started may go on inside, so the machine cannot be used further.
func (m *Machine) session(ctx context.Context, command string, in io.Reader, out io.Writer) error {
	ctx, done := m.during(ctx)
	defer done()
	if m.conn == nil {
		return errors.New("no connection to the machine")
	}
	conn := m.conn
	stop := context.AfterFunc(ctx, func() { conn.Close() }) // also while a session opens: the machine may go down in that moment
	defer stop()
	s, err := conn.NewSession()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("cannot talk to the machine: %w", err)
	}
	defer s.Close()
	w := &locked{w: out}
	s.Stdin, s.Stdout, s.Stderr = in, w, w
	err = s.Run(command)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var missing *ssh.ExitMissingError
	if errors.As(err, &missing) {
		return fmt.Errorf("the connection to the machine broke: %w", err)
	}
	return err
}

// upload is the script behind Upload: the file gets its name when it is complete, and its label where SELinux wants one.
const upload = `set -eu
mkdir -p "$(dirname "$1")"
umask 077
cat >"$1.goldsmith-part"
chown "$2" "$1.goldsmith-part"
chmod "$3" "$1.goldsmith-part"
mv -f "$1.goldsmith-part" "$1"
if command -v restorecon >/dev/null; then restorecon "$1"; fi
`

// Upload writes a file, in one step, and the folders above it. Owner is what chown takes.
func (m *Machine) Upload(ctx context.Context, from io.Reader, to string, mode uint32, owner string) error {
	var said bytes.Buffer
	command := fmt.Sprintf("exec sh -c %s upload %s %s %04o", quote(upload), quote(to), quote(owner), mode)
	if err := m.session(ctx, command, from, &said); err != nil {
		return fmt.Errorf("cannot upload %s: %w %s", to, err, strings.TrimSpace(said.String()))
	}
	return nil
}

// Download reads a file into a new file of this host, 0600.
func (m *Machine) Download(ctx context.Context, from, to string) error {
	f, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("cannot download %s: %w", from, err)
	}
	err = errors.Join(m.session(ctx, "exec cat "+quote(from), nil, f), f.Close())
	if err != nil {
		return fmt.Errorf("cannot download %s: %w", from, err)
	}
	return nil
}

// Reboot reboots the machine and waits until it answers again.
func (m *Machine) Reboot(ctx context.Context) error {
	was, err := m.bootID(ctx)
	if err != nil {
		return err
	}
	// The answer may come, or the connection may break first, or hang: QEMU's network does not tell that the other end is gone.
	asking, cancel := context.WithTimeout(ctx, dialPatience)
	err = m.session(asking, "systemctl reboot", nil, io.Discard)
	cancel()
	if err != nil && ctx.Err() != nil {
		return err
	}
	m.hangUp()
	ctx, stop := m.during(ctx)
	defer stop()
	return m.connect(ctx, was)
}

// quote makes one word of the shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
