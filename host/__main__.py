"""`python -m perdure`: the command line, where no script of that name is on the path. The commands are in `cli`."""

from perdure.cli.main import main

if __name__ == "__main__":
    main()
