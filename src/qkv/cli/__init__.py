"""The command line: ``qkv put``, ``qkv query``, ``qkv import`` and the rest.

Every command is a few lines over :class:`qkv.Database`; what it prints is described in
``docs/cli.md``. Heavy modules are imported inside the commands, so that ``qkv --help`` is fast.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from qkv.cli import asking, checking, pictures, records, teaching, transfer
from qkv.cli.display import Screen
from qkv.cli.endings import ending_well

__all__ = ["app", "main"]


class Commands(TyperGroup):
    """The group of all commands: errors, Ctrl-C and closed pipes end the same way in each."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was named."""
        with ending_well():
            return super().invoke(ctx)


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from qkv import __version__  # noqa: PLC0415

        typer.echo(f"qkv {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """A dict whose lookup is attention.

    Put keys and values into a file. Ask with words that are no key, and get the
    likeliest value, how likely it is, and whether it was stored or imagined.

    Try this:

        qkv put animals.qkv cat feline
        qkv put animals.qkv dog canine
        qkv query animals.qkv "a kitten"

    or, for a tour of a minute: qkv demo
    """


def demo() -> None:
    """Show what qkv does, in a minute.

    Makes a few small stores in memory, asks them, and shows what comes back.
    Writes no file.

    For example:

        qkv demo
    """
    from qkv.demo import run  # noqa: PLC0415

    run(Screen())


_PANELS: dict[str, dict[str, Callable[..., None]]] = {
    "Records": {
        "put": records.put,
        "get": records.get,
        "rm": records.rm,
        "ls": records.ls,
        "info": records.info,
    },
    "Questions": {"query": asking.query, "attend": asking.attend, "search": asking.search},
    "Trust": {"check": checking.check},
    "Learning": {"feedback": teaching.feedback, "learn": teaching.learn},
    "Pictures": {"map": pictures.map, "heatmap": pictures.heatmap},
    "Files": {
        "import": transfer.import_,
        "export": transfer.export,
        "compact": records.compact,
    },
    "Tour": {"demo": demo},
}
for _panel, _commands in _PANELS.items():
    for _name, _command in _commands.items():
        app.command(_name, rich_help_panel=_panel)(_command)


def main() -> None:
    """Run the command line; the entry point of the ``qkv`` script."""
    app()
