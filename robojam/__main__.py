"""python -m robojam, the same as robojam."""

from robojam.cli import main

if __name__ == "__main__":
    main()
