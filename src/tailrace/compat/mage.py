"""`python -m tailrace.compat.mage DESTINATION`: in the place of a destination of Mage's, with its options."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from tailrace.alone import import_arrow_alone, settle
from tailrace.cli.exit_codes import leave


def arguments() -> argparse.ArgumentParser:
    """The options, by the names that Mage's destinations give them."""
    parser = argparse.ArgumentParser(
        prog="python -m tailrace.compat.mage",
        description="Load a Singer stream in the place of a destination of Mage's.",
        allow_abbrev=False,
    )
    parser.add_argument("destination", metavar="DESTINATION", help="As Mage names it: postgresql, amazon_s3...")
    parser.add_argument("--config", type=Path, help="The destination's config, a JSON file.")
    parser.add_argument("--config_json", help="The config itself; it counts rather than a file.")
    parser.add_argument(
        "--settings", type=Path, help="A YAML file with the config under `config`, if there is no other."
    )
    parser.add_argument("--catalog", type=Path, help="A catalog, whose schemas count rather than SCHEMA messages.")
    parser.add_argument("--catalog_json", help="The catalog itself.")
    parser.add_argument("--state", type=Path, help="The file that gets the state; otherwise it is printed.")
    parser.add_argument("--input_file_path", type=Path, help="The input; stdin otherwise.")
    parser.add_argument("--log_to_stdout", type=bool, default=False, help="Anything: the log goes to stdout.")
    parser.add_argument("--debug", action="store_true", help="Log more.")
    parser.add_argument("--test_connection", action="store_true", help="Only try to connect.")
    parser.add_argument("--show_templates", action="store_true", help="Only print an example of a config.")
    return parser


def main() -> NoReturn:
    """Run the command, and end the process."""
    given = arguments().parse_args()
    settle()
    import_arrow_alone()
    leave(import_module("tailrace.compat.mage_run").run(given))


if __name__ == "__main__":
    main()
