"""What runs: the workflow and the stages that it orders, one module or folder per pipeline, and the
`vineleaf` command."""
