"""``atlas log serve``: keep a log for others, so that the workers of a cluster do not hold its key.

It serves plain HTTP to this machine alone. To others it serves over TLS, or behind a proxy that does, and takes
entries only from those who bear a token.
"""

import signal
import socket
import ssl
from argparse import ArgumentParser, Namespace
from pathlib import Path

from airflow_provider_atlas.cli.deployment import add_home, settings_of
from airflow_provider_atlas.cli.output import Output
from airflow_provider_atlas.errors import ConfigError
from airflow_provider_atlas.wiring import logs

EXAMPLE = """\
examples:
  atlas log serve --home /var/lib/atlas
  atlas log serve --host 0.0.0.0 --port 443 --tls-cert log.crt --tls-key log.key --tokens log.tokens
"""
"""How it is called, for its help."""

_GRACE_SECONDS = 30
_CONNECTIONS = 4_096


def configure(parser: ArgumentParser) -> None:
    """Add the arguments of ``atlas log serve``."""
    add_home(parser)
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="where to listen: 127.0.0.1")
    parser.add_argument(
        "--port", type=int, default=3000, metavar="N", help="where to listen: 3000; 0: any that is free"
    )
    parser.add_argument("--tls-cert", metavar="FILE", help="the certificate of this host and its chain, PEM")
    parser.add_argument("--tls-key", metavar="FILE", help="the certificate's key, PEM")
    parser.add_argument(
        "--behind-proxy", action="store_true", help="serve others without TLS: a proxy in front does it"
    )
    parser.add_argument("--tokens", metavar="FILE", help="the tokens that may write, one on each line")
    parser.add_argument("--max-body", type=int, default=65_536, metavar="BYTES", help="the largest request: 65536")
    parser.add_argument("--max-rate", type=float, default=10_000, metavar="N", help="the most writes a second: 10000")
    parser.add_argument("--max-waiting", type=int, default=4_096, metavar="N", help="the most that may wait: 4096")
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Serve until SIGTERM or SIGINT, then answer what was asked, and exit 0."""
    import uvicorn

    _refuse_to_expose(options)
    settings = settings_of(options)
    app = logs.log_service(
        settings,
        tokens=Path(options.tokens) if options.tokens else None,
        body=options.max_body,
        rate=options.max_rate,
        waiting=options.max_waiting,
    )
    config = uvicorn.Config(
        app,
        ssl_certfile=options.tls_cert,
        ssl_keyfile=options.tls_key,
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    listening = _listen(options.host, options.port)
    address = f"{'https' if options.tls_cert else 'http'}://{_spelled(*listening.getsockname()[:2])}"
    Output(json=False).say(f"serving {settings.log_origin} at {address}, key {logs.log_verifier_key(settings)}")
    for name in (signal.SIGINT, signal.SIGTERM):  # uvicorn raises them once more when it has stopped in good order
        signal.signal(name, lambda *_: None)
    uvicorn.Server(config).run(sockets=[listening])
    return 0


def _refuse_to_expose(options: Namespace) -> None:
    """Raise ConfigError for what would let strangers write, or read tokens off the wire."""
    if bool(options.tls_cert) != bool(options.tls_key):
        raise ConfigError("expected --tls-cert and --tls-key together")
    if options.tls_cert:
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(options.tls_cert, options.tls_key)
        except (OSError, ValueError) as error:
            raise ConfigError("cannot use --tls-cert and --tls-key: expected a certificate and its key, PEM") from error
    if min(options.max_body, options.max_rate, options.max_waiting) < 1:
        raise ConfigError("expected --max-body, --max-rate and --max-waiting to be at least 1")
    from airflow_provider_atlas.fetching import is_loopback

    if is_loopback(options.host):
        return
    if not options.tokens:
        raise ConfigError("expected --tokens, or a loopback --host: without tokens, whoever reaches the log may write")
    if not options.tls_cert and not options.behind_proxy:
        raise ConfigError("expected --tls-cert and --tls-key, or --behind-proxy: tokens must not go over plain HTTP")


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    if not 0 <= port < 65_536:
        raise ConfigError("expected --port to be below 65536")
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise ConfigError(f"cannot listen at {_spelled(host, port)}: {error}") from error


def _spelled(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
