"""The command line: argv -> call -> exit code. 0 success, 1 failed, 2 bad usage or input."""

import os
import sys

import click

from pipelines.commands.demo import demo
from pipelines.commands.doctor import doctor
from pipelines.commands.render import plan, render
from pipelines.commands.styles import styles, train
from pipelines.commands.work import clean, report, retry, status
from pipelines.errors import StylereelError
from stylecore.errors import StyleError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="stylereel")
def stylereel() -> None:
    """Repaint a whole film in one artistic style: in sync, without flicker, resumable, proved."""


for _command in (demo, render, plan, status, retry, report, clean, styles, train, doctor):
    stylereel.add_command(_command)


def main() -> None:
    """Run one command and leave with its exit code; every expected failure is one line."""
    code = 1
    try:
        stylereel.main(standalone_mode=False)
        code = 0
    except click.exceptions.Exit as done:
        code = done.exit_code
    except click.ClickException as err:
        err.show()
        code = err.exit_code
    except StylereelError as err:
        click.echo(f"stylereel: {err}", err=True)
        code = err.exit_code
    except StyleError as err:
        click.echo(f"stylereel: {err}", err=True)
        code = 2
    except (KeyboardInterrupt, click.Abort):
        click.echo("stylereel: stopped; the same command continues", err=True)
        code = 130
    sys.stdout.flush()
    sys.stderr.flush()
    # Prefect's background threads would hold an ordinary exit for seconds; everything is written by now.
    os._exit(code)


if __name__ == "__main__":
    main()
