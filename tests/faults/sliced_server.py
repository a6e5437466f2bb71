"""A server that plans a round in slices of five, and answers after the first: so its rounds are open often."""

from unittest.mock import patch

from server.main import cli

SLICE = 5  # recipients, in place of 10,000: few fail in the seconds of a fault


def main() -> None:
    """The server's own command line."""
    with (
        patch("server.commands.resend_planning.PLAN_SLICE", SLICE),
        patch("server.commands.resend.PLAN_SECONDS", 0.0),
        patch("server.commands.open_rounds.PLAN_SECONDS", 0.0),
    ):
        cli()


if __name__ == "__main__":
    main()
