"""A DDF-like RETS server over real HTTP, with invented data, that can age and misbehave.

What belongs here: everything such a server needs, and the names to start it with. What does
not: anything of the rest of the package. The sandbox imports nothing of it: with shared code,
one misreading of DDF would pass every test.

DDF: "data.crea.ca", as its 2024 answers show it. All people, streets and telephones are made
up by Faker; cities and their postal areas are real.

Beside DDF, at ``/rets/login`` and with the same account, there is a small generic RETS server:
Property:RES in COMPACT, COMPACT-DECODED and STANDARD-XML, metadata, photos.

Routes below ``/_sandbox`` need no login::

    GET  truth?keys=a,b&images=large     the present state in plain words: listings, agents and
                                         offices; with keys, agents=, offices= some of them
    POST advance?days=1                  age; the answer says what happened
    POST change                          {"listing_key": …, "kind": "price"} and the like
    POST people                          {"who": "agent", "key": …, "kind": "moved"} and the like
    POST behaviour                       {"truncate_master_list": 0.5} and the like; {"reset": true}
    GET  faults                          what can go wrong, and what is switched on
    POST faults                          {"name": …, "times": 1 or null, "share": 0.1, …}
    DELETE faults?name=…                 switch one off, or all
    GET  generic/truth?keys=a,b          the listings and photos of the generic server
    GET  generic/statistics              logins and requests of the generic server
    GET  statistics                      logins, sessions, requests, images served
    POST statistics/reset
    POST sessions/expire                 forget all sessions
"""

from rets_pipeline.sandbox.application import create_app
from rets_pipeline.sandbox.behaviour import Behaviour, BehaviourError
from rets_pipeline.sandbox.changes import Change
from rets_pipeline.sandbox.kinds import ChangeError
from rets_pipeline.sandbox.people_changes import PersonChange
from rets_pipeline.sandbox.search import pages
from rets_pipeline.sandbox.server import RunningSandbox, running, serve
from rets_pipeline.sandbox.world import Sandbox

__all__ = [
    "Behaviour",
    "BehaviourError",
    "Change",
    "ChangeError",
    "PersonChange",
    "RunningSandbox",
    "Sandbox",
    "create_app",
    "pages",
    "running",
    "serve",
]
