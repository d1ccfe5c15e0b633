"""``python -m dasklasso``."""

from dasklasso.cli import main

main(prog_name="dasklasso")
