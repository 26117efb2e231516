"""`python -m scripts.local.novu`."""

from __future__ import annotations

from pathlib import Path

from scripts.local import serving
from scripts.local.novu.app import create_app


def main() -> None:
    """Serve until SIGTERM."""
    parser = serving.parser("scripts.local.novu", "A local Novu: triggers in, a list of deliveries out.", 8421)
    parser.add_argument("--state", type=Path, help="JSON file that keeps everything across restarts")
    arguments = parser.parse_args()
    serving.serve(create_app(arguments.state), arguments)


if __name__ == "__main__":
    main()
