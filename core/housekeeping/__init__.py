"""What an operator does with the whole of what is kept: tidy up, back up, restore, delete."""
