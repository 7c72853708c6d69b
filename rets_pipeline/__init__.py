"""A mirror of MLS listings over RETS, orchestrated by Dagster.

What belongs here: the package's version, nothing else. The floors of the house, from the
bottom: ``rets`` and ``settings``; ``archive`` and ``warehouse``; ``sources``; ``sync``;
``orchestration``; ``cli`` and ``definitions``. Imports only go down. ``sandbox`` stands apart.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("rets-pipeline")
except PackageNotFoundError:  # a source tree that nobody installed
    __version__ = "0+unknown"
