"""The simulated plant: process, controllers, clients, attacks, and the captures they leave."""
