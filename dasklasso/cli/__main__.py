"""``python -m dasklasso.cli``."""

from dasklasso.cli import main

main(prog_name="dasklasso")
