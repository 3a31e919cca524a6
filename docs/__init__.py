"""What people read, and the script that fills its tables from stored results."""
