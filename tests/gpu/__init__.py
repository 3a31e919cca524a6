"""What only a GPU can show. Without one these are skipped, and say so."""
