"""The way into a server: who is let in, and what happens to a request that was.

What belongs here: the order of authentication, versions, sessions, faults and the transaction
itself; the cookies. What does not: any transaction.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from rets_pipeline.sandbox.answers import Answer, Sent, plain, rets
from rets_pipeline.sandbox.authentication import Account, Sessions, Signed, user_agent_proof
from rets_pipeline.sandbox.exchange import Call
from rets_pipeline.sandbox.faults.catalogue import Fault, Turn
from rets_pipeline.sandbox.rules import Rules
from rets_pipeline.sandbox.statistics import Statistics
from rets_pipeline.sandbox.world import Sandbox

_MOST_BODY_BYTES = 1_000_000
_GATE_COOKIE = "LoginGate"
_Transaction = Callable[[Call], Answer]


class Door:
    """One server's way in.

    Args:
        server: its name.
        world: with the account, the faults, and the time that answers take.
        realm: of its authentication.
        rules: as long as no fault bends them.
        statistics: of this server.
    """

    def __init__(
        self, server: str, world: Sandbox, realm: str, rules: Rules, statistics: Statistics
    ) -> None:
        self._server, self._world, self._rules = server, world, rules
        self.statistics = statistics
        self._account = Account(world.username, world.password, realm)
        self.sessions = Sessions(statistics, world.single_session, world.session_seconds)
        self._gates: set[str] = set()
        # The session of the client that could be given no cookie with a value.
        self._nameless: str | None = None

    def endpoint(
        self, transaction: str, carry_out: _Transaction
    ) -> Callable[[Request], Awaitable[Response]]:
        """A route's endpoint: the transaction behind the door."""

        async def endpoint(request: Request) -> Response:
            await asyncio.sleep(self._world.behaviour.latency)
            rules = replace(self._rules)
            self._world.faults.bend(rules, self._server, transaction)
            arguments = await _arguments(request)
            if arguments is None:
                return Sent(plain("The request is too large.", 413))
            call = self._call(transaction, request, arguments, rules)
            answer = self._refusal(call)
            if answer is None:
                self.statistics.requests[transaction] += 1
                answer = await self._spoiled(call, carry_out)
            if "RETS-Version" not in answer.headers and answer.headers.get("Content-Type"):
                answer.headers |= {"RETS-Version": rules.version, "Cache-Control": "private"}
            return Sent(answer, request.headers.get("accept-encoding", ""))

        return endpoint

    def open_endpoint(
        self, transaction: str, carry_out: Callable[[Call], Awaitable[Answer]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """A route's endpoint that everybody may ask, but that faults happen to."""

        async def endpoint(request: Request) -> Response:
            await asyncio.sleep(self._world.behaviour.latency)
            call = self._call(transaction, request, {}, replace(self._rules))
            turns = self._world.faults.take(call)
            answer = await self._before(call, turns) or await carry_out(call)
            self._after(answer, turns)
            return Sent(answer)

        return endpoint

    def refuse(self, code: int, text: str) -> Answer:
        """An answer with a reply code, which is counted."""
        self.statistics.reply_codes[str(code)] += 1
        return rets("", code, text)

    def login(self, call: Call, answer: Answer) -> Answer:
        """Open a session and hand it out with the answer, or refuse."""
        session = self.sessions.login(self._session(call))
        if session is None:
            return self.refuse(20022, "Additional login not permitted")
        if call.rules.session == "cookie":
            answer.cookies.append(f"{call.rules.cookie}={session}; Path=/; HttpOnly")
        else:
            self._nameless = session
        if call.rules.session == "empty":
            answer.cookies.append(f"{call.rules.cookie}=; Path=/")
        return answer

    def logout(self, call: Call) -> Answer:
        """Close the session and take the cookie back."""
        self.sessions.logout(self._session(call) or "")
        answer = rets("<RETS-RESPONSE>\r\n</RETS-RESPONSE>")
        if call.rules.session == "cookie":
            answer.cookies.append(f'{call.rules.cookie}=""; Path=/; Max-Age=0')
        return answer

    def end_sessions(self) -> int:
        """Forget all sessions and all nonces; how many sessions there were."""
        self._account.forget()
        self._nameless = None
        return self.sessions.expire()

    def _call(
        self, transaction: str, request: Request, arguments: dict[str, str], rules: Rules
    ) -> Call:
        def end_sessions() -> None:
            self.end_sessions()

        return Call(
            self._server,
            transaction,
            request,
            arguments,
            self._world.behaviour,
            rules,
            end_sessions,
            lambda: self._account.challenge(rules, request.client),
        )

    # --- who is let in ------------------------------------------------------------------------

    def _refusal(self, call: Call) -> Answer | None:
        rules, headers = call.rules, call.request.headers
        if rules.user_agent_needed and not headers.get("user-agent"):
            return plain("java.lang.NullPointerException", 500)
        refusal = self._authenticate(call)
        if refusal is not None:
            return refusal
        version = headers.get("rets-version", "")
        if not version.removeprefix("RETS/").startswith("1."):
            return self.refuse(20036, "Missing or invalid RETS-Version header")
        strict = rules.version_strict or call.transaction != "Login"
        if strict and rules.version_accepted not in (None, version):
            answer = self.refuse(20036, "Missing or invalid RETS-Version header")
            answer.status, answer.headers["Content-Type"] = 400, "text/plain"
            return answer
        return self._check_user_agent(call, version) or self._check_session(call)

    def _authenticate(self, call: Call) -> Answer | None:
        request, rules = call.request, call.rules
        path = request.scope.get("raw_path", b"").decode("latin-1").partition("?")[0]
        signed = Signed(
            request.headers.get("authorization", ""),
            request.method,
            path,
            request.scope["query_string"].decode("latin-1"),
            request.client,
        )
        right, stale = self._account.check(signed, rules)
        if right and (not rules.gate_cookie or request.cookies.get(_GATE_COOKIE) in self._gates):
            return None
        self.statistics.unauthorized += 1
        answer = plain("Access denied", rules.challenge_status)
        answer.headers["Cache-Control"] = "private"
        if rules.gate_cookie:
            gate = secrets.token_hex(8)
            self._gates.add(gate)
            answer.cookies.append(f"{_GATE_COOKIE}={gate}; Path=/")
        if not rules.no_challenge:
            own = self._account.challenge(rules, request.client, stale=stale)
            answer.challenges = [*rules.other_challenges, own]
        if rules.one_header:
            answer.challenges = [", ".join(answer.challenges)]
        return answer

    def _check_user_agent(self, call: Call, version: str) -> Answer | None:
        rules, headers = call.rules, call.request.headers
        sent = headers.get("rets-ua-authorization")
        if rules.user_agent_unwanted and sent is not None:
            return self.refuse(20041, "User Agent not registered or denied")
        if rules.user_agent_password is None:
            return None
        session = call.request.cookies.get(rules.cookie, "")
        request = headers.get("rets-request-id", "")
        agent = headers.get("user-agent", "")
        if sent == user_agent_proof(rules, agent, request, session, version):
            return None
        return self.refuse(20041, "User Agent not registered or denied")

    def _check_session(self, call: Call) -> Answer | None:
        session = self._session(call)
        if call.transaction == "Login" or self.sessions.is_open(session):
            return None
        if session is not None and call.rules.bad_cookie == "html":
            return plain("<html><body>Runtime Error</body></html>", 200, "text/html")
        if call.transaction == "Logout" and session is not None:
            return self.refuse(20702, "Logout Failed")
        return self.refuse(20701, "Not Logged In")

    def _session(self, call: Call) -> str | None:
        if call.rules.session == "cookie":
            return call.request.cookies.get(call.rules.cookie)
        return self._nameless

    # --- what happens to who was ----------------------------------------------------------------

    async def _spoiled(self, call: Call, carry_out: _Transaction) -> Answer:
        turns = self._world.faults.take(call)
        answer = await self._before(call, turns) or carry_out(call)
        self._after(answer, turns)
        return answer

    async def _before(self, call: Call, turns: list[tuple[Fault, Turn]]) -> Answer | None:
        for fault, turn in turns:
            if fault.stage == "before":
                fault.carry_out(turn)
        if call.behaviour is not self._world.behaviour:
            await asyncio.sleep(call.behaviour.latency)
        for fault, turn in turns:
            answer: Answer | None = fault.carry_out(turn) if fault.stage == "instead" else None
            if answer is not None:
                return answer
        return None

    def _after(self, answer: Answer, turns: list[tuple[Fault, Turn]]) -> None:
        for fault, turn in turns:
            if fault.stage == "answer":
                fault.carry_out(answer, turn)
            elif fault.kind is not None and isinstance(answer.content, fault.kind):
                fault.carry_out(answer.content, turn)


async def _arguments(request: Request) -> dict[str, str] | None:
    """The arguments of a GET or of a form, names in lower case; None when there are too many."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BODY_BYTES:
            return None
    texts = (request.scope["query_string"].decode("latin-1"), body.decode("utf-8", "replace"))
    pairs = [pair for text in texts for pair in parse_qsl(text, keep_blank_values=True)]
    return {name.lower(): value for name, value in pairs}
