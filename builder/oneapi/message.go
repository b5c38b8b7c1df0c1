package oneapi

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// encode writes a call. OpenNebula takes strings, ints and booleans.
func encode(method string, args []any) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(xml.Header + "<methodCall><methodName>" + method + "</methodName><params>")
	for i, a := range args {
		b.WriteString("<param><value>")
		switch v := a.(type) {
		case string:
			if strings.ContainsFunc(v, notXML) {
				return nil, fmt.Errorf("argument %d holds a character that XML cannot carry", i)
			}
			b.WriteString("<string>")
			if err := xml.EscapeText(&b, []byte(v)); err != nil {
				return nil, fmt.Errorf("cannot write argument %d: %w", i, err)
			}
			b.WriteString("</string>")
		case int:
			fmt.Fprintf(&b, "<int>%d</int>", v)
		case bool:
			n := 0
			if v {
				n = 1
			}
			fmt.Fprintf(&b, "<boolean>%d</boolean>", n)
		default:
			return nil, fmt.Errorf("argument %d is a %T", i, a)
		}
		b.WriteString("</value></param>")
	}
	b.WriteString("</params></methodCall>")
	return b.Bytes(), nil
}

func notXML(r rune) bool {
	return r == unicode.ReplacementChar || r < ' ' && r != '\n' && r != '\t' && r != '\r' || r == 0xFFFE || r == 0xFFFF
}

// A value is one <value> of a message; exactly one field is set, or Text for a string without <string>.
type value struct {
	String *string `xml:"string"`
	Int    *string `xml:"int"`
	I4     *string `xml:"i4"`
	I8     *string `xml:"i8"`
	Bool   *string `xml:"boolean"`
	Array  *struct {
		Values []value `xml:"data>value"`
	} `xml:"array"`
	Members []struct {
		Name  string `xml:"name"`
		Value value  `xml:"value"`
	} `xml:"struct>member"`
	Text string `xml:",chardata"`
	// Other is a type that XML-RPC has and OpenNebula never sends: double, dateTime.iso8601, base64, nil.
	Other []struct{ XMLName xml.Name } `xml:",any"`
}

// plain turns a value into string, int, bool, []any or map[string]any.
func (v value) plain() (any, error) {
	for _, s := range []*string{v.Int, v.I4, v.I8} {
		if s != nil {
			n, err := strconv.Atoi(strings.TrimSpace(*s))
			if err != nil {
				return nil, fmt.Errorf("%q is no number", *s)
			}
			return n, nil
		}
	}
	switch {
	case v.String != nil:
		return *v.String, nil
	case v.Bool != nil:
		switch *v.Bool {
		case "1":
			return true, nil
		case "0":
			return false, nil
		}
		return nil, fmt.Errorf("%q is no boolean", *v.Bool)
	case v.Array != nil:
		return plainAll(v.Array.Values)
	case v.Members != nil:
		m := map[string]any{}
		for _, x := range v.Members {
			p, err := x.Value.plain()
			if err != nil {
				return nil, err
			}
			m[x.Name] = p
		}
		return m, nil
	case len(v.Other) > 0:
		return nil, fmt.Errorf("a value is a <%s>, which OpenNebula does not send", v.Other[0].XMLName.Local)
	}
	return v.Text, nil
}

func plainAll(list []value) ([]any, error) {
	out := make([]any, len(list))
	for i, v := range list {
		var err error
		if out[i], err = v.plain(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

type response struct {
	XMLName xml.Name `xml:"methodResponse"`
	Params  []value  `xml:"params>param>value"`
	Fault   *value   `xml:"fault>value"`
}

// unmarshal tells an answer that stops from one that is something else, such as a proxy's page.
func unmarshal(body []byte, r *response) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return errors.New("the answer is empty")
	}
	err := xml.Unmarshal(body, r)
	if s := (*xml.SyntaxError)(nil); errors.As(err, &s) && s.Msg == "unexpected EOF" {
		return fmt.Errorf("the answer is cut off after %d bytes: %w", len(body), err)
	}
	if err != nil {
		return fmt.Errorf("the answer is no XML-RPC response: %w", err)
	}
	return nil
}

// decode reads an answer: the one value of the array that OpenNebula sends on success, or an *Error.
func decode(method string, body []byte) (any, error) {
	var r response
	if err := unmarshal(body, &r); err != nil {
		return nil, err
	}
	if r.Fault != nil {
		return nil, fault(method, *r.Fault)
	}
	if len(r.Params) != 1 {
		return nil, fmt.Errorf("the answer has %d values instead of one", len(r.Params))
	}
	p, err := r.Params[0].plain()
	if err != nil {
		return nil, err
	}
	list, ok := p.([]any)
	if !ok || len(list) < 2 {
		return nil, fmt.Errorf("the answer is a %T, not an array of success and value", p)
	}
	good, ok := list[0].(bool)
	if !ok {
		return nil, fmt.Errorf("the answer begins with a %T, not with a boolean", list[0])
	}
	if good {
		return list[1], nil
	}
	return nil, refusal(method, list)
}

// refusal reads the array of an answer that is no success: the reason, its code and the object that it is about. Old releases
// leave the last two out.
func refusal(method string, list []any) error {
	e := &Error{Method: method, Object: -1}
	reason, ok := list[1].(string)
	if !ok {
		return fmt.Errorf("the reason of a refusal is a %T, not a string", list[1])
	}
	e.Message = strings.TrimPrefix(reason, "["+method+"] ")
	for i, field := range []*int{(*int)(&e.Code), &e.Object} {
		if len(list) <= 2+i {
			break
		}
		if *field, ok = list[2+i].(int); !ok {
			return fmt.Errorf("code and object of a refusal are no numbers; its reason is: %s", e.Message)
		}
	}
	return e
}

func fault(method string, v value) error {
	p, err := v.plain()
	if err != nil {
		return fmt.Errorf("the fault cannot be read: %w", err)
	}
	m, _ := p.(map[string]any)
	text, ok := m["faultString"].(string)
	if _, number := m["faultCode"].(int); !ok || !number {
		return fmt.Errorf("the fault has no code and text: %v", p)
	}
	return &Error{Method: method, Code: RPC, Message: fmt.Sprintf("fault %v: %s", m["faultCode"], text), Object: -1}
}
