"""The reference of the start rows: what functions-framework needs for a function that does nothing."""

import functions_framework
from flask import Request


@functions_framework.http
def hello(_request: Request) -> str:
    """Answers."""
    return "hello"
