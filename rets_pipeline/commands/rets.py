"""``rets-pipeline rets …``: a RETS server from the command line, without Dagster and feeds.

What belongs here: login, metadata, search, count and objects of any server, for people. What does
not: the protocol (``rets``), and anything that writes to the warehouse.
"""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, Literal, Protocol

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.tree import Tree

from rets_pipeline.settings import SettingsError

if TYPE_CHECKING:  # the command line is slow enough without what only these commands need
    from rets_pipeline.rets import Metadata, RetsObject, Session

app = typer.Typer(
    no_args_is_help=True,
    help="Ask any RETS server: login, metadata, search, count, objects. The account stands in "
    "RETS_USERNAME and RETS_PASSWORD.",
)
console = Console(highlight=False)
errors = Console(stderr=True, highlight=False, soft_wrap=True)

Url = Annotated[
    str, typer.Option("--url", envvar="RETS_LOGIN_URL", help="The login address.", metavar="URL")
]
Version = Annotated[str, typer.Option(help="Sent as RETS-Version.")]
Agent = Annotated[str, typer.Option("--user-agent", help="Sent as User-Agent.")]
Method = Annotated[str, typer.Option(help="Of searches: GET or POST.")]
ResourceName = Annotated[str, typer.Argument(help="Property, say.", metavar="RESOURCE")]
ClassName = Annotated[str, typer.Argument(help="A class of the resource.", metavar="CLASS")]
Query = Annotated[str, typer.Argument(help="In DMQL2: (ListPrice=500000+), say.", metavar="QUERY")]
Format = Literal["COMPACT", "COMPACT-DECODED", "STANDARD-XML"]

_VERSION, _AGENT, _METHOD = "RETS/1.7.2", "rets_pipeline/0.1", "POST"
_PARQUET_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Server:
    """How to reach a server; the account comes from the environment."""

    url: str
    version: str
    agent: str
    method: str = _METHOD

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A session, logged out at the end.

        Raises:
            SettingsError: the account is missing, or an option makes no sense.
        """
        from rets_pipeline.rets import Session

        account = [_variable(name) for name in ("RETS_USERNAME", "RETS_PASSWORD")]
        if self.method not in ("GET", "POST"):
            raise SettingsError(f"--method: {self.method!r} is neither GET nor POST")
        method: Literal["GET", "POST"] = "GET" if self.method == "GET" else "POST"
        try:
            session = Session(
                self.url, *account, user_agent=self.agent, rets_version=self.version, method=method
            )
        except ValueError as error:
            raise SettingsError(str(error)) from None
        with session:
            yield session


@app.command()
def login(url: Url, version: Version = _VERSION, user_agent: Agent = _AGENT) -> None:
    """Log in and show what the server offers."""
    with Server(url, version, user_agent).session() as session:
        capabilities = session.login()
    shown = Table(show_header=False, show_edge=False, pad_edge=False)
    for name, value in {**capabilities.information, **capabilities.urls}.items():
        shown.add_row(name, value)
    console.print(shown)


@app.command()
def metadata(
    url: Url,
    resource: Annotated[str | None, typer.Option(help="Only this one.")] = None,
    lookups: Annotated[bool, typer.Option("--lookups", help="Show their values too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
    version: Version = _VERSION,
    user_agent: Agent = _AGENT,
) -> None:
    """Show resources, classes, fields, lookups and objects as a tree."""
    from rets_pipeline.rets import load_metadata

    with Server(url, version, user_agent).session() as session:
        found = load_metadata(session)
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=1, ensure_ascii=False))
    else:
        console.print(_tree(found, resource, lookups))
    for problem in found.problems:
        errors.print(f"[yellow]{problem}[/]")


def _tree(found: Metadata, wanted: str | None, lookups: bool) -> Tree:
    root = Tree("[bold]metadata[/]")
    for resource in found.resources.values():
        if wanted is not None and resource.name.lower() != wanted.lower():
            continue
        branch = root.add(f"[bold]{resource.name}[/] [dim]key {resource.key_field or '?'}[/]")
        for item in resource.classes.values():
            fields = branch.add(f"class [bold]{item.name}[/] [dim]{len(item.fields)} fields[/]")
            for field in item.fields.values():
                kind = " ".join(filter(None, (field.data_type, field.interpretation)))
                fields.add(f"{field.system_name} [dim]{kind} {field.lookup_name}[/]")
        for lookup in resource.lookups.values():
            values = branch.add(f"lookup {lookup.name} [dim]{len(lookup.values)} values[/]")
            for value in lookup.values if lookups else ():
                values.add(f"{value.value} [dim]{value.long_value}[/]")
        for name in resource.objects:
            branch.add(f"object {name}")
    return root


@app.command()
def search(
    url: Url,
    resource: ResourceName,
    class_name: ClassName,
    query: Query,
    output: Annotated[
        Path | None,
        typer.Option(help="A file: .csv, .jsonl or .parquet. Without it: CSV on the terminal."),
    ] = None,
    answer_format: Annotated[
        Format, typer.Option("--format", help="Of the server's answer.")
    ] = "COMPACT-DECODED",
    select: Annotated[str | None, typer.Option(help="Fields, with commas between.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many records.")] = None,
    page: Annotated[int | None, typer.Option(min=2, help="Records of one request.")] = None,
    record: Annotated[
        str | None,
        typer.Option(help="STANDARD-XML: what a record's element is called; default: RESOURCE."),
    ] = None,
    version: Version = _VERSION,
    user_agent: Agent = _AGENT,
    method: Method = _METHOD,
) -> None:
    """Write the records that a query finds: all of them, or an error."""
    arguments = _arguments(resource, class_name, query, answer_format)
    if select:
        arguments["Select"] = select
    with ExitStack() as stack:
        session = stack.enter_context(Server(url, version, user_agent, method).session())
        records = _records(session, arguments, record or resource, limit, page)
        target = stack.enter_context(_target(output))
        written = 0
        for item in _counted(records, visible=output is not None):
            target.write(item)
            written += 1
    if output is not None:
        console.print(f"{written:,} records in {output}", soft_wrap=True)


@app.command()
def count(
    url: Url,
    resource: ResourceName,
    class_name: ClassName,
    query: Query,
    answer_format: Annotated[Format, typer.Option("--format")] = "COMPACT",
    version: Version = _VERSION,
    user_agent: Agent = _AGENT,
    method: Method = _METHOD,
) -> None:
    """Show how many records a query finds."""
    arguments = {**_arguments(resource, class_name, query, answer_format), "Count": "2"}
    with Server(url, version, user_agent, method).session() as session:
        compact = answer_format.startswith("COMPACT")
        answer: Any = (
            session.search_compact(arguments)
            if compact
            else session.search(arguments, record=resource)
        )
        with answer:
            for _ in answer:
                """Count=2 has no records; the end of the answer is its proof."""
    typer.echo(answer.count)


@app.command(name="object")
def objects(
    url: Url,
    resource: ResourceName,
    object_type: Annotated[str, typer.Argument(help="Photo, say.", metavar="TYPE")],
    keys: Annotated[
        list[str], typer.Argument(help="KEY, KEY:1, KEY:1-5, KEY:0 or KEY:*", metavar="KEY[:N]")
    ],
    output: Annotated[Path, typer.Option(help="The folder for the files.")] = Path(),
    location: Annotated[bool, typer.Option("--location", help="Addresses only.")] = False,
    version: Version = _VERSION,
    user_agent: Agent = _AGENT,
) -> None:
    """Save the objects of listings, photos say, into a folder."""
    wanted: dict[str, list[str]] = {}
    for key, _, number in (item.partition(":") for item in keys):
        wanted.setdefault(key, []).append(number or "*")
    failed = 0
    with Server(url, version, user_agent).session() as session:
        for key, numbers in wanted.items():  # many servers take one listing at a time
            ids = "*" if "*" in numbers else numbers
            with session.get_object(resource, object_type, {key: ids}, location=location) as found:
                kept = [_kept(item, key, object_type, output) for item in found]
            failed += kept.count(False)
            if not kept:
                errors.print(f"{key} {object_type}: the server has none", markup=False)
    if failed:
        raise typer.Exit(1)


def _kept(item: RetsObject, key: str, object_type: str, folder: Path) -> bool:
    """Write one object; say what is absent or damaged."""
    name = f"{key} {object_type} {item.object_id or item.position}"
    if item.error is not None:
        errors.print(f"{name}: {'absent' if item.absent else item.error}", markup=False)
        return item.absent
    if item.location is not None:
        typer.echo(f"{name}: {item.location}")
        return True
    from rets_pipeline.archive import safe_segment

    kind = item.content_type.rpartition("/")[2].replace("jpeg", "jpg") or "bin"
    parts = (item.content_id or key, str(item.object_id or item.position))
    path = folder / f"{'_'.join(map(safe_segment, parts))}.{safe_segment(kind)}"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_bytes(item.data)
    typer.echo(f"{name}: {path} ({len(item.data):,} bytes)")
    return True


class _Target(Protocol):
    def write(self, record: Mapping[str, Any]) -> None: ...


class _Csv:
    def __init__(self, file: IO[str]) -> None:
        self._writer = csv.writer(file, lineterminator="\n")
        self._columns: list[str] | None = None

    def write(self, record: Mapping[str, Any]) -> None:
        if self._columns is None:
            self._columns = list(record)
            self._writer.writerow(self._columns)
        self._writer.writerow(_texts(record, self._columns).values())


class _JsonLines:
    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, record: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(record, ensure_ascii=False) + "\n")


class _Parquet:
    """Text columns, those of the first record; written in batches."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: list[Mapping[str, Any]] = []
        self._writer: Any = None

    def write(self, record: Mapping[str, Any]) -> None:
        self._rows.append(record)
        if len(self._rows) >= _PARQUET_ROWS:
            self.flush()

    def flush(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not self._rows:
            return
        if self._writer is None:
            schema = pa.schema([(name, pa.string()) for name in self._rows[0]])
            self._writer = pq.ParquetWriter(self._path, schema, compression="zstd")
        texts = [_texts(row, self._writer.schema.names) for row in self._rows]
        self._writer.write_table(pa.Table.from_pylist(texts, schema=self._writer.schema))
        self._rows = []

    def close(self) -> None:
        self.flush()
        if self._writer is not None:
            self._writer.close()


def _texts(record: Mapping[str, Any], columns: Sequence[str]) -> dict[str, str | None]:
    """The record in the columns of the first one. Nothing is left out in silence.

    Raises:
        SettingsError: it has others.
    """
    if more := record.keys() - set(columns):
        raise SettingsError(
            f"--output: records differ in their fields ({', '.join(sorted(more)[:3])} …); "
            ".jsonl takes them"
        )
    return {name: _text(record[name]) if name in record else None for name in columns}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@contextmanager
def _target(path: Path | None) -> Iterator[_Target]:
    """Where records go. A file gets its name only when everything is in it."""
    if path is None:
        yield _Csv(sys.stdout)
        return
    if path.suffix not in (".csv", ".jsonl", ".parquet"):
        raise SettingsError(f"--output: {path} must end in .csv, .jsonl or .parquet")
    partial_path = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".parquet":
            parquet = _Parquet(partial_path)
            yield parquet
            parquet.close()
        else:
            with partial_path.open("w", encoding="utf-8", newline="") as file:
                yield _Csv(file) if path.suffix == ".csv" else _JsonLines(file)
        if partial_path.exists():
            partial_path.replace(path)
    except OSError as error:
        raise SettingsError(f"--output: {path}: {error.strerror}") from None
    finally:
        partial_path.unlink(missing_ok=True)


def _arguments(resource: str, class_name: str, query: str, answer_format: str) -> dict[str, str]:
    return {
        "SearchType": resource,
        "Class": class_name,
        "QueryType": "DMQL2",
        "Query": query if query.startswith("(") else f"({query})",
        "Format": answer_format,
        "Count": "1",
    }


def _records(
    session: Session, arguments: dict[str, str], record: str, limit: int | None, page: int | None
) -> Iterator[Mapping[str, Any]]:
    from rets_pipeline.rets import search_all

    compact = arguments["Format"].startswith("COMPACT")
    if limit is not None:
        arguments = {**arguments, "Limit": str(limit)}
        answer: Any = (
            session.search_compact(arguments)
            if compact
            else session.search(arguments, record=record)
        )
        with answer:
            yield from answer.dicts() if compact else map(_nested, answer)
        return
    if not compact:
        ask = partial(session.search, record=record)
        yield from map(_nested, search_all(ask, arguments, page_size=page))
        return
    columns: list[tuple[str, ...]] = []

    def pages(fields: Mapping[str, str]) -> Any:
        found = session.search_compact(fields)
        columns[:] = [found.columns]
        return found

    for row in search_all(pages, arguments, page_size=page):
        yield dict(zip(columns[0], row, strict=True))


def _nested(element: Any) -> dict[str, Any]:
    """An element as text, attributes (``@name``) and children; lists where a name repeats."""
    found: dict[str, Any] = {f"@{name}": value for name, value in element.attrib.items()}
    for child in element:
        if not isinstance(child.tag, str):
            continue
        name = child.tag.rpartition("}")[2]
        value: Any = _nested(child) if len(child) or child.attrib else (child.text or "")
        if name in found:
            present = found[name]
            found[name] = [*present, value] if isinstance(present, list) else [present, value]
        else:
            found[name] = value
    if element.text and element.text.strip():
        found["#text"] = element.text
    return found


def _counted(records: Iterator[Mapping[str, Any]], *, visible: bool) -> Iterator[Mapping[str, Any]]:
    """A bar on the terminal while records are written to a file."""
    with Progress(
        TextColumn("records"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not (visible and console.is_terminal),
    ) as bar:
        task = bar.add_task("records", total=None)
        for item in records:
            yield item
            bar.advance(task)


def _variable(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise SettingsError(f"the variable {name} is not set")
    return value
