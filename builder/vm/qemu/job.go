package qemu

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"
)

// jobPatience is how long an answer may take while a job runs: a snapshot holds up QEMU's main loop until it is written.
const jobPatience = 10 * time.Minute

// jobPoll is how often a job is looked at.
const jobPoll = 50 * time.Millisecond

// jobPrefix marks the jobs that were begun here.
const jobPrefix = "goldsmith-"

// Job gives a command that QEMU does in the background (qapi/job.json), and waits until it is done.
func (m *Monitor) Job(ctx context.Context, command string, args map[string]any) error {
	id := jobPrefix + rand.Text()
	all := map[string]any{"job-id": id}
	for k, v := range args {
		all[k] = v
	}
	if err := m.do(jobPatience, command, all, nil); err != nil {
		return err
	}
	if err := m.endJob(ctx, id); err != nil {
		return fmt.Errorf("cannot %s: %w", command, err)
	}
	return nil
}

// EndJobs waits for what somebody has begun who did not wait for it, and puts it away. How it ended is not asked.
func (m *Monitor) EndJobs(ctx context.Context) error {
	list, err := m.jobs()
	for _, j := range list {
		if err == nil && strings.HasPrefix(j.ID, jobPrefix) {
			_ = m.endJob(ctx, j.ID)
			err = ctx.Err()
		}
	}
	return err
}

type job struct {
	ID     string `json:"id"`
	Status string `json:"status"`
	Error  string `json:"error"`
}

func (m *Monitor) jobs() (list []job, err error) {
	err = m.do(jobPatience, "query-jobs", nil, &list)
	return list, err
}

// endJob waits until a job has concluded and dismisses it.
func (m *Monitor) endJob(ctx context.Context, id string) error {
	for {
		list, err := m.jobs()
		if err != nil {
			return err
		}
		j, ok := find(list, id)
		if !ok {
			return fmt.Errorf("the job %s is gone", id)
		}
		if j.Status == "concluded" {
			err := m.do(jobPatience, "job-dismiss", map[string]any{"id": id}, nil)
			if j.Error != "" {
				err = fmt.Errorf("%s", j.Error)
			}
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(jobPoll):
		}
	}
}

func find(list []job, id string) (job, bool) {
	for _, j := range list {
		if j.ID == id {
			return j, true
		}
	}
	return job{}, false
}
