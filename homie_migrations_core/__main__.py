"""`python -m homie_migrations_core migrations COMMAND`."""

from homie_migrations_core.cli.entry import main

if __name__ == "__main__":
    main()
