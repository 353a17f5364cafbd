"""The worker: a member of the group that judges (`detect`) or keeps (`archive`) what the shards wrote to Kafka."""
