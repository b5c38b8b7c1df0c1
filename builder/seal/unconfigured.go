package seal

// unconfigured is off: the machine asks at its console for a password and a network, and waits for somebody to answer.
var unconfigured = Operation{
	Name:  "unconfigured",
	Short: "make /.unconfigured, by which systems before EL 7 ask for everything again",
	Off:   true,
	Why:   "the boot waits for somebody at the console",
	Do: func(s *Scene) error {
		if s.Tree.Exists(".unconfigured") {
			return nil
		}
		return s.Write(".unconfigured", []byte{}, 0o644)
	},
}
