"""Entry point of `ue` and of `python -m ue_cli`."""

from ue_cli.cli import main

if __name__ == "__main__":
    main()
