// Package firstboot makes a clone itself: plan, apply, pay what is owed, verify.
//
// A run is one walk down a list of steps, and may be cut at any point. The next run plans again from what it finds: every
// change can be read back, so what is done is seen to be done. What cannot be seen, the restarts that are owed, stands in
// the journal. Nothing is undone; the way out of a half-made clone is forward.
package firstboot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"time"

	"golang.org/x/sys/unix"

	"goldsmith/firstboot/check"
	"goldsmith/firstboot/effect"
	"goldsmith/firstboot/host"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/journal"
	"goldsmith/firstboot/phonehome"
	"goldsmith/firstboot/plan"
	"goldsmith/firstboot/report"
	"goldsmith/firstboot/rewriters"
)

// An Engine runs the phases on one machine.
type Engine struct {
	Host *host.Host
	// Who tells who the clone is, as far as a phase can know: the stack phase adds the address.
	Who Who
	// Units restarts services; nil in a tree, where nothing runs.
	Units Units
	// Binary is the version of this firstboot: another one plans again.
	Binary string
	// Console gets one line per step; nil is silence.
	Console io.Writer
	// Now is the clock.
	Now func() time.Time
}

// Who answers the two questions about identity that need more than files.
type Who interface {
	// Claim returns what the clone is told from outside, and by whom.
	Claim(ctx context.Context) (identity.Claim, string, error)
	// Machine returns the facts of the hardware: NICs, SMBIOS UUID, machine id.
	Machine(ctx context.Context) (identity.Identity, error)
	// Face fills in the public face: it waits for the address and refuses one that a twin holds.
	Face(ctx context.Context, id identity.Identity, pol identity.Policy) (identity.Identity, error)
}

// Units restarts what runs on old values.
type Units interface {
	// TryRestart restarts a unit that is running and does nothing for one that is not.
	TryRestart(ctx context.Context, unit string) error
}

// A run is one phase on its way.
type run struct {
	*Engine
	phase   rewriters.Phase
	imprint *identity.Imprint
	state   *State
	list    []rewriters.Rewriter
	to      identity.Identity
	stamps  Stamps
	journal *journal.Journal
	rep     *report.Report
}

// Plan returns what a run of the phase would do, and does nothing.
func (e *Engine) Plan(ctx context.Context, phase rewriters.Phase) (*plan.Plan, error) {
	r, err := e.begin(ctx, phase)
	if err != nil {
		return nil, err
	}
	return r.plan(ctx)
}

// Run makes the phase so. The report is written in any case; the error is the same as the report's.
func (e *Engine) Run(ctx context.Context, phase rewriters.Phase) (*report.Report, error) {
	started := e.Now()
	unlock, err := e.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	r, err := e.begin(ctx, phase)
	if err == nil {
		err = r.converge(ctx)
	}
	rep := r.report(started, err)
	e.phone(ctx, rep)
	e.tellPort(rep)
	return rep, errors.Join(err, e.save(rep))
}

// phone reports the end of the way, and every failure, to whom the clone was told to. That nobody listens is worth a
// warning and no more.
func (e *Engine) phone(ctx context.Context, rep *report.Report) {
	if rep.Home == "" || rep.State == report.Working {
		return
	}
	var body writer
	err := rep.JSON(&body)
	if err == nil {
		err = phonehome.Post(ctx, rep.Home, body)
	}
	if err != nil {
		rep.Checks = append(rep.Checks, report.Outcome{By: "phone-home", What: "the report arrived", Verdict: report.Warn, Why: err.Error()})
	}
}

// Verify asks whether the phase is so, and changes nothing.
func (e *Engine) Verify(ctx context.Context, phase rewriters.Phase) (*report.Report, error) {
	started := e.Now()
	r, err := e.begin(ctx, phase)
	if err == nil {
		err = r.verify(ctx)
	}
	return r.report(started, err), err
}

// begin learns who the clone shall be. It writes nothing. The run that it returns is never nil: a report needs one.
func (e *Engine) begin(ctx context.Context, phase rewriters.Phase) (*run, error) {
	r := &run{Engine: e, phase: phase, stamps: Stamps{}, imprint: &identity.Imprint{},
		rep: &report.Report{Format: 1, State: report.Working, Phase: string(phase)}}
	for _, step := range []func(context.Context) error{r.readImprint, r.readState, r.decide, r.face} {
		if err := step(ctx); err != nil {
			return r, err
		}
	}
	return r, nil
}

func (r *run) readImprint(context.Context) error {
	imp, err := ReadImprint(r.Host)
	if err != nil {
		return err
	}
	r.imprint = imp
	r.list, err = rewriters.Select(imp.Stacks)
	if err != nil {
		return &report.Fault{Code: report.Refused, Err: err, Hints: []string{"firstboot list"}}
	}
	return nil
}

// ReadImprint reads and checks the imprint of a machine.
func ReadImprint(h host.Reader) (*identity.Imprint, error) {
	data, err := h.ReadFile(identity.ImprintFile)
	if err != nil {
		return nil, report.Faultf(report.Refused, "cannot read the imprint: %w", err).
			WithHint("goldsmith adopt makes an image with one")
	}
	var imp identity.Imprint
	if err := json.Unmarshal(data, &imp); err != nil {
		return nil, report.Faultf(report.Refused, "cannot read %s: %w", identity.ImprintFile, err)
	}
	if imp.Format != identity.ImprintFormat {
		return nil, report.Faultf(report.Refused, "cannot use %s: format %d, this firstboot knows %d", identity.ImprintFile,
			imp.Format, identity.ImprintFormat)
	}
	return &imp, nil
}

func (r *run) readState(context.Context) error {
	s, err := loadState(r.Host)
	r.state = s
	return err
}

// decide settles everything about the identity that is known before there is a network.
func (r *run) decide(ctx context.Context) error {
	claim, source, err := r.Who.Claim(ctx)
	if err != nil {
		return &report.Fault{Code: report.Usage, Err: err}
	}
	r.rep.Source, r.rep.Home = source, claim.PhoneHome
	machine, err := r.Who.Machine(ctx)
	if err != nil {
		return err
	}
	now := Factors{SystemUUID: machine.SystemID, Instance: claim.Instance}
	for _, n := range machine.NICs {
		now.MACs = append(now.MACs, n.MAC)
	}
	why, err := r.state.renew(now, machine.MachineID, claim.Cluster, r.Now())
	if err != nil {
		return err
	}
	if why != "" {
		r.say("a new clone: %s", why)
	}
	r.to, err = resolve(r.imprint, r.state, machine, claim)
	r.rep.Identity = r.to
	return err
}

// face adds the address, in the phase that has one.
func (r *run) face(ctx context.Context) error {
	if r.phase != rewriters.Stack {
		return nil
	}
	began := r.Now()
	id, err := r.Who.Face(ctx, r.to, r.imprint.Policy)
	r.rep.Waits = append(r.rep.Waits, report.Wait{For: "address", Took: r.Now().Sub(began)})
	if err != nil {
		return err
	}
	r.to, r.rep.Identity = id, id
	return nil
}

// settled tells whether there is nothing to do, at the price of a stat per file.
func (r *run) settled() bool {
	c, ok := r.state.Converged[r.phase]
	if !ok || c.Binary != r.Binary || c.Seed != seedID(r.state.Seed) || !reflect.DeepEqual(c.Identity, r.to) {
		return false
	}
	if info, err := r.Host.Stat(identity.JournalFile); err != nil || info.Size() > 0 {
		return false
	}
	_, ok = c.Files.hold(r.Host)
	return ok
}

// converge is the road: remember, repair, plan, apply, pay, verify.
func (r *run) converge(ctx context.Context) error {
	if r.settled() {
		r.say("nothing changed")
		return nil
	}
	r.state.remember(r.to)
	if err := r.state.save(r.Host); err != nil {
		return err
	}
	j, err := openJournal(r.Host)
	if err != nil {
		return err
	}
	r.journal = j
	err = r.work(ctx)
	if cerr := j.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if r.phase == rewriters.Stack {
		r.state.Begun = nil
	}
	r.state.Converged[r.phase] = Converged{Identity: r.to, Seed: seedID(r.state.Seed), Binary: r.Binary, Files: r.stamps}
	return r.state.save(r.Host)
}

func (r *run) work(ctx context.Context) error {
	if err := effect.Redo(ctx, r.Host, r.journal); err != nil {
		return report.Faultf(report.Stopped, "cannot repair an interrupted write: %w", err)
	}
	p, err := r.plan(ctx)
	if err != nil {
		return err
	}
	if err := r.apply(ctx, p); err != nil {
		return err
	}
	if err := r.pay(ctx); err != nil {
		return err
	}
	return r.verify(ctx)
}

// plan asks the rewriters. A plan with a danger in it is refused.
func (r *run) plan(ctx context.Context) (*plan.Plan, error) {
	p, err := rewriters.Run(ctx, r.scene(recorder{r.Host, r.stamps}), r.list)
	if err != nil {
		return nil, &report.Fault{Code: report.Refused, Err: err, Hints: []string{"firstboot plan"}}
	}
	var bad []error
	for _, n := range p.Notes {
		if n.Bad {
			bad = append(bad, fmt.Errorf("cannot make this clone safe: %s: %s", n.What, n.Why))
		}
	}
	if len(bad) > 0 {
		return p, &report.Fault{Code: report.Refused, Err: errors.Join(bad...)}
	}
	return p, nil
}

// scene is what rewriters and checks see, through the given eyes.
func (r *run) scene(eyes host.Reader) *rewriters.Scene {
	old := rewriters.Old(append([]identity.Identity{r.imprint.Baked}, r.state.Old...))
	from := r.imprint.Baked
	if c, ok := r.state.Converged[r.phase]; ok {
		from = c.Identity
	}
	s := rewriters.NewScene(r.phase, old, from, r.to, r.imprint.Policy, eyes, r.state.Seed)
	s.Rekey = r.state.Converged[r.phase].Seed != seedID(r.state.Seed)
	s.Born, s.Begun, s.Cluster = r.state.Born, r.state.Begun, r.state.Cluster
	return s
}

func (r *run) apply(ctx context.Context, p *plan.Plan) error {
	batches, err := effect.Batches(p)
	if err != nil {
		return &report.Fault{Code: report.Refused, Err: err}
	}
	for _, n := range p.Notes {
		r.rep.Checks = append(r.rep.Checks, report.Outcome{By: n.By, What: n.What, Verdict: report.Warn, Why: n.Why})
	}
	for _, b := range batches {
		began := r.Now()
		err := b.Apply(ctx, r.Host, r.journal)
		for _, c := range b.Changes {
			r.rep.Changes = append(r.rep.Changes, outcome(c, err, r.Now().Sub(began)/time.Duration(len(b.Changes))))
		}
		switch {
		case err == nil:
			r.say("%s: %d changes", b.Name, len(b.Changes))
		case b.Changes[0].Spare:
			r.say("warning: %v", err)
		default:
			return &report.Fault{Code: report.Stopped, Err: err, Hints: []string{"firstboot apply continues where it stopped"}}
		}
	}
	return nil
}

func outcome(c plan.Change, err error, took time.Duration) report.Outcome {
	o := report.Outcome{By: c.By, What: c.ID(), Verdict: report.Pass, Why: c.Why, Took: took}
	switch {
	case err != nil && c.Spare:
		o.Verdict, o.Why = report.Warn, err.Error()
	case err != nil:
		o.Verdict, o.Why = report.Fail, err.Error()
	}
	return o
}

// pay restarts what is owed, in this run or in one that was cut. In a tree nothing runs, so nothing is owed.
func (r *run) pay(ctx context.Context) error {
	var errs []error
	for _, u := range r.journal.Owed() {
		if r.Units != nil {
			if err := r.Units.TryRestart(ctx, u); err != nil {
				errs = append(errs, fmt.Errorf("cannot restart %s: %w", u, err))
				continue
			}
			r.rep.Restarts = append(r.rep.Restarts, u)
		}
		errs = append(errs, r.journal.Pay(u))
	}
	if err := errors.Join(errs...); err != nil {
		return &report.Fault{Code: report.Stopped, Err: err, Hints: []string{"journalctl -b -u UNIT", "firstboot apply"}}
	}
	return nil
}

// verify does not believe the plan: it plans again, which must find nothing, and asks the checks.
func (r *run) verify(ctx context.Context) error {
	clear(r.stamps)
	p, err := r.plan(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range p.Changes {
		if c.Spare {
			r.rep.Checks = append(r.rep.Checks, report.Outcome{By: c.By, What: c.ID(), Verdict: report.Warn, Why: "it is " + c.Was.Text})
			continue
		}
		errs = append(errs, fmt.Errorf("%s is not as planned", c.ID()))
	}
	r.rep.Checks = append(r.rep.Checks, check.Run(ctx, r.scene(r.Host))...)
	for _, o := range r.rep.Checks {
		if o.Verdict == report.Fail {
			errs = append(errs, fmt.Errorf("%s: %s", o.What, o.Why))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return &report.Fault{Code: report.Unverified, Err: err, Hints: []string{"firstboot verify"}}
	}
	return nil
}

// report closes the books of a run.
func (r *run) report(started time.Time, err error) *report.Report {
	rep := r.rep
	rep.Started, rep.Took, rep.Code = started, r.Now().Sub(started), report.CodeOf(err)
	switch {
	case err != nil:
		rep.State, rep.Error, rep.Hints = report.Failed, err.Error(), report.Hints(err)
	case r.phase == rewriters.Stack:
		rep.State = report.Ready
	}
	if _, serr := r.Host.Stat(identity.SecretsFile); serr == nil {
		rep.Secrets = identity.SecretsFile
	}
	return rep
}

func (e *Engine) save(rep *report.Report) error {
	if err := e.Host.MkdirAll(identity.StateDir, 0o700); err != nil {
		return err
	}
	var asText, asJSON writer
	rep.Text(&asText, true)
	err := rep.JSON(&asJSON)
	return errors.Join(err, e.Host.Replace(identity.ReportText, asText, host.Meta{Mode: 0o600}),
		e.Host.Replace(identity.ReportFile, asJSON, host.Meta{Mode: 0o600}))
}

type writer []byte

func (w *writer) Write(p []byte) (int, error) {
	*w = append(*w, p...)
	return len(p), nil
}

// lock keeps two runs apart: the boot's and the one that a lease change starts.
func (e *Engine) lock() (func(), error) {
	if err := e.Host.MkdirAll(identity.StateDir, 0o700); err != nil {
		return nil, err
	}
	f, err := e.Host.OpenFile(identity.StateDir+"/lock", unix.O_RDWR|unix.O_CREAT, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot lock %s: %w", identity.StateDir, err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot lock %s: %w", identity.StateDir, err)
	}
	return func() { f.Close() }, nil
}

func openJournal(h *host.Host) (*journal.Journal, error) {
	f, err := h.OpenFile(identity.JournalFile, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot open journal: %w", err)
	}
	return journal.Open(f)
}

func (e *Engine) say(format string, args ...any) {
	if e.Console != nil {
		fmt.Fprintf(e.Console, "firstboot: "+format+"\n", args...)
	}
}
