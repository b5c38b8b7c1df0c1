package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"goldsmith/firstboot/report"
)

// manCommand prints the manual that the flags and texts of the commands make up. It has one source: this program.
func manCommand() *cli.Command {
	return &cli.Command{Name: "man", Usage: "print this program's manual page, goldsmith(1)", Action: func(c *cli.Context) error {
		if c.Args().Present() {
			return report.Faultf(report.Usage, "unexpected argument %q", c.Args().First())
		}
		page, err := c.App.ToManWithSection(1)
		if err != nil {
			return fmt.Errorf("cannot write the manual: %w", err)
		}
		_, err = fmt.Fprint(c.App.Writer, page)
		return err
	}}
}

// completionScripts ask the program itself, so that they never fall behind it (urfave/cli's protocol: the words so far and
// --generate-bash-completion).
var completionScripts = map[string]string{
	"bash": `_goldsmith() {
  local words=("${COMP_WORDS[@]:0:$COMP_CWORD}")
  [[ ${COMP_WORDS[COMP_CWORD]} == -* ]] && words+=("${COMP_WORDS[COMP_CWORD]}")
  COMPREPLY=($(compgen -W "$("${words[@]}" --generate-bash-completion 2>/dev/null)" -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o bashdefault -o default -o nospace -F _goldsmith goldsmith
`,
	"zsh": `#compdef goldsmith
_goldsmith() {
  local -a opts
  opts=("${(@f)$(${words[@]:0:#words[@]-1} ${words[-1]:#[^-]*} --generate-bash-completion 2>/dev/null)}")
  [[ -n ${opts[1]} ]] && _describe 'values' opts || _files
}
compdef _goldsmith goldsmith
`,
}

func completionCommand() *cli.Command {
	return &cli.Command{Name: "completion", Usage: "print the completion script for a shell", ArgsUsage: "bash|zsh",
		Description: "source <(goldsmith completion bash)",
		Action: func(c *cli.Context) error {
			script, ok := completionScripts[c.Args().First()]
			if !ok || c.Args().Len() != 1 {
				return report.Faultf(report.Usage, "cannot complete for shell %q", c.Args().First()).
					WithHint("source <(goldsmith completion bash)")
			}
			_, err := fmt.Fprint(c.App.Writer, script)
			return err
		}}
}
