"""``rets-pipeline``: the command line.

What belongs here: arguments, exit statuses, and where output goes. What does not: what commands do
(``commands``).

Settings are read before anything slow is imported, so that their faults are told at once.

Exit status: 0; 1 a run failed; 2 something cannot be used as it is configured; 3 another run holds
the feed. Every fault that people can cause is one line.
"""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import typer
from dotenv import load_dotenv
from rich.console import Console
from rich.markup import escape

from rets_pipeline import __version__, logs
from rets_pipeline.commands import database, rets
from rets_pipeline.commands.faults import (
    FAILED,
    INTERRUPTED,
    LOCKED,
    UNUSABLE,
    DemoFailed,
    RunFailed,
)
from rets_pipeline.settings import FeedConfig, Settings, SettingsError, log_form

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(rets.app, name="rets")
app.add_typer(database.app, name="db")
console = Console(highlight=False)
errors = Console(stderr=True, highlight=False, soft_wrap=True)

Feed = Annotated[str, typer.Argument(help="A feed's name in feeds.yaml.", metavar="FEED")]
_PORT = 8642
_DAY, _DAY_SHOWN = ["%Y-%m-%d"], "YYYY-MM-DD"


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print and exit.")
    ] = False,
) -> None:
    """An exact mirror of MLS listings over RETS, orchestrated by Dagster.

    Feeds stand in feeds.yaml, secrets in the environment or in .env.
    """


@app.command()
def demo(
    listings: Annotated[int, typer.Option(help="How many the server has.", min=50)] = 500,
    days: Annotated[int, typer.Option(help="Their updates are spread over.", min=1)] = 60,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal servers.")] = 7,
    port: Annotated[int, typer.Option(help="Of the server.", envvar="SANDBOX_PORT")] = _PORT,
) -> None:
    """Mirror a server with invented data for three days, and verify every key and photo."""
    from rets_pipeline.commands import demo as demos
    from rets_pipeline.commands.sandbox_process import World

    demos.demo(console, World(listings, days, seed, port))


@app.command()
def dev(
    port: Annotated[int, typer.Option(help="Of the Dagster UI.")] = 3000,
) -> None:
    """Open the Dagster UI with its daemon; the server of the last demo runs along."""
    from rets_pipeline.commands import dev as devs

    devs.dev(console, port=port)


@app.command()
def sandbox(
    listings: Annotated[int, typer.Option(help="How many exist at the start.", min=1)] = 500,
    days: Annotated[int, typer.Option(help="Their updates are spread over.", min=1)] = 60,
    seed: Annotated[int, typer.Option(help="Everything follows from it.")] = 7,
    port: Annotated[int, typer.Option(help="0 takes a free one.", envvar="SANDBOX_PORT")] = _PORT,
    advance: Annotated[int, typer.Option(help="Days to age before it answers.", min=0)] = 0,
    max_photos: Annotated[int, typer.Option(help="That a listing is born with.", min=0)] = 6,
    generic_listings: Annotated[
        int, typer.Option(help="Of the generic RETS server beside it, at /rets/login.", min=0)
    ] = 200,
    single_session: Annotated[
        bool, typer.Option("--single-session", help="Refuse a second login.")
    ] = False,
) -> None:
    """Serve invented listings as a DDF server does; it ages on POST /_sandbox/advance?days=1."""
    from rets_pipeline.sandbox.__main__ import main as serve

    numbers = {
        "listings": listings,
        "days": days,
        "seed": seed,
        "port": port,
        "advance": advance,
        "max-photos": max_photos,
        "generic-listings": generic_listings,
    }
    words = [word for name, value in numbers.items() for word in (f"--{name}", str(value))]
    raise typer.Exit(serve([*words, *(["--single-session"] if single_session else [])]))


@app.command()
def check(
    feed: Annotated[str | None, typer.Argument(help="One feed; all without it.")] = None,
) -> None:
    """Try the settings: warehouse, archive, a login on each feed. Say what is wrong."""
    settings = Settings.from_env()
    feeds = [settings.feed(feed)] if feed else list(settings.feeds.values())
    from rets_pipeline.commands import check as checks

    faults = 0
    for finding in checks.check(settings, feeds, {} if feed else settings.broken):
        if finding.fault is None:
            told = escape(f"{finding.what}: {finding.detail}")
            console.print(f"[green]works[/]  {told}", soft_wrap=True)
        else:
            faults += 1
            errors.print(f"[red]error[/]  {escape(finding.what)}: ", end="")
            errors.print(finding.fault, markup=False)
    if faults:
        raise typer.Exit(2)


@app.command()
def mapping(
    source: Annotated[Literal["ddf"], typer.Argument(help="A source, as feeds name it.")],
    markdown: Annotated[
        bool, typer.Option("--markdown", help="As docs/mapping-ddf.md has it.")
    ] = False,
) -> None:
    """Show where everything in a source's records goes: table, column, RESO name, conversion."""
    from rets_pipeline.commands import mapping as mappings

    if markdown:
        typer.echo(mappings.markdown(), nl=False)
        return
    for line in mappings.lines():
        typer.echo(line)


@app.command()
def status(
    feed: Annotated[str | None, typer.Argument(help="One feed; all without it.")] = None,
) -> None:
    """Show what the server had at the last look and what is held of it."""
    settings = Settings.from_env()
    feeds = [settings.feed(feed)] if feed else list(settings.feeds.values())
    from rets_pipeline.commands import status as states
    from rets_pipeline.warehouse.engine import Warehouse

    warehouse = Warehouse.open(settings.database_url)
    console.print(states.table(warehouse, feeds))
    warehouse.close()
    broken = {} if feed else settings.broken
    for fault in broken.values():
        _tell(SettingsError(fault))
    if broken:
        raise typer.Exit(2)


def _runnable(name: str) -> tuple[Settings, FeedConfig]:
    """The settings and a feed that can run; faults are told before slow Dagster is imported."""
    settings = Settings.from_env()
    feed = settings.feed(name)
    from rets_pipeline.commands import beforehand

    beforehand.check(settings, feed)
    return settings, feed


_AllowDeletions = Annotated[
    int, typer.Option(min=0, help="Let up to this many listings go although the guard trips.")
]


@app.command()
def sync(
    feed: Feed,
    allow_deletions: _AllowDeletions = 0,
) -> None:
    """Converge: compare the server with the warehouse and remove the difference."""
    settings, chosen = _runnable(feed)
    from rets_pipeline.commands import report, runs

    report.tell(console, runs.sync(settings, chosen, console, allow_deletions=allow_deletions))


@app.command()
def reconcile(
    feed: Feed,
    allow_deletions: _AllowDeletions = 0,
) -> None:
    """Sync, and audit: a sample fetched again, every key compared, blobs against their rows."""
    settings, chosen = _runnable(feed)
    from rets_pipeline.commands import report, runs

    report.tell(console, runs.reconcile(settings, chosen, console, allow_deletions=allow_deletions))


@app.command()
def retention(
    feed: Annotated[str | None, typer.Argument(help="One feed; all without it.")] = None,
) -> None:
    """Remove what is old enough: raw pulls, master lists, tombstones, rows of the event log."""
    settings = Settings.from_env()
    feeds = [settings.feed(feed)] if feed else list(settings.feeds.values())
    from rets_pipeline.commands import report, runs

    # A feed that cannot be pruned now keeps no other from it.
    faults: list[Exception] = [] if feed else [*map(SettingsError, settings.broken.values())]
    for chosen in feeds:
        console.print(f"feed {chosen.name}")
        try:
            report.tell(console, runs.retention(settings, chosen, console), indent="  ")
        except (RunFailed, SettingsError) as error:
            if _status_of(error) == INTERRUPTED:
                raise
            faults.append(error)
    if feed is None:
        console.print(f"event log: {runs.prune_event_log(settings):,} rows removed")
    for fault in faults:
        _tell(fault)
    if faults:
        raise typer.Exit(max(map(_status_of, faults)))


@app.command()
def members(
    feed: Feed,
    allow_deletions: Annotated[
        int,
        typer.Option(min=0, help="Let up to this many of each go although the guard trips."),
    ] = 0,
) -> None:
    """Converge members and offices, by searches of their own."""
    settings, chosen = _runnable(feed)
    from rets_pipeline.commands import report, runs

    report.tell(console, runs.members(settings, chosen, console, allow_deletions=allow_deletions))


@app.command()
def images(feed: Feed) -> None:
    """Bring photos and logos in step with listings, members and offices."""
    settings, chosen = _runnable(feed)
    from rets_pipeline.commands import report, runs

    report.tell(console, runs.images(settings, chosen, console))


@app.command()
def addresses(feed: Feed) -> None:
    """Bring the coordinates in step with the addresses."""
    settings, chosen = _runnable(feed)
    from rets_pipeline.commands import report, runs

    report.tell(console, runs.addresses(settings, chosen, console))


_ResourceName = Annotated[
    str, typer.Option("--resource", help="Property, Member or Office.", metavar="NAME")
]
_Json = Annotated[bool, typer.Option("--json", help="For machines.")]


@app.command()
def show(
    feed: Feed,
    key: Annotated[str, typer.Argument(help="The server's own key.", metavar="KEY")],
    resource: _ResourceName = "Property",
    offline: Annotated[
        bool, typer.Option("--offline", help="Take the newest archived pull; ask no server.")
    ] = False,
    every: Annotated[bool, typer.Option("--all", help="Equal values too.")] = False,
    as_json: _Json = False,
) -> None:
    """Show one listing: the server's record beside the warehouse's, its history, images, pulls."""
    settings = Settings.from_env()
    chosen = settings.feed(feed)
    from rets_pipeline.commands import lens

    seen = lens.show(settings, chosen, key, resource, offline=offline)
    if as_json:
        typer.echo(lens.as_json(seen))
    else:
        lens.tell(console, seen, every=every)
    if seen.verdict == "nowhere":
        raise typer.Exit(1)


@app.command()
def fetch(
    feed: Feed,
    keys: Annotated[list[str], typer.Argument(help="The server's own keys.", metavar="KEY...")],
    resource: _ResourceName = "Property",
    rewrite: Annotated[
        bool, typer.Option("--rewrite", help="Write the rows even where nothing has changed.")
    ] = False,
    as_json: _Json = False,
) -> None:
    """Fetch chosen listings again now, and tell what became of each."""
    settings = Settings.from_env()
    chosen = settings.feed(feed)
    from rets_pipeline.commands import lens

    fetched = lens.fetch(settings, chosen, keys, resource, rewrite=rewrite)
    if as_json:
        typer.echo(lens.fetched_as_json(fetched))
    else:
        lens.tell_fetched(console, fetched)
    if any(item.outcome == "not loaded" for item in fetched):
        raise typer.Exit(1)


@app.command()
def backfill(
    feed: Feed,
    first: Annotated[
        datetime, typer.Option("--from", help="First UTC day.", formats=_DAY, metavar=_DAY_SHOWN)
    ],
    last: Annotated[
        datetime, typer.Option("--to", help="Last UTC day.", formats=_DAY, metavar=_DAY_SHOWN)
    ],
    replay: Annotated[
        bool, typer.Option("--replay", help="Load the archived pulls again; needs no server.")
    ] = False,
) -> None:
    """Fetch and load the listings whose modification timestamps lie on the chosen days."""
    settings, chosen = _runnable(feed)
    from rets_pipeline.commands.beforehand import days_of

    days = days_of(chosen, first.date(), last.date())
    from rets_pipeline.commands import report, runs

    report.tell(console, runs.backfill(settings, chosen, console, days, replay=replay))


def main() -> None:
    """The program's entry point: faults that people can cause are one line and a status."""
    load_dotenv(Path(".env"))
    try:
        logs.configure(log_form())
        app()
    except Exception as error:  # what is expected is told by its class, the rest raised again
        status = _status_of(error)
        _tell(error)
        sys.exit(status)


def _tell(error: Exception) -> None:
    """A fault in one line."""
    errors.print("[red]error:[/] ", end="")
    errors.print(str(error), markup=False)


def _status_of(error: Exception) -> int:
    """The exit status of an error that is expected; others are raised again, with a traceback."""
    if isinstance(error, SettingsError):  # which needs none of the slow imports below
        return 2

    from rets_pipeline.archive import ArchiveError
    from rets_pipeline.commands.sandbox_process import SandboxError
    from rets_pipeline.rets import RetsError
    from rets_pipeline.sync.master import BrokenMasterList
    from rets_pipeline.sync.pull import BrokenPull
    from rets_pipeline.warehouse.engine import WarehouseError
    from rets_pipeline.warehouse.locks import LockHeld

    if isinstance(error, RunFailed):
        return error.status
    if isinstance(error, (WarehouseError, ArchiveError, SandboxError, RetsError)):
        return UNUSABLE
    if isinstance(error, LockHeld):
        return LOCKED
    if isinstance(error, (DemoFailed, BrokenPull, BrokenMasterList)):
        return FAILED
    raise error


if __name__ == "__main__":
    main()
