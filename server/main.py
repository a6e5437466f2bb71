"""The composition root: builds the service, starts it, and drains it when it is told to stop."""

import asyncio
import os
import signal
import socket
import sys
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import Annotated

import structlog
import typer
import uvloop
from pydantic import ValidationError

from server.api.server import ApiServer, build_server
from server.channels.http_client import open_client
from server.channels.messenger import MessengerChannel
from server.commands.automatic_rounds import AutomaticRoundService
from server.commands.cancelling import CancelService
from server.commands.putting_pages import PutPageService
from server.commands.resending import ResendService
from server.commands.sending import SendService
from server.commands.stream_sending import StreamSendService
from server.delivery.delivery_service import DeliveryService
from server.delivery.dispatcher import Dispatcher
from server.delivery.ownership import Ownership
from server.delivery.retry_timer import RetryTimer
from server.delivery.round_closer import RoundCloser
from server.delivery.stuck_batches import StuckBatches
from server.delivery.sweeper import Sweeper
from server.delivery.timetable import parse_timetable
from server.log.commit import EventLog
from server.log.keyring import SealingKey, SecretKeyError, kept_key, parse_key
from server.log.sqlite_log import DatabaseInUseError, SqliteLog
from server.log.vault import Vault
from server.logging import configure
from server.sandbox.cli import sandbox
from server.settings import Settings
from server.watching.progress_hub import ProgressHub

logger = structlog.get_logger()

cli = typer.Typer(rich_markup_mode=None, add_completion=False, no_args_is_help=False)
cli.command("sandbox")(sandbox)
