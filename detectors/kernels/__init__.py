"""Algorithms on arrays and scalars, compiled; each has a plain-Python twin in tests/reference."""
