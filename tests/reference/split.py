"""A plain twin of the parting of records among partitions."""

from __future__ import annotations

from typing import Any

from schemas.codes import BUCKETS

Part = list[tuple[int, list[tuple[int, Any]]]]


class PlainSplit:
    """For each partition the rows that it holds, and the messages that were cut: (rows, marks)."""

    def __init__(self, partitions: int, *, most_bytes: int, record_bytes: int, point_bytes: int) -> None:
        self.partitions, self.most_bytes = partitions, most_bytes
        self.sizes = record_bytes, point_bytes
        self.floor = [0] * partitions
        self.held: list[list[int]] = [[] for _ in range(partitions)]
        self.bytes = [0] * partitions
        self.marks: list[list[tuple[int, Any]]] = [[] for _ in range(partitions)]
        self.cut: list[list[tuple[list[int], list[tuple[int, Any]]]]] = [[] for _ in range(partitions)]

    def add(self, rows: list[tuple[int, int, int]], marks: list[tuple[int, Any]]) -> None:
        """Records as (device, seq, points), with the marks before them."""
        for number, (device, seq, points) in enumerate(rows):
            self._mark(marks, number)
            part = device % BUCKETS % self.partitions
            if seq <= self.floor[part]:
                continue
            size = self.sizes[0] + points * self.sizes[1]
            if self.held[part] and self.bytes[part] + size > self.most_bytes:
                self.end(part)
            self.held[part].append(seq)
            self.bytes[part] += size
        self._mark(marks, len(rows))

    def _mark(self, marks: list[tuple[int, Any]], number: int) -> None:
        for _, mark in [entry for entry in marks if entry[0] == number]:
            for part in range(self.partitions):
                self.marks[part].append((len(self.held[part]), mark))

    def end(self, part: int) -> None:
        """Cut what a partition holds."""
        self.cut[part].append((self.held[part], self.marks[part]))
        self.held[part], self.marks[part], self.bytes[part] = [], [], 0
