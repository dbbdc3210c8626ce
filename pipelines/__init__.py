"""What runs: the workflow and the stages that it orders, a module or folder for each, and the
`vineleaf` command."""
