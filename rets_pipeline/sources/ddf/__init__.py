"""CREA's Data Distribution Facility (DDF) over RETS.

What belongs here: what DDF's words mean. What does not: the RETS protocol, SQL, HTTP.
"""

from rets_pipeline.sources.ddf.source import DdfSource

__all__ = ["DdfSource"]
