package driver

import (
	"encoding/json"
	"fmt"
	"net"
	"time"
)

// qmpPatience is how long qemu may take to answer a command. Its main loop answers while the guest runs.
const qmpPatience = 10 * time.Second

// qmp gives one command without arguments to a machine through its monitor socket (qemu, docs/interop/qmp-spec.txt).
func qmp(socket, command string) error {
	conn, err := net.DialTimeout("unix", socket, qmpPatience)
	if err != nil {
		return fmt.Errorf("cannot reach the machine's monitor: %w", err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(qmpPatience)); err != nil {
		return err
	}
	in, out := json.NewDecoder(conn), json.NewEncoder(conn)
	var greeting map[string]json.RawMessage
	if err := in.Decode(&greeting); err != nil || greeting["QMP"] == nil {
		return fmt.Errorf("cannot talk to the machine's monitor: no greeting (%v)", err)
	}
	for _, c := range []string{"qmp_capabilities", command} {
		if err := out.Encode(map[string]string{"execute": c}); err != nil {
			return err
		}
		if err := qmpAnswer(in, c); err != nil {
			return err
		}
	}
	return nil
}

// qmpAnswer reads until the answer to a command; events may come before it.
func qmpAnswer(in *json.Decoder, command string) error {
	for {
		var m struct {
			Return json.RawMessage `json:"return"`
			Error  *struct {
				Desc string `json:"desc"`
			} `json:"error"`
		}
		if err := in.Decode(&m); err != nil {
			return fmt.Errorf("cannot read the answer to %s: %w", command, err)
		}
		if m.Error != nil {
			return fmt.Errorf("cannot %s: %s", command, m.Error.Desc)
		}
		if m.Return != nil {
			return nil
		}
	}
}
