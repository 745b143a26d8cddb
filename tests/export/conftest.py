"""As for the engines."""

from tests.engines.conftest import interpreted

__all__ = ["interpreted"]
