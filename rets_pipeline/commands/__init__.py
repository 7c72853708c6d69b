"""What the command line does, one module for each kind of command.

What belongs here: running Dagster's jobs in this process, and showing people what happened. What
does not: parsing of arguments (``cli``), and anything that a deployment without a terminal needs.
"""
