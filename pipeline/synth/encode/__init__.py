"""Messages of field protocols as bytes, one file each: for the simulated plant and for tests of the decoders."""
