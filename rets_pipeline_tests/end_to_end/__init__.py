"""Whole runs over HTTP, compared with the sandbox's own account of the truth."""
