"""What runs: one module per pipeline, the workflow that orders them, the `vineleaf` command."""
