"""Running a server as a child process that leaves nothing behind.

What belongs here: what the launchers share: free ports, a folder that the server's account can
reach, start with a time-out, a sure end. What does not: anything about one particular server.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

# Removes the server and its folder when the owner is gone without a word, even by SIGKILL: the
# owner holds the other end of the standard input. The command line is looked at before each kill,
# because a process number may meanwhile belong to somebody else.
_WATCHDOG = r"""
folder=$1 pid=$2 signal=$3
ours() {
    if [ -r "/proc/$pid/cmdline" ]; then tr '\0' ' ' < "/proc/$pid/cmdline"
    else ps -o command= -p "$pid"
    fi 2> /dev/null | grep -qF -- "$folder"
}
read -r word
[ "$word" = done ] && exit 0
ours && kill "-$signal" "$pid"
tries=0
while ours && [ "$tries" -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done
ours && kill -KILL "$pid"
shift 3
rm -rf -- "$folder" "$@"
"""


_TRIES = 3

Started = TypeVar("Started")


class ServiceError(Exception):
    """A server could not be found or started; the message ends with the server's own log."""


@dataclass(frozen=True)
class Account:
    """A user of this machine that a server runs as."""

    name: str
    uid: int
    gid: int


def unprivileged_account() -> Account | None:
    """The user that a server steps down to: None unless this process is root's."""
    if os.geteuid() != 0:
        return None
    for name in ("nobody", "daemon"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(name, entry.pw_uid, entry.pw_gid)
    raise ServiceError("this machine has no user `nobody` that the server could run as")


def can_enter(folder: Path, account: Account | None) -> bool:
    """Whether the account can pass through the folder and all above it. It changes nothing."""
    if account is None:
        return os.access(folder, os.X_OK)
    resolved = folder.resolve()
    try:
        return all(_may_pass(level.stat(), account) for level in (resolved, *resolved.parents))
    except OSError:
        return False


def _may_pass(status: os.stat_result, account: Account) -> bool:
    if status.st_uid == account.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == account.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)


def temporary_folder(name: str, account: Account | None) -> Path:
    """A new folder that belongs to the account, where it can reach it.

    Only the new folder gets modes; a base that cannot be reached is passed over, never changed.

    Raises:
        ServiceError: no base can be reached.
    """
    bases = [Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp"), Path("/dev/shm")]
    for base in bases:
        if not base.is_dir() or not os.access(base, os.W_OK) or not can_enter(base, account):
            continue
        folder = Path(tempfile.mkdtemp(prefix=f"rets_pipeline_tests_{name}_", dir=base)).resolve()
        if account is not None:
            os.chown(folder, account.uid, account.gid)
        return folder
    reason = f"the user {account.name!r} can reach" if account else "can be written"
    raise ServiceError(f"no temporary folder that {reason}: tried {', '.join(map(str, bases))}")


def free_ports(count: int) -> list[int]:
    """Ports of the loopback address that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def start_again_if_port_taken(start: Callable[[], Started]) -> Started:
    """Start a server, again if another process took its port between the choice and the start.

    Raises:
        ServiceError: it does not start.
    """
    for left in reversed(range(_TRIES)):
        try:
            return start()
        except ServiceError as error:
            if not left or "address already in use" not in str(error).lower():
                raise
    raise AssertionError


def clean_environment(**more: str) -> dict[str, str]:
    """The little that a server needs, so that nothing of the developer's settings reaches it."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC", **more}


@dataclass
class Server:
    """A running server: a process in a session of its own, its folder and its log.

    Attributes:
        folder: belongs to the server and is removed at the end; it must stand in its command line.
        stop_signal: ends it soon; the data need not survive.
        leftovers: paths outside of the folder that a killed server leaves.
    """

    name: str
    folder: Path
    command: Sequence[str]
    environ: Mapping[str, str]
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    leftovers: Sequence[Path] = ()
    process: subprocess.Popen[bytes] = field(init=False)
    _watchdog: subprocess.Popen[bytes] = field(init=False)
    _owner: int = field(init=False)
    _stopped: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        assert any(str(self.folder) in part for part in self.command)
        self._owner = os.getpid()
        self._launch()
        atexit.register(self.stop)

    def _launch(self) -> None:
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=dict(self.environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for pytest, which then stops the server itself.
                start_new_session=True,
                **step_down(self.account),
            )
        paths = [str(self.folder), str(self.process.pid), self.stop_signal.name[3:]]
        self._watchdog = subprocess.Popen(
            ["/bin/sh", "-c", _WATCHDOG, "watchdog", *paths, *map(str, self.leftovers)],
            cwd="/",
            env=clean_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def crash(self) -> None:
        """Kill it without a word and start it again on the same data."""
        self.process.kill()
        self.process.wait()
        self._dismiss_watchdog()
        self._launch()

    @property
    def log_path(self) -> Path:
        return self.folder / "server.log"

    def log(self, lines: int = 40) -> str:
        """The last lines that the server wrote."""
        text = self.log_path.read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def wait_until(self, ready: Callable[[], object], seconds: float) -> None:
        """Call ``ready`` until it raises nothing.

        Raises:
            ServiceError: the server ended, or the time is over. The server is stopped then.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                ready()
            except Exception as error:
                problem = self._problem(error, deadline, seconds)
                if problem:
                    log = self.log()
                    self.stop()
                    raise ServiceError(f"{self.name} {problem}; its log ends:\n{log}") from error
                time.sleep(0.05)
            else:
                return

    def _problem(self, error: Exception, deadline: float, seconds: float) -> str | None:
        status = self.process.poll()
        if status is not None:
            return f"ended at once with status {status}"
        if time.monotonic() > deadline:
            return f"was not ready within {seconds:.0f} s ({error})"
        return None

    def stop(self) -> None:
        """End the server and remove what it made. A second call does nothing."""
        if self._stopped or os.getpid() != self._owner:  # a fork's exit must not stop its parent's
            return
        self._stopped = True
        atexit.unregister(self.stop)
        if self.process.poll() is None:
            self.process.send_signal(self.stop_signal)
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._remove()
        self._dismiss_watchdog()

    def _dismiss_watchdog(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._watchdog.communicate(b"done\n", timeout=10)

    def _remove(self) -> None:
        for path in self.leftovers:
            path.unlink(missing_ok=True)
        # Children that are still on their way out may be writing: look again shortly after.
        for _ in range(20):
            shutil.rmtree(self.folder, ignore_errors=True)
            if not self.folder.exists():
                return
            time.sleep(0.1)


def step_down(account: Account | None) -> dict[str, Any]:
    """The arguments of ``subprocess`` that make a process the account's."""
    if account is None:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}
