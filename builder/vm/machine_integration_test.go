//go:build integration

package vm

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"goldsmith/builder/vm/qemu"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/report"
)

// printer is a boot sector that writes the text behind it to the first serial port, and halts.
var printer = []byte{
	0xfa,       // cli
	0x31, 0xc0, // xor ax, ax
	0x8e, 0xd8, // mov ds, ax
	0xbe, 0x16, 0x7c, // mov si, 0x7c16, the text
	0xba, 0xf8, 0x03, // mov dx, 0x3f8
	0xac,       // next: lodsb
	0x84, 0xc0, // test al, al
	0x74, 0x03, // jz end
	0xee,       // out dx, al
	0xeb, 0xf8, // jmp next
	0xf4,       // end: hlt
	0xeb, 0xfd, // jmp end
}

// writer is a boot sector that writes to one cluster after another of the first disk (INT 13h, AH=43h), for ever.
var writer = []byte{
	0x31, 0xc0, // xor ax, ax
	0x8e, 0xd8, // mov ds, ax
	0xbe, 0x1a, 0x7c, // next: mov si, 0x7c1a, the packet
	0xb8, 0x00, 0x43, // mov ax, 0x4300
	0xb2, 0x80, // mov dl, 0x80
	0xcd, 0x13, // int 0x13
	0x81, 0x06, 0x22, 0x7c, 0x80, 0x00, // add word [packet.lba], 128
	0xeb, 0xee, // jmp next
	0x90, 0x90, 0x90, 0x90, // to 0x1a
	0x10, 0x00, 0x40, 0x00, 0x00, 0x00, 0x00, 0x10, // packet: size 16, 64 sectors, from 1000:0000
	0x00, 0x08, 0, 0, 0, 0, 0, 0, // to sector 2048
}

// sector makes a bootable disk of a program and a text in dir.
func sector(t *testing.T, dir string, program []byte, text string) string {
	t.Helper()
	raw := make([]byte, 64<<20)
	copy(raw, program)
	copy(raw[len(program):510], text)
	raw[510], raw[511] = 0x55, 0xaa
	plain, disk := filepath.Join(t.TempDir(), "raw"), filepath.Join(dir, "disk0.qcow2")
	if err := os.WriteFile(plain, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("qemu-img", "convert", "-f", "raw", "-O", "qcow2", plain, disk).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return disk
}

// start starts a machine that never answers, and returns what is said about it.
func start(ctx context.Context, t *testing.T, program []byte, text string, change func(*Spec)) error {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "vm-") // sockets want a short path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := Spec{Dir: dir, Console: filepath.Join(dir, "console"), CPUs: 1, Memory: 256 << 20, Accel: qemu.TCG, Identity: identity.Marker(), Patience: 20 * time.Second}
	s.Disks = []string{sector(t, dir, program, text)}
	if change != nil {
		change(&s)
	}
	m, err := Start(ctx, s)
	if err == nil {
		t.Fatal(errors.Join(errors.New("it answered"), m.Kill()))
	}
	if out, err := exec.Command("pgrep", "-fa", dir).CombinedOutput(); err == nil {
		t.Errorf("left behind: %s", out)
	}
	return err
}

// TestNobodyAnswers shows what is said when SSH does not come up in time: how long, what last, and where the rest is.
func TestNobodyAnswers(t *testing.T) {
	begin := time.Now()
	err := start(t.Context(), t, printer, "\x1b[1mgrub\x1b[0m: no such device\r\ngrub rescue> ", func(s *Spec) { s.Patience = 6 * time.Second })
	for _, want := range []string{"the machine did not answer by SSH within 6s", "it said last:\n  grub: no such device\n  grub rescue>"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in:\n%v", want, err)
		}
	}
	if report.CodeOf(err) != report.Stopped {
		t.Errorf("code %d", report.CodeOf(err))
	}
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("took %s", took)
	}
}

// TestKernelPanicIsTold does not wait for the patience to end.
func TestKernelPanicIsTold(t *testing.T) {
	err := start(t.Context(), t, printer, "[    1.2] VFS: Cannot open root\r\n[    1.3] "+panicMark+": VFS: Unable to mount root fs\r\n", func(s *Spec) { s.Patience = time.Minute })
	want := "the machine's kernel has died: " + panicMark + ": VFS: Unable to mount root fs; it said last:\n  [    1.2] VFS: Cannot open root"
	if !strings.Contains(err.Error(), want) {
		t.Errorf("want %q, got:\n%v", want, err)
	}
}

// TestFullDiskIsTold: QEMU stops a machine that has nowhere to write, and it would stand still until the last timeout.
func TestFullDiskIsTold(t *testing.T) {
	small := t.TempDir()
	if err := unix.Mount("tmpfs", small, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("cannot mount: %v", err) // without root there is no bake either
	}
	t.Cleanup(func() { unix.Unmount(small, unix.MNT_DETACH) })
	err := start(t.Context(), t, writer, "", func(s *Spec) {
		s.Patience = time.Minute
		full := filepath.Join(small, "disk0.qcow2")
		if out, err := exec.Command("cp", s.Disks[0], full).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		s.Disks[0] = full
	})
	if !strings.Contains(err.Error(), "the virtual machine stands still: it could not write to its disks in "+small+", where 0 MiB are left") {
		t.Errorf("got:\n%v", err)
	}
}

// TestStartIsInterrupted: nothing runs any more when Start comes back.
func TestStartIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(3*time.Second, cancel)
	if err := start(ctx, t, printer, "hello", func(s *Spec) { s.Patience = time.Minute }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestWhatQEMUSays: its own words are the message when it does not start, or ends.
func TestWhatQEMUSays(t *testing.T) {
	err := start(t.Context(), t, printer, "", func(s *Spec) { s.Accel = "xyz" })
	if !strings.Contains(err.Error(), "the virtual machine has ended (exit status 1)") || !strings.Contains(err.Error(), "invalid accelerator xyz") {
		t.Errorf("got:\n%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err = start(ctx, t, printer, "", func(s *Spec) {
		s.Patience = time.Minute
		dir := s.Dir
		time.AfterFunc(4*time.Second, func() { exec.Command("pkill", "-KILL", "-f", dir+"/seed.iso").Run() })
	})
	if !strings.Contains(err.Error(), "the virtual machine has ended (signal: killed)") {
		t.Errorf("got:\n%v", err)
	}
}
