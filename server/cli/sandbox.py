"""The command `redrive-server sandbox`."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from server.sandbox.fault_order import FaultOrder, RefusedOrder, read_orders
from server.sandbox.preset import PRESETS
from server.sandbox.runner import serve
from server.sandbox.settings import SandboxSettings
from server.sandbox.webhooks import WebhookTarget

if sys.platform == "win32":
    from asyncio import run
else:
    from uvloop import run

APP_SECRET = "REDRIVE_WEBHOOK_APP_SECRET"  # noqa: S105 - a variable's name

# `\b` keeps the line breaks of a paragraph; lines have at most 80 columns.
_GUIDE = """\
A local replacement of the Graph API's send path, with faults on request.

Point a server at it (REDRIVE_GRAPH_URL=http://127.0.0.1:8090/v25.0) and
rehearse an outage: no message reaches a person. It answers sends
(POST /v25.0/PAGE/messages), batches (POST /) and token checks
(GET /v25.0/PAGE?fields=id, GET /v25.0/me?fields=id) as the platform does, and
records everything that it receives. "me" is the page for which the token
was last used. Every token is valid until you order otherwise. Send the
orders below to a running sandbox, or put the same JSON, an object or an
array, into a file for --faults. The control API has no authentication: keep
the port on localhost.

\b
Order a fault by name, for one recipient:
  curl localhost:8090/sandbox/faults \\
    -d '{"preset": "unknown_recipient", "recipients": ["u17"]}'

\b
The presets:
{presets}

\b
Or describe the effect:
  {"kind": "error", "code": 10, "subcode": 2018278}
      any error code; also message, type, http_status, is_transient, and
      user_title and user_msg, the reason for people; in the message
      {page} and {recipient} are replaced by the ids of the request
  {"kind": "delay", "seconds": 2}
      delays the answer
  {"kind": "usage", "percent": 95}
      answers with these usage headers
  {"kind": "headers", "headers": {"Retry-After": "60"}}
      adds these headers to every answer
  {"kind": "timeout"}
      never answers
  {"kind": "reset"}
      resets the connection
  {"kind": "status", "http_status": 502}
      5xx with an HTML page
  {"kind": "garbage"}
      200 with an unreadable body
  {"kind": "empty"}
      200 without a body
  {"kind": "null_part"}
      null for a batch part; single sends pass
  {"kind": "rate_limit", "seconds": 60, "code": 80006}
      error with Retry-After, for 60 seconds after a page's first hit; the
      usage headers say the same in minutes, rounded up
  {"kind": "token_expired"}
      190-463 to the token in use, until it is replaced or renewed
  {"kind": "user_token"}
      190 to sends with the token in use, until it is replaced or renewed;
      GET /PAGE passes, and GET /me is a user, not the page

\b
Choose the requests; a fault without these fields hits all of them:
  "recipients": ["u17", "vip-*"]   ids, or patterns with * and ?
  "share": 0.05                    5 percent of recipients, always the same
  "seed": 2                        with share: other recipients than --seed
  "page": "1001"                   sends of one page
  "token": "EAAB..."               sends with one token
  "times": 1                       the first request of each recipient only
  "after_seconds": 10              starts 10 seconds after the order
  "for_seconds": 60                ends 60 seconds after it started
  "accepts": true                  an error answer, but the message arrives

\b
Half of the recipients' first requests are reset, but the message arrives:
  curl localhost:8090/sandbox/faults -d '{"effect": {"kind": "reset"},
    "share": 0.5, "times": 1, "accepts": true}'

\b
The platform fails for a minute:
  curl localhost:8090/sandbox/faults \\
    -d '{"effect": {"kind": "status"}, "for_seconds": 60}'

\b
A token expires, then is renewed:
  curl localhost:8090/sandbox/tokens -d '{"token": "T", "action": "expire"}'
  curl localhost:8090/sandbox/tokens -d '{"token": "T", "action": "renew"}'
"revoke" kills it like "expire"; "allow" makes all tokens invalid that are
not allowed, and takes an "app_secret" to check appsecret_proof with.

Faults apply in the order in which they were given. Delays and headers add
up, the last usage counts, and the first other fault decides. A timeout or
reset affects the whole batch; status, garbage and empty affect one part,
unless "whole_batch" is true. A fault without a filter and without "times"
also hits token checks, except for errors. A wrong order is refused with a
400 that names the field, and nothing is done.

With --webhook-url it sends webhook events of every accepted message, also
after an error answer: an echo, a delivery and, for --read-share of the
recipients, a read. They are signed with REDRIVE_WEBHOOK_APP_SECRET and
repeated until they are answered with 200.

\b
See and clear:
  curl localhost:8090/sandbox/summary
  curl 'localhost:8090/sandbox/received?recipient=u17&limit=10'
  curl 'localhost:8090/sandbox/recipients?limit=1000'
  curl localhost:8090/sandbox/faults
  curl localhost:8090/sandbox/webhooks
  curl -X DELETE localhost:8090/sandbox/faults
  curl -X DELETE localhost:8090/sandbox/faults/f1
  curl -X POST localhost:8090/sandbox/reset

\b
The summary has two counts of recipients with more than one message:
  duplicate_count   any messages: two campaigns to the same recipients make
                    all of them duplicates
  repeat_count      the same message, by the delivery's id that Redrive puts
                    into a message's metadata: 0 unless something went wrong
                    (messages without such an id count as one)
"""


def guide() -> str:
    """Return the help text, with all presets."""
    width = max(map(len, PRESETS))
    lines = [f"  {name:{width}} {preset.meaning}" for name, preset in PRESETS.items()]
    return _GUIDE.replace("{presets}", "\n".join(lines))


def sandbox(
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 = any free port.")] = 8090,
    faults: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="JSON file with faults to start with.")
    ] = None,
    delay_ms: Annotated[float, typer.Option(min=0, help="Wait before every answer.")] = 0,
    seed: Annotated[int, typer.Option(help="Selects the recipients of a share.")] = 0,
    keep_arrivals: Annotated[
        int, typer.Option(min=0, help="How many arrivals to keep in full; counts are always kept.")
    ] = 100_000,
    webhook_url: Annotated[str, typer.Option(help="Send events of accepted messages to this address.")] = "",
    read_share: Annotated[float, typer.Option(min=0, max=1, help="The share of recipients that read.")] = 0,
) -> None:
    settings = SandboxSettings(
        host=host,
        port=port,
        delay_seconds=delay_ms / 1_000,
        seed=seed,
        keep_arrivals=keep_arrivals,
        faults=_read(faults) if faults else (),
        webhook=_webhook(webhook_url, read_share) if webhook_url else None,
    )
    try:
        run(serve(settings))
    except OSError as error:
        typer.echo(f"The sandbox cannot listen on {host}:{port}: {error.strerror}", err=True)
        raise typer.Exit(1) from error


sandbox.__doc__ = guide()  # typer shows it as the command's help


def _webhook(url: str, read_share: float) -> WebhookTarget:
    app_secret = os.environ.get(APP_SECRET)
    if not app_secret:
        raise typer.BadParameter(f"needs {APP_SECRET} in the environment, to sign with", param_hint="--webhook-url")
    return WebhookTarget(url=url, app_secret=app_secret, read_share=read_share)


def _read(file: Path) -> tuple[FaultOrder, ...]:
    orders = read_orders(file.read_bytes())
    if isinstance(orders, RefusedOrder):
        raise typer.BadParameter(f"{file}: {orders.field}: {orders.message}", param_hint="--faults")
    return orders
