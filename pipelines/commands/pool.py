"""`stylereel pool`: workers on a Prefect server of one's own."""

import click

from pipelines.commands.common import json_option, print_result
from pipelines.flows.server import given_server


@click.group()
def pool() -> None:
    """Paint on a pool of workers, through a Prefect server of your own."""


@pool.command()
@click.argument("name")
@json_option
def setup(name: str, as_json: bool) -> None:
    """Make the work pool NAME ready on the server of PREFECT_API_URL; again brings it up to date.

    Example: stylereel pool setup gpu
    """
    given_server()
    from pipelines.flows.pool import BATCHES, TITLES, set_up_pool

    facts = set_up_pool(name)
    lines = [
        f"pool {name}: {', '.join(facts['deployments'])}",
        "start one worker for each GPU, and one for the titles, where stylereel is installed:",
        f"  CUDA_VISIBLE_DEVICES=0 prefect worker start --pool {name} --work-queue {BATCHES} --limit 1",
        f"  prefect worker start --pool {name} --work-queue {TITLES} --limit 8",
        f"then: stylereel render SOURCE OUTPUT --pool {name} --device cuda:0",
    ]
    print_result(facts, lines, as_json)
