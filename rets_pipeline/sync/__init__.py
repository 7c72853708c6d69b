"""Convergence: what does the server have, what do we have, what differs? Remove the difference.

What belongs here: plan, pull, apply, delete, images; each step can be killed at any point and run
again. What does not: Dagster, SQL statements, XML.
"""
