package fleet

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"time"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"

	"goldsmith/firstboot/report"
)

// Clones that were told to phone home post their report to the bench, on the bridge's own address, while somebody waits
// for them. What comes in is kept with the clone, so that it does not matter who of several waiters heard it. A clone
// may send anything: it must know its token, and is heard up to a size and a time.

// maxPhoned is the largest report that is taken, and phoneTimeout what one call may take.
const (
	maxPhoned    = 1 << 20
	phoneTimeout = 10 * time.Second
)

// The ports for phones: one for each fleet, as far as they go, because fleets may share a bridge.
const firstPhone, phones = 20000, 20000

func phonePort(id string) uint16 {
	n, err := strconv.ParseUint(id, 16, 32)
	if err != nil {
		n = 0 // an ID that somebody has edited; any port will do
	}
	return uint16(firstPhone + n%phones)
}

// installPhone tells every clone of a fleet where to report, each with a token of its own.
func (s *State) installPhone(o Order) error {
	address := o.Network.Address
	if o.Lab != nil {
		address = o.Lab.Address
	}
	at, err := address()
	if err != nil {
		return err
	}
	if !at.IsValid() {
		return report.Faultf(report.Usage, "cannot let clones phone home: the bridge %s has no address here", s.Network.Bridge).
			WithHint("--set phone_home=URL names another place")
	}
	s.Phone = netip.AddrPortFrom(at, phonePort(s.ID))
	for i := range s.Clones {
		c := &s.Clones[i]
		if c.Claim.PhoneHome != "" {
			return report.Faultf(report.Usage, "cannot let %s phone home: it is told %s already", c.Name, c.Claim.PhoneHome).
				WithHint("either --phone-home or --set phone_home=URL")
		}
		c.Claim.PhoneHome = fmt.Sprintf("http://%s/%s", s.Phone, randomHex(16))
	}
	return nil
}

// answerPhone listens for the reports of a fleet's clones until stop is called. One that does not phone, or that another
// goldsmith listens for, needs no answering.
func (b Bench) answerPhone(s *State) (stop func(), err error) {
	if !s.Phone.IsValid() {
		return func() {}, nil
	}
	var l net.Listener
	err = s.Network.Do(func() error {
		var err error
		l, err = net.Listen("tcp", s.Phone.String())
		return err
	})
	if errors.Is(err, unix.EADDRINUSE) {
		return func() {}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot listen for the clones of %s: %w", s.Name, err)
	}
	server := &http.Server{
		Handler: s.receiver(), MaxHeaderBytes: 8 << 10,
		ReadHeaderTimeout: phoneTimeout, ReadTimeout: phoneTimeout, WriteTimeout: phoneTimeout, IdleTimeout: phoneTimeout,
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l) // ends when it is closed
	}()
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second) // who is speaking may finish
		defer cancel()
		if server.Shutdown(ctx) != nil {
			_ = server.Close()
		}
		<-done
	}, nil
}

// receiver takes what clones post.
func (s *State) receiver() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := s.caller(path.Base(r.URL.Path))
		if c == nil {
			http.NotFound(w, r)
			return
		}
		if r.Method != http.MethodPost {
			http.Error(w, "want POST", http.StatusMethodNotAllowed)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPhoned))
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			http.Error(w, "too large", http.StatusRequestEntityTooLarge)
			return
		}
		var rep report.Report
		if err == nil {
			err = json.Unmarshal(body, &rep)
		}
		if err != nil || rep.State == "" {
			http.Error(w, "want a report", http.StatusBadRequest)
			return
		}
		if err := renameio.WriteFile(phoned(*c), body, 0o600); err != nil {
			http.Error(w, "cannot keep it", http.StatusInsufficientStorage)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

// caller returns the clone that was given the token.
func (s *State) caller(token string) *Clone {
	for i := range s.Clones {
		own := path.Base(s.Clones[i].Claim.PhoneHome)
		if len(own) > 1 && subtle.ConstantTimeCompare([]byte(own), []byte(token)) == 1 {
			return &s.Clones[i]
		}
	}
	return nil
}

// phoned is where the newest report is kept that a clone has sent.
func phoned(c Clone) string { return filepath.Join(c.Dir, "phoned.json") }

// readPhoned returns it.
func readPhoned(c Clone) (report.Report, error) {
	var r report.Report
	b, err := os.ReadFile(phoned(c))
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	return r, err
}
