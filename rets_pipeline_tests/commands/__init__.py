"""Tests of the command line: real processes in folders of their own."""
