"""The command itself: its options, its errors in one line, its help with an example."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from understudy.errors import UnderstudyError, hint

# What is installed only for those who ask for it: the module that would be missing, and the extra that brings it.
_EXTRAS = {
    **dict.fromkeys(("torch", "safetensors", "onnx"), "train"),
    **dict.fromkeys(("sumo", "gymnasium", "simplejpeg"), "city"),
    **dict.fromkeys(("fastapi", "starlette", "uvicorn"), "console"),
    "ray": "ray",
}

Command = TypeVar("Command", bound=Callable[..., Any])


class _Examples(click.Command):
    """A command whose help ends with the lines of its examples as they were written."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.epilog:
            with formatter.section("Example"):
                for line in self.epilog.strip().splitlines():
                    formatter.write(f"  {line.strip()}\n")


def _end(*_: object) -> None:
    """Whoever is told to end takes with it what it has half written."""
    sys.exit(128 + signal.SIGTERM)


class _Group(click.Group):
    """Errors of ours are one line; a mistyped command is answered with the nearest one."""

    command_class = _Examples
    group_class = type  # groups within it are of this kind too

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # in the order of the trip, not of the alphabet

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            ctx.fail(f"no command named {args[0]!r}{hint(args[0], self.commands)}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        if ctx.parent is None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, _end)
        try:
            return super().invoke(ctx)
        except UnderstudyError as error:
            click.echo(f"understudy: {error}", err=True)
            ctx.exit(1)
        except BrokenPipeError:  # whoever read our output has heard enough
            raise
        except OSError as error:
            where = f"; {error.filename}" if error.filename is not None else ""
            click.echo(f"understudy: {error.strerror or error}{where}", err=True)
            ctx.exit(1)
        except ModuleNotFoundError as error:
            extra = _EXTRAS.get((error.name or "").partition(".")[0])
            if extra is None:
                raise
            click.echo(f"understudy: this needs the extra [{extra}]; `scripts/setup {extra}` installs it", err=True)
            ctx.exit(1)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="understudy")
def main() -> None:
    """Find the seconds that matter in hours of driving.

    Reads drive logs, lets candidate drivers plan silently beside whoever drove, and keeps the moments where they
    would have done otherwise.

    \b
      understudy ingest comma2k19 ~/comma2k19     logs into the lake
      understudy shadow lane_follow               a candidate plans at every instant
      understudy mine --budget 20                 the twenty clips that matter
      understudy show                             one page to look at
    """


def lake_option(command: Command) -> Command:
    return click.option(
        "--lake",
        "lake",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="FOLDER",
        help="Where drives and results live [default: $UNDERSTUDY_LAKE or ./lake].",
    )(command)


def json_option(command: Command) -> Command:
    return click.option("--json", "as_json", is_flag=True, help="JSON lines, also to a terminal.")(command)


def set_option(command: Command) -> Command:
    return click.option(
        "--set",
        "assignments",
        multiple=True,
        metavar="KEY=VALUE",
        help="A setting, in TOML's grammar; may be repeated.",
    )(command)


def processes_option(command: Command) -> Command:
    return click.option(
        "--processes",
        type=click.IntRange(0),
        default=0,
        show_default=True,
        help="Work in so many processes; 0 is this one.",
    )(command)
