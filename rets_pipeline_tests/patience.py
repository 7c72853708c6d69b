"""How long tests wait for what comes at once on an idle machine.

What belongs here: that one figure. What does not: how fast anything should be (``benchmarks``).
"""

#: seconds until something counts as hung; no test passes or fails by being quick. Below the limit
#: that pytest sets for a test, so that the failure tells what was waited for
PATIENCE = 300.0
