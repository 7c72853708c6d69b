"""Tests of the archive, on a folder and on a real S3 server."""
