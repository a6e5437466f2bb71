"""Runs a server that plans rounds in slices of 5 recipients and answers after the first, so that rounds stay open."""

from unittest.mock import patch

from server.main import cli

SLICE = 5  # recipients, instead of 10,000: few deliveries fail during a short fault


def main() -> None:
    """Run the server's command line."""
    with (
        patch("server.commands.resend_planning.PLAN_SLICE", SLICE),
        patch("server.commands.resend.PLAN_SECONDS", 0.0),
        patch("server.commands.open_rounds.PLAN_SECONDS", 0.0),
    ):
        cli()


if __name__ == "__main__":
    main()
