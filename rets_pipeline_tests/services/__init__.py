"""Real servers for tests: Postgres and an S3 server, started on this machine by small launchers.

What belongs here: finding a server's binaries, starting, stopping, cleaning up. What does not:
fixtures (they stand in ``conftest.py``) and anything that production uses.
"""
