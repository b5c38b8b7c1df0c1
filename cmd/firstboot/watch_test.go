package main

import (
	"os"
	"strconv"
	"testing"
)

// A socket counts only when it was passed to this very process: the variables are inherited by children.
func TestListenFD(t *testing.T) {
	me := strconv.Itoa(os.Getpid())
	for _, c := range []struct {
		name, pid, fds string
		want           bool
	}{
		{"passed to us", me, "1", true},
		{"passed to our parent", strconv.Itoa(os.Getppid()), "1", false},
		{"none", me, "0", false},
		{"started by hand", "", "", false},
		{"nonsense", me, "x", false},
	} {
		env := map[string]string{"LISTEN_PID": c.pid, "LISTEN_FDS": c.fds}
		if _, ok := listenFD(func(k string) string { return env[k] }); ok != c.want {
			t.Errorf("%s: %v", c.name, ok)
		}
	}
}
