"""Records on their way from the sensors that decode to the workers that detect: Kafka."""
