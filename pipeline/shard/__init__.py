"""Shard: one capture point, from packets to messages in Kafka."""
