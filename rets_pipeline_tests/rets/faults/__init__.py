"""The client against every fault that the sandbox knows; the tests' marks become docs/rets.md."""
