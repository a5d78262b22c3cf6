"""Bytes and messages to touches and back, one module a dialect: pure, no I/O."""
