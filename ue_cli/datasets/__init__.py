"""What is trained and tested on: files as pairs, classes and clean tests, as arrays."""
