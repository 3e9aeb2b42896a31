"""Logging of a stage process: JSON lines on stderr, which the front reads and merges into the one log."""

import logging
import sys

import structlog


def configure(stage: str, replica: int, epoch: int) -> None:
    """Every line carries stage, replica and epoch; libraries that log through `logging` come along from WARNING."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )
    structlog.contextvars.bind_contextvars(stage=stage, replica=replica, epoch=epoch)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
