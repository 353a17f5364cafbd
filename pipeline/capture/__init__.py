"""Packets from files and, later, from interfaces: blocks of raw bytes with an index."""
