"""Transport: stretches of records between shards, Kafka and workers."""
