package builder

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"goldsmith/builder/answers"
	"goldsmith/builder/answers/packstack"
	"goldsmith/builder/install"
	"goldsmith/builder/layer"
	"goldsmith/builder/recipe"
	"goldsmith/builder/vm"
	"goldsmith/builder/vm/qemu"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/report"
)

// guest returns the running machine. The first phase that has something to do in it boots it, from the newest checkpoint.
func (j *Job) guest(ctx context.Context) (*vm.Machine, error) {
	if j.machine != nil {
		return j.machine, nil
	}
	d, err := j.Home.Checkpoints().Draft(j.draftName(), j.lastDisk())
	if err != nil {
		return nil, err
	}
	j.writing = d
	if err := os.MkdirAll(j.runDir(), 0o700); err != nil {
		return nil, fmt.Errorf("cannot make folder of the machine: %w", err)
	}
	accel, err := qemu.Accelerator(ctx, filepath.Join(j.Home.Dir, "cache", "accelerator"), j.kernel)
	if err != nil {
		return nil, err
	}
	j.accel = accel
	j.wait("boot ("+accel+")", 0, 0)
	j.machine, err = vm.Start(ctx, vm.Spec{
		Dir: j.runDir(), Console: j.Home.Log(j.Name, "console"), Disks: d.Disks(), CPUs: j.Recipe.VM.CPUs, Memory: int64(j.Recipe.VM.Memory),
		Accel: accel, Identity: identity.Marker(), Patience: time.Duration(j.Recipe.Boot.Timeout),
	})
	return j.machine, err
}

// runDir has sockets and seed of the machine: a short name, for a socket's path is short.
func (j *Job) runDir() string { return filepath.Join(j.Home.Dir, "run", j.machineName()) }

// endMachine ends the machine, whatever it does, and throws away what is no checkpoint.
func (j *Job) endMachine() error {
	var errs []error
	if j.machine != nil {
		errs = append(errs, j.machine.Kill())
		j.machine = nil
	}
	if j.writing != nil {
		errs = append(errs, j.writing.Discard())
		j.writing = nil
	}
	return errors.Join(append(errs, layer.RemoveTree(j.runDir()))...)
}

// live is where output of the machine goes: all of it to the log, the newest line to the user.
func (j *Job) live() io.Writer {
	return io.MultiWriter(j.log, vm.Last(func(line string) { j.wait(line, 0, 0) }))
}

func uploadFiles(ctx context.Context, j *Job) error { return j.uploadAll(ctx, j.Recipe.Files) }

// uploadAll writes files from inside: the running system gives them their owners and labels.
func (j *Job) uploadAll(ctx context.Context, files []recipe.File) error {
	m, err := j.guest(ctx)
	if err != nil {
		return err
	}
	for _, f := range files {
		owner := f.Owner
		if !strings.Contains(owner, ":") {
			owner += ":" // the user's own group
		}
		if err := m.Upload(ctx, strings.NewReader(f.Content), f.Path, uint32(f.Mode), owner); err != nil {
			return err
		}
	}
	return nil
}

func setServices(ctx context.Context, j *Job) error {
	m, err := j.guest(ctx)
	if err != nil {
		return err
	}
	s := j.Recipe.Services
	var script strings.Builder
	for _, set := range []struct {
		verb  string
		units []string
	}{{"enable", s.Enable}, {"disable", s.Disable}, {"mask", s.Mask}} {
		if len(set.units) > 0 {
			fmt.Fprintf(&script, "systemctl --quiet %s -- '%s'\n", set.verb, strings.Join(set.units, "' '"))
		}
	}
	return m.Run(ctx, recipe.Shell(), script.String(), j.live())
}

// stepPhase is one step of the recipe as a phase.
func stepPhase(s recipe.Step) Phase {
	return Phase{
		Name: "step:" + s.Name, Short: stepShort(s), Disk: true,
		Inputs: func(*Job) any {
			if s.OpenNebula != nil {
				return []any{s, install.Revision}
			}
			return s
		},
		Run: func(ctx context.Context, j *Job) error { return j.step(ctx, s) },
	}
}

// stepShort lists what a step does, in its order.
func stepShort(s recipe.Step) string {
	var parts []string
	if s.Answers != nil {
		parts = append(parts, "answers for "+s.Answers.Kind)
	}
	for _, u := range s.Upload {
		parts = append(parts, "upload "+path.Base(u.Path))
	}
	if s.OpenNebula != nil {
		parts = append(parts, "set up OpenNebula")
	}
	if n := strings.Count(strings.TrimSpace(s.Run), "\n") + 1; s.Run != "" {
		parts = append(parts, fmt.Sprintf("%d lines of shell", n))
	}
	for _, d := range s.Download {
		parts = append(parts, "download "+path.Base(d))
	}
	if s.Reboot {
		parts = append(parts, "reboot")
	}
	return strings.Join(parts, ", ")
}

// step does one step inside the machine.
func (j *Job) step(ctx context.Context, s recipe.Step) error {
	m, err := j.guest(ctx)
	if err != nil {
		return err
	}
	limit := time.Duration(s.Timeout)
	within, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("step %q took longer than %s", s.Name, limit))
	defer cancel()
	if s.Answers != nil {
		if err := j.putAnswers(within, m, s.Answers); err != nil {
			return err
		}
	}
	for _, u := range s.Upload {
		if err := j.upload(within, m, u); err != nil {
			return err
		}
	}
	if s.OpenNebula != nil {
		if err := j.openNebula(within, m, s); err != nil {
			return err
		}
	}
	if s.Run != "" {
		if err := j.tries(within, m, s); err != nil {
			return errors.Join(err, j.downloads(ctx, m, s))
		}
	}
	if err := j.downloads(within, m, s); err != nil || !s.Reboot {
		return err
	}
	j.wait("reboot", 0, 0)
	return m.Reboot(ctx)
}

// retryPause is the time before the first new try; it doubles.
const retryPause = 5 * time.Second

// tries runs the commands, again when they failed and may be run again.
func (j *Job) tries(ctx context.Context, m *vm.Machine, s recipe.Step) error {
	pause := retryPause
	for left := s.Retries; ; left-- {
		err := m.Run(ctx, recipe.Shell(), s.Run, j.live())
		var exit *vm.ExitError
		if err == nil || !errors.As(err, &exit) || left == 0 {
			return err
		}
		fmt.Fprintf(j.log, "goldsmith: status %d, again in %s, %d tries left\n", exit.Status, pause, left)
		j.wait(fmt.Sprintf("failed, again in %s", pause), 0, 0)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
		pause *= 2
	}
}

// downloads keeps files of the machine beside the log. After a failure they are of use as far as they are there.
func (j *Job) downloads(ctx context.Context, m *vm.Machine, s recipe.Step) error {
	var errs []error
	for _, from := range s.Download {
		errs = append(errs, m.Download(ctx, from, filepath.Join(filepath.Dir(j.Home.Log(j.Name, "x")), path.Base(from))))
	}
	return errors.Join(errs...)
}

// upload puts one file into the machine.
func (j *Job) upload(ctx context.Context, m *vm.Machine, u recipe.Upload) error {
	name := u.File()
	if u.Image != "" {
		b, err := j.Catalogue.Fetch(ctx, u.Image, j.wait)
		if err != nil {
			return err
		}
		name = b.Path
	}
	f, err := os.Open(name)
	if err != nil {
		return report.Faultf(report.Usage, "cannot upload: %w", err)
	}
	defer f.Close()
	j.wait("upload "+u.Path, 0, 0)
	return m.Upload(ctx, f, u.Path, uint32(u.Mode), "root:")
}

// nicWord stands for the name of the machine's network interface in answers.
const nicWord = "<nic>"

// putAnswers makes an installer's answer file: with the name that the machine's interface has, and with new passwords.
func (j *Job) putAnswers(ctx context.Context, m *vm.Machine, a *recipe.Answers) error {
	l, err := findLinks(ctx, m)
	if err != nil {
		return err
	}
	data, err := makeAnswers(a, l.nic())
	if err != nil {
		return err
	}
	return m.Upload(ctx, bytes.NewReader(data), a.Path, 0o600, "root:")
}

func makeAnswers(a *recipe.Answers, nic string) ([]byte, error) {
	var preset *packstack.Preset
	if a.Preset != "" {
		var err error
		if preset, err = packstack.PresetFor(a.Preset, nic); err != nil {
			return nil, report.Faultf(report.Usage, "%w", err)
		}
	}
	t, err := answers.TargetFor(a.Kind, a.Release, preset)
	if err != nil {
		return nil, report.Faultf(report.Usage, "%w", err)
	}
	set := map[string]string{}
	for _, kv := range a.Set {
		k, v, _ := strings.Cut(kv, "=")
		set[k] = strings.ReplaceAll(v, nicWord, nic)
	}
	return t.New(answers.Order{Set: set, Hostname: identity.Marker().FQDN(), Random: rand.Reader})
}

// CheckAnswers makes an answer file as a step would, to say what is wrong with what the recipe wants in it.
func CheckAnswers(a *recipe.Answers) error {
	_, err := makeAnswers(a, "eth0")
	return err
}

// checkAnswers makes every answer file once, to say beforehand what is wrong with it.
func (j *Job) checkAnswers() error {
	var errs []error
	for _, s := range j.Recipe.Steps {
		if s.Answers == nil {
			continue
		}
		if err := CheckAnswers(s.Answers); err != nil {
			errs = append(errs, report.Faultf(report.Usage, "cannot make the answers of step %q: %w", s.Name, err))
		}
	}
	return errors.Join(errs...)
}

// powerOffTime is how long the machine may take to stop: a message broker can be slow, and emulation makes it slower.
const powerOffTime = 5 * time.Minute

// powerOff notes what later phases want to know of the machine and switches it off, so that its file systems are clean.
func powerOff(ctx context.Context, j *Job) error {
	m, err := j.guest(ctx)
	if err != nil {
		return err
	}
	l, err := findLinks(ctx, m)
	if err != nil {
		return err
	}
	j.extra = l
	if err := m.Lock(ctx); err != nil {
		return err
	}
	j.wait("power off", 0, 0)
	err = m.PowerOff(ctx, powerOffTime)
	j.machine = nil
	return err
}

// checkUploads says which uploads come from a catalogue that does not have them.
func (j *Job) checkUploads() error {
	var errs []error
	for _, s := range j.Recipe.Steps {
		for _, u := range s.Upload {
			if u.Image != "" && !slices.Contains(j.Catalogue.Names(), u.Image) {
				errs = append(errs, report.Faultf(report.Usage, "cannot upload image %s in step %q: the catalogue has only %s",
					u.Image, s.Name, strings.Join(j.Catalogue.Names(), ", ")))
			}
		}
	}
	return errors.Join(errs...)
}
