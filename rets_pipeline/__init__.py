"""A mirror of MLS listings over RETS, orchestrated by Dagster.

What belongs here: the package's version, nothing else. The floors of the house, from the
bottom: ``rets`` and ``settings``; ``archive`` and ``warehouse``; ``sources``; ``sync``;
``orchestration``; ``cli`` and ``definitions``. Imports only go down. ``sandbox`` stands apart.
"""


def __getattr__(name: str) -> str:
    """``__version__``, found when it is asked for: its search is a fifth of a library's import."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("rets-pipeline")
    except PackageNotFoundError:  # a source tree that nobody installed
        return "0+unknown"
