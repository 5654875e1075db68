"""What the emulator refuses: answers to a caller, and reasons not to start."""

from __future__ import annotations


class ApiError(Exception):
    """An answer other than success, sent as the real service sends it: `{"message": …}`.

    Attributes:
        status: the HTTP status.
        message: one sentence for the caller, without secrets.
        extra: further members of the body, such as a hint.
    """

    def __init__(self, status: int, message: str, **extra: str) -> None:
        """Keep what the answer will hold."""
        super().__init__(message)
        self.status = status
        self.message = message
        self.extra = extra


class StartError(Exception):
    """The emulator cannot start; the text is the one line that its user sees."""
