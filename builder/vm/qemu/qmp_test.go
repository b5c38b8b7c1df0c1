package qemu

import (
	"bufio"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// monitor answers every line that holds a key of answers by its value, and anything else not at all.
func monitor(t *testing.T, greeting string, answers map[string]string) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "qmp")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprint(conn, greeting)
		for sc := bufio.NewScanner(conn); sc.Scan(); {
			for key, a := range answers {
				if strings.Contains(sc.Text(), key) {
					fmt.Fprint(conn, strings.ReplaceAll(a, "$LINE", sc.Text()))
				}
			}
		}
	}()
	return socket
}

const greeting = `{"QMP": {"version": {}, "capabilities": []}}` + "\n"

func TestMonitor(t *testing.T) {
	tests := []struct {
		name, greeting, answer string
		want                   string // in the error; "" for none
	}{
		{"answer", greeting, `{"return": {"running": true}}`, ""},
		{"events come before the answer", greeting, `{"event": "RTC_CHANGE", "data": {}} {"return": {"running": true}}`, ""},
		{"refusal", greeting, `{"error": {"class": "GenericError", "desc": "no such node"}}`, "cannot query-status: no such node"},
		{"garbage", greeting, `hello`, "cannot read the answer of the machine's monitor to query-status"},
		{"answer of another shape", greeting, `{"return": 7}`, "cannot read the answer"},
		{"no monitor", `{"hello": 1}` + "\n", "", "no greeting"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			socket := monitor(t, tt.greeting, map[string]string{"qmp_capabilities": `{"return": {}}`, "query-status": tt.answer})
			var out struct{ Running bool }
			m, err := Dial(t.Context(), socket)
			if err == nil {
				err = m.Do("query-status", nil, &out)
				m.Close()
			}
			switch {
			case tt.want == "" && (err != nil || !out.Running):
				t.Errorf("got %v, %v", out, err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestMonitorThatIsNotThere(t *testing.T) {
	if err := Tell(t.Context(), filepath.Join(t.TempDir(), "none"), "stop"); err == nil {
		t.Error("a machine that is not there answered")
	}
}

func TestAgentIsFoundBehindOldAnswers(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "ga")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		fmt.Fprintln(conn, `{"return": 1}`) // of a conversation that was cut
		for sc := bufio.NewScanner(conn); sc.Scan(); {
			_, id, _ := strings.Cut(sc.Text(), `"id":`)
			fmt.Fprintf(conn, "{\"return\": %s}\n", strings.Trim(id, "} "))
		}
	}()
	m, err := DialAgent(t.Context(), socket, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	m.Close()
}

func TestSilentAgentIsGivenUp(t *testing.T) {
	socket := monitor(t, "", nil)
	start := time.Now()
	if _, err := DialAgent(t.Context(), socket, 200*time.Millisecond); err == nil || time.Since(start) > 5*time.Second {
		t.Errorf("got %v after %s", err, time.Since(start))
	}
}
