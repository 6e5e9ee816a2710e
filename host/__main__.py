"""`python -m perdure`: the command line, where its script is not on the path. Not here: the commands (`cli`)."""

from perdure.cli.main import main

if __name__ == "__main__":
    main()
