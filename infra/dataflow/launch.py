"""What the flex template's launcher starts, with `--NAME=VALUE` for each parameter."""

from pipelines.runners.flex_template import main

if __name__ == "__main__":
    main()
