"""Bytes to words and back: J1939, any DBC, transport messages. Pure: no socket, no clock, no file."""
