"""`python -m scripts.local.stripe`."""

from __future__ import annotations

from pathlib import Path

from scripts.local import serving
from scripts.local.stripe.app import create_app


def main() -> None:
    """Serve until SIGTERM."""
    parser = serving.parser("scripts.local.stripe", "A local Stripe that honours idempotency keys.", 8420)
    parser.add_argument("--state", type=Path, help="JSON file that keeps everything across restarts")
    parser.add_argument(
        "--webhook",
        action="append",
        default=[],
        metavar="URL=SECRET",
        help="deliver signed events there; may be repeated; POST /v1/webhook_endpoints adds one later",
    )
    arguments = parser.parse_args()
    endpoints = {}
    for given in arguments.webhook:
        url, _, secret = given.rpartition("=")
        if not url.startswith("http") or not secret:
            parser.error(
                f"--webhook {given!r}: must be URL=SECRET, e.g. http://127.0.0.1:8080/webhooks/stripe=whsec_local"
            )
        endpoints[url] = secret
    serving.serve(create_app(arguments.state, endpoints), arguments)


if __name__ == "__main__":
    main()
