"""What the parts of `benchmarks.inference` share: images, load, our service and its peers."""
