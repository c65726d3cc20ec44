"""`reveille completion`: what makes a shell complete commands, options, and names that it asks the server for.

Typer decides what can follow. The scripts are our own because those of Typer put what the server says into the
command line unquoted, and into an `eval`: names are other people's text.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from typer.completion import get_completion_inspect_parameters

BASH = r"""_reveille() {
    local IFS=$'\n' line
    COMPREPLY=()
    while IFS= read -r line; do
        [[ -n $line ]] && COMPREPLY+=("$(printf %q "$line")")
    done < <(env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD="$COMP_CWORD" \
        _REVEILLE_COMPLETE=complete_bash "$1" 2>/dev/null)
}
complete -o default -F _reveille reveille
"""
ZSH = r"""#compdef reveille
_reveille() {
    local line
    local -a values shown
    for line in "${(@f)$(env COMP_WORDS="${(pj:\n:)words}" COMP_CWORD=$((CURRENT - 1)) \
            _REVEILLE_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=get-args \
            _TYPER_COMPLETE_ARGS="${(j: :)words[1,CURRENT]}" "${words[1]}" 2>/dev/null)}"; do
        [[ -n $line ]] || continue
        values+=("${line%%$'\t'*}")
        shown+=("${line/$'\t'/  -- }")
    done
    (( ${#values} )) && compadd -l -d shown -a values || _files
}
compdef _reveille reveille
"""
FISH = r"""complete --command reveille --no-files --arguments "(env _REVEILLE_COMPLETE=complete_fish \
_TYPER_COMPLETE_FISH_ACTION=get-args _TYPER_COMPLETE_ARGS=(commandline -cp | string collect) reveille 2>/dev/null)"
"""


class Shell(StrEnum):
    """A shell whose completion is known."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


SCRIPTS = {Shell.BASH: BASH, Shell.ZSH: ZSH, Shell.FISH: FISH}


def register(app: typer.Typer) -> None:
    """Adds the command to the root command."""
    get_completion_inspect_parameters()  # as a side effect Typer knows the shells
    app.command()(completion)


def completion(shell: Annotated[Shell, typer.Argument(help="The shell that you use.")]) -> None:
    """Print what makes a shell complete this command.

    For bash, in ~/.bashrc: source <(reveille completion bash). For zsh, in ~/.zshrc after compinit: source
    <(reveille completion zsh). For fish: reveille completion fish > ~/.config/fish/completions/reveille.fish
    """
    typer.echo(SCRIPTS[shell], nl=False)
