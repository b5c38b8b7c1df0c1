package lint

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNearest(t *testing.T) {
	list := []string{"CONFIG_CONTROLLER_HOST", "CONFIG_COMPUTE_HOSTS", "CONFIG_NETWORK_HOSTS", "CONFIG_NTP_SERVERS"}
	for name, want := range map[string]string{
		"CONFIG_CONTROLER_HOST":  "CONFIG_CONTROLLER_HOST", // a letter missing
		"CONFIG_CONTRROLER_HOST": "CONFIG_CONTROLLER_HOST", // one too many, one missing
		"CONFIG_NTP_SERVESR":     "CONFIG_NTP_SERVERS",     // two swapped
		"config_compute_host":    "CONFIG_COMPUTE_HOSTS",   // another case
		"CONFIG_NETWORK_HOSTS":   "CONFIG_NETWORK_HOSTS",
		"CONFIG_SOMETHING_ELSE":  "",
		"":                       "",
	} {
		if got, ok := Nearest(name, list); got != want || ok != (want != "") {
			t.Errorf("Nearest(%s) = %q, %v, want %q", name, got, ok, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"abc", "abc", 0}, {"abc", "ab", 1}, {"abc", "axc", 1}, {"abc", "acb", 1}, {"ab", "cd", 2}, {"abcd", "", 4}} {
		if got := distance(c.a, c.b, 9); got != c.want {
			t.Errorf("distance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
		if got := distance(c.b, c.a, 9); got != c.want {
			t.Errorf("distance(%q, %q) = %d, want %d", c.b, c.a, got, c.want)
		}
	}
}

func TestReportIsSortedCountedAndNamed(t *testing.T) {
	var l Log
	l.Warnf(3, "b", "K", "three")
	l.Errorf(3, "a", "K", "three %d", 3).Hintf("fix FILE")
	l.Errorf(0, "c", "", "all")
	r := NewReport("packstack", "17.0.0", &l)
	r.Add(Finding{Severity: Warning, Code: "mode", Message: "open"})
	var text bytes.Buffer
	r.For("a.txt").Text(&text)
	want := `a.txt: warning: open [mode]
a.txt: error: all [c]
a.txt:3: error: three 3 [a]
    hint: fix a.txt
a.txt:3: warning: three [b]
a.txt: packstack 17.0.0: 2 errors, 2 warnings
`
	if diff := cmp.Diff(want, text.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(*r, back); diff != "" {
		t.Errorf("through JSON (-want +got):\n%s", diff)
	}
	if !strings.Contains(string(data), `"line":3,"severity":"error","code":"a"`) {
		t.Errorf("JSON names changed: %s", data)
	}
}

func TestEmptyReportHasAListInJSON(t *testing.T) {
	data, err := json.Marshal(NewReport("packstack", "17.0.0", &Log{}))
	if err != nil || !strings.Contains(string(data), `"findings":[]`) {
		t.Errorf("%s, %v, want findings as an empty list", data, err)
	}
}

func TestASCII(t *testing.T) {
	for text, want := range map[string]int{"": 0, "abc\t=": 0, "ab\u00e9": 3, "\u00e9\u00e9": 1, "a\x1b": 2, "\x7f": 1} {
		if column, _, ok := ASCII(text); column != want || ok != (want == 0) {
			t.Errorf("ASCII(%q) = column %d, %v, want %d", text, column, ok, want)
		}
	}
}

func TestRejectedHasALineForEachError(t *testing.T) {
	err := &Rejected{Findings: []Finding{{Severity: Error, Message: "one"}, {Severity: Warning, Message: "two"}, {Severity: Error, Message: "three"}}}
	if got := err.Error(); got != "one\nthree" {
		t.Errorf("Error = %q", got)
	}
}
