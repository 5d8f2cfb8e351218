"""Bytes of others and our words, both ways. Pure: no socket, no clock; what is malformed is dropped and counted."""
