"""Few-shot prompt content by family, as versioned YAML, and how it is read."""
