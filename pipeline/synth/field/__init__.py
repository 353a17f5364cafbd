"""What the water works has beside its Modbus controllers: areas whose devices speak other protocols."""
