"""Tests of the RETS client, against real HTTP and bytes."""
