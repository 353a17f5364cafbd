"""What every stage agrees on: the columns, and the numbers in them.  Imports pyarrow only."""
