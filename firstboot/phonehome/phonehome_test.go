package phonehome

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestPost(t *testing.T) {
	var got, kind, path string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got, kind, path = string(b), r.Header.Get("Content-Type"), r.URL.String()
		w.WriteHeader(http.StatusNoContent)
	}))
	defer s.Close()
	if err := Post(context.Background(), s.URL+"/r?clone=1", []byte(`{"state":"ready"}`)); err != nil {
		t.Fatal(err)
	}
	if got != `{"state":"ready"}` || kind != "application/json" || path != "/r?clone=1" {
		t.Errorf("the server got %q as %s at %s", got, kind, path)
	}
}

func TestPostSaysWhatIsWrong(t *testing.T) {
	moved := httptest.NewServer(http.RedirectHandler("/elsewhere", http.StatusFound))
	defer moved.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("SSH-2.0-x\r\n"))
			_ = c.Close()
		}
	}()
	for url, want := range map[string]string{
		"ftp://h/": "no http or https URL", "http://": "no http or https URL", ":": "no http or https URL",
		moved.URL: "302", "http://" + l.Addr().String(): "not HTTP", "http://127.0.0.1:1/": "refused",
	} {
		if err := Post(context.Background(), url, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", url, err)
		}
	}
}
