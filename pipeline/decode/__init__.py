"""From packets to records: link layer, streams in order, protocols."""
