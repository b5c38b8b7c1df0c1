package shellvar

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"goldsmith/firstboot/text/edit"
)

// Why an assignment does not say what the variable will be.
var (
	errCondition = errors.New("it is set only on a condition")
	errPrefix    = errors.New("it is set only for the command behind it")
	errArray     = errors.New("it is an array")
	errAppended  = errors.New("the script appends to it")
	errUnset     = errors.New("it is unset on a condition")
)

// What the words after the first one of a command are.
type role int

const (
	first     role = iota // none yet: assignments, a keyword or the name of a command
	arguments             // of no interest
	declared              // of export and its like: assignments
	unset                 // of unset: names
	named                 // of function: its name, then a command
	target                // the file of a redirection; then the role before it holds again
)

// A scanner reads a script word by word.
type scanner struct {
	reader
	items   []edit.Item
	open    []byte // compound commands that are not closed: i(f), c(ase), l(oop), { and (
	role    role
	back    role // the role after a redirection's target
	words   int  // words in the present command
	before  int  // items before the present command
	line    int  // items before the present line
	from    int  // offset of the present line
	ends    int  // offset after the last word
	last    byte // what stood last: w(ord), ';', '&', ')', '+' for an operator that wants another command, 0 for a line start
	chained bool // the line holds an operator that makes its commands conditional or their effects vanish
	listed  bool // the line holds more than one command
	counted int  // offset up to which number holds
	number  int  // 1-based line of counted
}

// Scan finds all assignments, those with an unknown value included, for formats that look deeper into a value.
func Scan(data []byte) ([]edit.Item, error) {
	s := scanner{reader: reader{data: data}, number: 1}
	for s.pos < len(data) {
		if err := s.step(); err != nil {
			return nil, fmt.Errorf("line %d: %w", s.lineOf(min(s.pos, len(data))), err)
		}
	}
	s.endLine()
	if len(s.open) > 0 {
		return nil, errors.New("the last line: an if, case, loop, function or bracket is not closed")
	}
	return s.items, nil
}

// lineOf returns the line of an offset that is not before the last one asked for.
func (s *scanner) lineOf(at int) int {
	if at > s.counted {
		s.number += bytes.Count(s.data[s.counted:at], []byte("\n"))
		s.counted = at
	}
	return s.number
}

// step reads one word, operator, comment, blank or line end.
func (s *scanner) step() error {
	switch c := s.data[s.pos]; {
	case s.lineEnd():
		s.endLine()
	case c == ' ' || c == '\t':
		s.pos++
	case s.at("\\\n") || s.at("\\\r\n"):
		s.escape()
	case c == '#':
		s.comment()
	case strings.IndexByte(";&|()<>", c) >= 0:
		s.pos++
		return s.operator(c)
	default:
		return s.next()
	}
	return nil
}

func (s *scanner) comment() {
	for s.pos < len(s.data) && !s.at("\n") && !s.at("\r\n") {
		s.pos++
	}
}

func (s *scanner) operator(c byte) error {
	switch c {
	case ';':
		return s.semicolon()
	case '&', '|':
		s.chain(c)
	case '(':
		s.chain(c)
		s.open = append(s.open, '(')
	case ')':
		s.chain(c)
		if !s.inside('c') { // else it ends a pattern
			return s.close('(')
		}
	default:
		if c == '<' && s.at("<") {
			return errors.New("a here-document, which this program does not read")
		}
		if s.role != target {
			s.back = s.role
		}
		s.role = target
	}
	return nil
}

func (s *scanner) semicolon() error {
	if !s.inside('c') && s.last != 'w' && s.last != ')' {
		return errors.New("a semicolon without a command before it")
	}
	s.listed = true
	s.endCommand(';')
	return nil
}

// chain ends a command by one of & && | || ( and ).
func (s *scanner) chain(c byte) {
	s.chained = true
	switch {
	case c == '&' && s.at("&"), c == '|' && (s.at("|") || s.at("&")):
		s.pos++
		s.endCommand('+')
	case c == '|':
		s.endCommand('+')
	default:
		s.endCommand(c)
	}
}

// inside says whether the innermost open compound command is of this kind.
func (s *scanner) inside(kind byte) bool { return len(s.open) > 0 && s.open[len(s.open)-1] == kind }

func (s *scanner) close(kind byte) error {
	if !s.inside(kind) {
		return errors.New("the end of an if, case, loop, function or bracket that was not begun")
	}
	s.open = s.open[:len(s.open)-1]
	return nil
}

func (s *scanner) endCommand(by byte) {
	s.role, s.words, s.before, s.last = first, 0, len(s.items), by
}

// endLine settles what the assignments of a line are worth, and what goes when one of them is deleted.
func (s *scanner) endLine() {
	mine := s.items[s.line:]
	for i := range mine {
		if s.chained && mine[i].Err == nil {
			mine[i].Err = errCondition
		}
	}
	if len(mine) == 1 && !s.listed && !s.chained && s.alone(mine[0].Whole.From, mine[0].Text.To) {
		mine[0].Whole = edit.Span{From: s.from, To: s.pos}
	}
	wants := s.last == '+' // an && list goes on after the line end
	if !wants {
		s.endCommand(0)
	}
	s.line, s.from, s.chained, s.listed = len(s.items), s.pos, wants, false
}

// alone says whether nothing but the declaration of this one assignment is on the line.
func (s *scanner) alone(from, to int) bool {
	for i, w := range strings.Fields(string(s.data[s.from:from])) {
		if (i == 0) != isDeclaration(w) || i > 0 && w[0] != '-' {
			return false
		}
	}
	return s.ends == to
}

func isDeclaration(word string) bool {
	return slices.Contains([]string{"export", "declare", "typeset", "readonly", "local"}, word)
}

// next reads a word and does what its place asks for.
func (s *scanner) next() error {
	from := s.pos
	s.value, s.err = nil, nil
	length := nameLength(s.data[from:])
	if length > 0 && (s.role == first || s.role == declared) {
		name := string(s.data[from : from+length])
		s.pos += length
		if s.at("=") || s.at("+=") || s.at("[") {
			return s.assignment(name, from)
		}
		s.pos = from
	}
	return s.skipWord()
}

// skipWord reads a word that is no assignment.
func (s *scanner) skipWord() error {
	from := s.pos
	if err := s.word(); err != nil {
		return err
	}
	s.words, s.ends, s.last = s.words+1, s.pos, 'w'
	return s.plainWord(string(s.data[from:s.pos]))
}

// assignment reads what follows the NAME at from: =value, or one of the forms that are refused.
func (s *scanner) assignment(name string, from int) error {
	var refused error
	if s.at("[") {
		refused = errArray
		n := bytes.IndexAny(s.data[s.pos:], "]\n")
		if n < 0 || s.data[s.pos+n] == '\n' || !bytes.HasPrefix(s.data[s.pos+n+1:], []byte("=")) {
			s.pos = from // a pattern, such as x[0-9]*
			return s.skipWord()
		}
		s.pos += n + 1
	}
	if s.at("+=") {
		refused = errAppended
		s.pos++
	}
	s.pos++
	start := s.pos
	switch {
	case s.at("("):
		refused = errArray
		if err := s.bracket('(', ')'); err != nil {
			return err
		}
	case s.at("~"):
		refused = errTilde
	}
	if err := s.word(); err != nil {
		return err
	}
	whole := edit.Span{From: from, To: s.pos}
	if s.words > 0 {
		whole.From = s.ends // with the blanks before it
	}
	s.items = append(s.items, edit.Item{
		Key: name, Value: string(s.value), Line: s.lineOf(from), Err: s.verdict(refused),
		Text: edit.Span{From: start, To: s.pos}, Whole: whole,
	})
	s.words, s.ends, s.last = s.words+1, s.pos, 'w'
	return nil
}

func (s *scanner) verdict(refused error) error {
	switch {
	case refused != nil:
		return refused
	case len(s.open) > 0:
		return errCondition
	}
	return s.err
}

// plainWord takes a word that is no assignment.
func (s *scanner) plainWord(w string) error {
	switch s.role {
	case target:
		s.role = s.back
	case unset:
		s.forget(w)
	case named:
		s.role, s.words = first, 0
	case first:
		return s.command(w)
	}
	return nil
}

// forget is what unset does to the assignments before it.
func (s *scanner) forget(name string) {
	if len(s.open) == 0 && !s.chained {
		kept := s.items[:0]
		line := 0
		for i, it := range s.items {
			if it.Key == name {
				continue
			}
			if kept = append(kept, it); i < s.line {
				line++
			}
		}
		s.items, s.line, s.before = kept, line, len(kept)
		return
	}
	for i := range s.items {
		if s.items[i].Key == name {
			s.items[i].Err = errUnset
		}
	}
}

// command takes the first word of a command: a keyword, a declaration, or something that runs.
func (s *scanner) command(w string) error {
	for i := s.before; i < len(s.items); i++ {
		if s.items[i].Err == nil {
			s.items[i].Err = errPrefix
		}
	}
	s.role = arguments
	if s.words > 1 {
		return nil // behind assignments no word is a keyword
	}
	if isDeclaration(w) {
		s.role = declared
		return nil
	}
	switch w {
	case "unset":
		s.role = unset
	case "function":
		s.role = named
	case "if":
		s.begin('i')
	case "while", "until":
		s.begin('l')
	case "{":
		s.begin('{')
	case "then", "do", "else", "elif", "!", "time":
		s.role, s.words = first, 0
	case "for", "select":
		s.open = append(s.open, 'l')
	case "case":
		s.open = append(s.open, 'c')
	case "fi":
		return s.close('i')
	case "done":
		return s.close('l')
	case "esac":
		return s.close('c')
	case "}":
		return s.close('{')
	}
	return nil
}

// begin opens a compound command whose first word is again a command.
func (s *scanner) begin(kind byte) {
	s.open = append(s.open, kind)
	s.role, s.words = first, 0
}
