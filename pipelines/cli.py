"""The command line: argv -> call -> exit code. 0 success, 1 failed, 2 bad usage or input."""

import os
import sys
import traceback

import click

from pipelines.commands.bench import bench
from pipelines.commands.demo import demo
from pipelines.commands.distill import distill
from pipelines.commands.doctor import doctor
from pipelines.commands.image import image
from pipelines.commands.look import look
from pipelines.commands.plan import plan
from pipelines.commands.pool import pool
from pipelines.commands.render import render
from pipelines.commands.retry import retry
from pipelines.commands.season import season
from pipelines.commands.styles import styles
from pipelines.commands.train import train
from pipelines.commands.work import clean, report, status
from pipelines.cores import share_cores
from pipelines.credentials import scrub
from pipelines.environment import cache_folder, recall_urls
from pipelines.errors import StylereelError
from stylecore.errors import StyleError
from stylecore.runtime import keep_freed_memory


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="stylereel")
def stylereel() -> None:
    """Repaint a whole film in one artistic style: in sync, steady, resumable, proved."""


_LOOKING = (demo, look, plan, status, report, bench, doctor)
_WORKING = (render, image, season, retry, clean, styles, train, distill, pool)
for _command in (*_LOOKING, *_WORKING):
    stylereel.add_command(_command)


def run(arguments: list[str]) -> int:
    """Run one command; its exit code. Every expected failure is one line on standard error."""
    keep_freed_memory()
    recall_urls()
    share_cores(1)
    try:
        code = stylereel.main(arguments, prog_name="stylereel", standalone_mode=False)
    except click.ClickException as err:
        err.show()
        return err.exit_code
    except StylereelError as err:
        click.echo(f"stylereel: {_one_line(err)}", err=True)
        return err.exit_code
    except StyleError as err:
        click.echo(f"stylereel: {_one_line(err)}", err=True)
        return 2
    except (KeyboardInterrupt, click.Abort):
        click.echo("stylereel: stopped; the same command continues", err=True)
        return 130
    except Exception as err:
        what = f"{type(err).__name__}: {_one_line(err)}"
        click.echo(f"stylereel: a fault of stylereel's own, {what}; {_keep_trace()}", err=True)
        return 1
    return code if isinstance(code, int) else 0


def _one_line(err: Exception) -> str:
    """An error's text without credentials, and without what a file's name may do to a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in scrub(str(err)))


def _keep_trace() -> str:
    """Where the traceback of the error being handled was written."""
    path = cache_folder() / "last-error.txt"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(scrub(traceback.format_exc()))
    except OSError:
        return "its trace could not be written"
    return f"its trace is in {path}, please report it"


def main() -> None:
    """The program."""
    code = run(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # Prefect's background threads would hold an ordinary exit for seconds; everything is written by now.
    os._exit(code)


if __name__ == "__main__":
    main()
