"""libcurl's sockets and timers on an event loop.

What belongs here: letting libcurl work when one of its sockets is ready, or its time has come. What
does not: what is transferred.

``pycurl.AsyncCurlMulti`` does the same, and tells the event loop for each photo that a socket is
awaited, and that it is not any more: a third of what a photo costs it. Here the sockets have a
selector of their own, and the event loop awaits that one.
"""

from __future__ import annotations

import asyncio
import selectors

import pycurl

_SELECTOR_EVENTS = {
    pycurl.POLL_IN: selectors.EVENT_READ,
    pycurl.POLL_OUT: selectors.EVENT_WRITE,
    pycurl.POLL_INOUT: selectors.EVENT_READ | selectors.EVENT_WRITE,
}
_CURL_EVENTS = {
    selectors.EVENT_READ: pycurl.CSELECT_IN,
    selectors.EVENT_WRITE: pycurl.CSELECT_OUT,
    selectors.EVENT_READ | selectors.EVENT_WRITE: pycurl.CSELECT_IN | pycurl.CSELECT_OUT,
}


class Sockets:
    """Transfers at the same time, on the event loop that runs when it is made."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transfers: dict[pycurl.Curl, asyncio.Future[None]] = {}
        self._timer: asyncio.Handle | None = None
        self._selector = selectors.DefaultSelector()
        self._awaited: set[int] = set()
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        self._loop.add_reader(self._selector.fileno(), self._are_ready)

    async def transfer(self, handle: pycurl.Curl) -> None:
        """Let libcurl do what a handle is set up for.

        Raises:
            pycurl.error: it did not succeed.
        """
        self._multi.add_handle(handle)
        future = self._transfers[handle] = self._loop.create_future()
        try:
            await future
        finally:
            if self._transfers.pop(handle, None) is not None:
                self._multi.remove_handle(handle)

    def stop_in(self, seconds: float, handle: pycurl.Curl) -> asyncio.Handle:
        """Let a transfer fail for the time that it takes, unless what is returned is cancelled."""
        return self._loop.call_later(seconds, self._stop, handle)

    def _stop(self, handle: pycurl.Curl) -> None:
        if handle in self._transfers:
            error = pycurl.error(pycurl.E_OPERATION_TIMEDOUT, "stopped")
            _fail(self._transfers[handle], error)

    def close(self) -> None:
        """Give everything back, connections included; transfers that are left are cancelled."""
        self._loop.remove_reader(self._selector.fileno())
        for handle, future in self._transfers.items():
            self._multi.remove_handle(handle)
            future.cancel()
        self._transfers.clear()
        self._multi.close()
        self._set_timer(-1)
        self._selector.close()

    # Two that libcurl calls: it must not be called meanwhile.

    def _watch(self, what: int, socket: int, *_: object) -> None:
        events = _SELECTOR_EVENTS.get(what)
        is_awaited = socket in self._awaited
        if events is None and is_awaited:
            self._awaited.remove(socket)
            self._selector.unregister(socket)
        elif events is not None and is_awaited:
            self._selector.modify(socket, events)
        elif events is not None:
            self._awaited.add(socket)
            self._selector.register(socket, events)

    def _set_timer(self, milliseconds: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if milliseconds == 0:
            self._timer = self._loop.call_soon(self._is_due)
        elif milliseconds > 0:
            self._timer = self._loop.call_later(milliseconds / 1000, self._is_due)

    def _are_ready(self) -> None:
        for key, events in self._selector.select(0):
            self._act(key.fd, _CURL_EVENTS[events])
        self._tell()

    def _is_due(self) -> None:
        self._timer = None
        self._act(pycurl.SOCKET_TIMEOUT, 0)
        self._tell()

    def _act(self, socket: int, events: int) -> None:
        try:
            self._multi.socket_action(socket, events)
        except pycurl.error as error:  # of all transfers at once: no memory, say
            for future in self._transfers.values():
                _fail(future, error)

    def _tell(self) -> None:
        """Whoever waits for a transfer that has ended."""
        _, succeeded, failed = self._multi.info_read()
        for handle in succeeded:
            future = self._transfers[handle]
            if not future.done():
                future.set_result(None)
        for handle, code, message in failed:
            _fail(self._transfers[handle], pycurl.error(code, message))


def _fail(future: asyncio.Future[None], error: pycurl.error) -> None:
    if not future.done():
        future.set_exception(error)
