"""Screening campaigns."""

from pet_flows.flows.screen import ScreenMaker

__all__ = ["ScreenMaker"]
