"""Slots in plain Python: keys of a bucket in the order of their birth, the oldest unprotected one given up."""

from __future__ import annotations

from typing import Any

BUCKETS = 1024
Key = tuple[int, int, int, int, int]


class Book:
    """Keys with a dictionary of what is held for each; the bucket of a key is its first word modulo 1024."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held: dict[int, dict[Key, dict[str, Any]]] = {}
        self.forgotten = 0
        self.refused = 0

    def find(self, key: Key) -> dict[str, Any] | None:
        return self.held.get(key[0] % BUCKETS, {}).get(key)

    def insert(self, key: Key, live: bool, known: bool) -> dict[str, Any] | None:
        """What is held for a new key: empty but for `known`; None where its bucket is full of protected keys."""
        bucket = self.held.setdefault(key[0] % BUCKETS, {})
        if len(bucket) >= self.limit:
            victim = None
            for old, held in bucket.items():
                if held.get("kept"):
                    continue
                if live and held["known"]:
                    held["kept"] = True
                    continue
                victim = old
                break
            if victim is None:
                self.refused += 1
                return None
            del bucket[victim]
            self.forgotten += 1
        bucket[key] = {"known": known}
        return bucket[key]

    def __len__(self) -> int:
        return sum(len(bucket) for bucket in self.held.values())
