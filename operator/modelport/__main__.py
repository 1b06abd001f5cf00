"""`python -m modelport` is the command `modelport`."""

from modelport.cli.main import main

if __name__ == "__main__":
    main()
