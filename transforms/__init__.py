"""What happens to documents: kernels, rules and PTransforms, one concept per file."""
