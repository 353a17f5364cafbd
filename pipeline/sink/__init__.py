"""Results on disk: Parquet datasets that are whole or not there, in a folder that is complete or as it was."""

from __future__ import annotations

from pipeline.sink.dataset import Dataset, write_table
from pipeline.sink.folder import DATASETS, TABLES, OutputFolder
from pipeline.sink.writer import RecordSink

__all__ = ["DATASETS", "TABLES", "Dataset", "OutputFolder", "RecordSink", "write_table"]
